//! The vendors' own clients, which the API tests run unmodified.

use std::path::Path;

use anyhow::Result;

use crate::python;

/// What is installed, each at the version that the tests were written with.
const PACKAGES: [&str; 4] =
    ["boto3==1.44.5", "awscli==1.46.2", "tencentcloud-sdk-python-cbs==3.1.175", "tccli==3.1.189.1"];

/// Makes `<target>/venv`, which the tests look for.
pub(super) fn install(target: &Path) -> Result<()> {
    python::environment(target, "venv", &PACKAGES).map(|_| ())
}
