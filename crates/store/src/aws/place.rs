//! Where a service is: the query of its address, `[endpoint=<URL>][&region=<name>]`.

use std::fmt;

use url::Url;

use super::REGION_DEFAULT;
use crate::address::{is_name, parse_endpoint, shown};

/// Where a service is. Without an endpoint it is AWS's own, in the region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServicePlace {
    pub(crate) endpoint: Option<Url>,
    pub(crate) region: Option<String>,
}

impl ServicePlace {
    /// Takes in one part of a query. Says whether it is of this part of the address at all.
    ///
    /// # Errors
    /// What is wrong with its value.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let is_new = match name {
            "endpoint" => self.endpoint.replace(parse_endpoint(value)?).is_none(),
            "region" if !is_name(value) => return Err("that is no name of a region".to_owned()),
            "region" => self.region.replace(value.to_owned()).is_none(),
            _ => return Ok(false),
        };
        if is_new { Ok(true) } else { Err("endpoint and region can be given once".to_owned()) }
    }

    /// # Errors
    /// When nothing says where the service is.
    pub(crate) fn check(&self) -> Result<(), String> {
        match (&self.endpoint, &self.region) {
            (None, None) => Err("without an endpoint, the region of AWS has to be given".to_owned()),
            _ => Ok(()),
        }
    }

    /// The endpoint as it is written, without the `/` that its path is.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_ref().map(shown)
    }

    /// The service, in words. What is called the same is the same service.
    pub(crate) fn service(&self) -> String {
        match (self.endpoint(), &self.region) {
            (Some(endpoint), _) => endpoint.to_owned(),
            (None, region) => format!("AWS's in {}", region.as_deref().unwrap_or(REGION_DEFAULT)),
        }
    }

    /// The parts of the query that it is read from.
    pub(crate) fn query(&self) -> impl Iterator<Item = String> {
        let endpoint = self.endpoint().map(|endpoint| format!("endpoint={endpoint}"));
        endpoint.into_iter().chain(self.region.as_ref().map(|region| format!("region={region}")))
    }
}

impl fmt::Display for ServicePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.query().collect::<Vec<_>>().join("&"))
    }
}
