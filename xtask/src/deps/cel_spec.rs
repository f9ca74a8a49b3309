//! The CEL specification's own tests, by npm.

use anyhow::Result;
use petrel_testkit::dev_dir;

use super::npm::{Package, fetch_package};

/// Fetches the tests and turns them into plain JSON, which the test of petrel-cel reads.
pub(crate) fn fetch_cel_spec() -> Result<()> {
    fetch_package(&Package {
        folder: "cel-spec",
        title: "the CEL specification's tests",
        script: Some("tests.mjs"),
        product: &dev_dir().join("cel-spec/tests.json"),
    })
}
