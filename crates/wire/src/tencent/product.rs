//! Products: which API of the cloud a request is for.

use super::{CommonCode, TencentError};

/// A product that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Cloud Block Storage.
    Cbs,
    /// Cloud Virtual Machine; only its older list of regions is served.
    Cvm,
    /// Region management: the current list of regions.
    Region,
}

/// The product and action that a request names, before the action is known to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The product.
    pub product: Product,
    /// The action as sent, e.g. `DescribeSnapshots`.
    pub action: &'a str,
}

impl Product {
    const ALL: [Self; 3] = [Self::Cbs, Self::Cvm, Self::Region];

    /// The first label of the product's host name, which also names it in a TC3 credential scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cbs => "cbs",
            Self::Cvm => "cvm",
            Self::Region => "region",
        }
    }

    /// The one version that is served.
    pub fn version(self) -> &'static str {
        match self {
            Self::Cbs | Self::Cvm => "2017-03-12",
            Self::Region => "2022-06-27",
        }
    }

    /// Whether calls have to name the region whose resources they mean.
    pub fn needs_region(self) -> bool {
        self == Self::Cbs
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.as_str() == name)
    }

    /// The product of a request whose scope names `service`.
    ///
    /// The SDKs for Node.js put there whatever stands before the first dot of their endpoint: for a server that is
    /// reached by its address or a name of its own, that says nothing.
    pub(super) fn of_scope(service: &str, host: &str, action: &str, version: &str) -> Result<Self, TencentError> {
        match Self::find(service) {
            Some(product) => Ok(product),
            None if host.split('.').next() == Some(service) => Self::guess(host, action, version),
            None => Err(CommonCode::NoSuchProduct.into()),
        }
    }

    /// The product of a request whose signature does not name it.
    ///
    /// The host name decides where it can. A server reached under a name or address of its own is told
    /// apart by what is called: only `DescribeRegions` is served of the other two products.
    pub(super) fn guess(host: &str, action: &str, version: &str) -> Result<Self, TencentError> {
        let host = host.rsplit("//").next().unwrap_or(host);
        let label = host.split(['.', ':']).next().unwrap_or_default();
        if let Some(product) = Self::find(label) {
            return Ok(product);
        }
        if host.contains(".tencentcloudapi.com") {
            return Err(CommonCode::NoSuchProduct.into());
        }
        Ok(match action {
            "DescribeRegions" if version == Self::Region.version() => Self::Region,
            "DescribeRegions" => Self::Cvm,
            _ => Self::Cbs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_known_by_its_host_or_by_its_action() {
        let known = [
            ("cbs.tencentcloudapi.com", "X", "", Product::Cbs),
            ("cvm.tencentcloudapi.com:443", "X", "", Product::Cvm),
            ("http://region.example", "X", "", Product::Region),
            ("127.0.0.1:18191", "DescribeRegions", "2022-06-27", Product::Region),
            ("127.0.0.1:18191", "DescribeRegions", "2017-03-12", Product::Cvm),
            ("localhost", "DescribeSnapshots", "2017-03-12", Product::Cbs),
        ];
        for (host, action, version, wanted) in known {
            assert_eq!(Product::guess(host, action, version), Ok(wanted), "{host} {action} {version}");
        }
        for (scope, host) in [("cvm", "127.0.0.1:18191"), ("127", "127.0.0.1:18191"), ("localhost:80", "localhost:80")]
        {
            let product = Product::of_scope(scope, host, "DescribeRegions", "2017-03-12");
            assert_eq!(product, Ok(Product::Cvm), "{scope} {host}");
        }
        for (scope, host) in [("cls", "cls.tencentcloudapi.com"), ("cls", "127.0.0.1"), ("", "127.0.0.1")] {
            let unknown = Product::of_scope(scope, host, "X", "").unwrap_err();
            assert_eq!(unknown.code, CommonCode::NoSuchProduct, "{scope} {host}");
        }
        let unknown = Product::guess("cls.tencentcloudapi.com", "X", "").unwrap_err();
        assert_eq!(unknown.code, CommonCode::NoSuchProduct);
    }
}
