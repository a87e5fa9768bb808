//! `DescribeRegions`, which two products have: `cvm` the older, `region` the current one.
//!
//! Clients ask it where a copy can go. Neither needs a region of its own.

use serde::Serialize;

use super::reading::structure;
use super::{CommonCode, Parameters, Product, TencentError};

/// The name of the one operation.
pub const ACTION: &str = "DescribeRegions";

/// What one of the two `DescribeRegions` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescribeRegions {
    /// Of `cvm`: all regions.
    OfCvm,
    /// Of `region`: those that offer a product, e.g. `cbs`.
    OfRegion {
        /// The product's name.
        product: String,
    },
}

structure! {
    /// `cvm` takes nothing.
    Nothing {}
}

structure! {
    /// What `region` takes. `Scene` 1 also consults an allow-list; there is none here.
    Asked { product: String = "Product", scene: Option<i64> = "Scene", }
}

/// Checks the action, before the parameters are looked at.
///
/// # Errors
/// `InvalidAction` for any action but `DescribeRegions`.
pub fn check_action(action: &str) -> Result<(), TencentError> {
    if action == ACTION { Ok(()) } else { Err(CommonCode::InvalidAction.into()) }
}

/// Reads the parameters of `DescribeRegions` as `product` has it.
///
/// # Errors
/// As [`Parameters::read`]; `InvalidAction` for `cbs`, which has no such operation.
pub fn parse(product: Product, parameters: &Parameters) -> Result<DescribeRegions, TencentError> {
    match product {
        Product::Cbs => Err(CommonCode::InvalidAction.into()),
        Product::Cvm => parameters.read().map(|Nothing {}| DescribeRegions::OfCvm),
        Product::Region => {
            let Asked { product, scene } = parameters.read()?;
            match scene {
                None | Some(0 | 1) => Ok(DescribeRegions::OfRegion { product }),
                Some(_) => Err(TencentError::new(CommonCode::InvalidParameterValue, "Scene must be 0 or 1.")),
            }
        }
    }
}

/// The reply of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeRegionsReply {
    total_count: usize,
    region_set: Vec<RegionInfo>,
}

impl DescribeRegionsReply {
    /// Lists regions, given as id and display name, in the form of the product that was asked.
    pub fn of<'a>(asked: &DescribeRegions, regions: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let console = matches!(asked, DescribeRegions::OfRegion { .. }).then(ConsoleNames::default);
        let info = |(region, name): (&str, &str)| RegionInfo {
            region: region.to_owned(),
            region_name: name.to_owned(),
            region_state: "AVAILABLE",
            console: console.clone(),
        };
        let region_set: Vec<RegionInfo> = regions.into_iter().map(info).collect();
        Self { total_count: region_set.len(), region_set }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RegionInfo {
    region: String,
    region_name: String,
    region_state: &'static str,
    #[serde(flatten)]
    console: Option<ConsoleNames>,
}

/// What Tencent's own console shows; all of it may be null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct ConsoleNames {
    #[serde(rename = "RegionTypeMC")]
    region_type: Option<i64>,
    #[serde(rename = "LocationMC")]
    location: Option<String>,
    #[serde(rename = "RegionNameMC")]
    region_name: Option<String>,
    #[serde(rename = "RegionIdMC")]
    region_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(product: Product, body: &str) -> Result<DescribeRegions, CommonCode> {
        parse(product, &Parameters::from_json(body.as_bytes()).unwrap()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn only_the_newer_one_takes_a_product() {
        let cbs = DescribeRegions::OfRegion { product: "cbs".to_owned() };
        assert_eq!(asked(Product::Cvm, "{}"), Ok(DescribeRegions::OfCvm));
        assert_eq!(asked(Product::Cvm, r#"{"Product":"cbs"}"#), Err(CommonCode::UnknownParameter));
        assert_eq!(asked(Product::Region, r#"{"Product":"cbs","Scene":1}"#), Ok(cbs));
        assert_eq!(asked(Product::Region, "{}"), Err(CommonCode::MissingParameter));
        assert_eq!(asked(Product::Cbs, "{}"), Err(CommonCode::InvalidAction));
        assert_eq!(check_action("DescribeZones").unwrap_err().code, CommonCode::InvalidAction);
    }

    #[test]
    fn only_the_newer_one_lists_console_names() {
        let regions = [("ap-beijing", "North China (Beijing)")];
        let plain = json!({
            "Region": "ap-beijing", "RegionName": "North China (Beijing)", "RegionState": "AVAILABLE",
        });
        let mut full = plain.clone();
        for name in ["RegionTypeMC", "LocationMC", "RegionNameMC", "RegionIdMC"] {
            full[name] = json!(null);
        }
        let older = DescribeRegionsReply::of(&DescribeRegions::OfCvm, regions);
        let newer = DescribeRegionsReply::of(&DescribeRegions::OfRegion { product: "cbs".to_owned() }, regions);
        assert_eq!(serde_json::to_value(older).unwrap(), json!({ "TotalCount": 1, "RegionSet": [plain] }));
        assert_eq!(serde_json::to_value(newer).unwrap(), json!({ "TotalCount": 1, "RegionSet": [full] }));
    }
}
