//! What an imitation of S3 looks at signatures with, by npm.

use anyhow::Result;
use petrel_testkit::dev_dir;

use super::npm::{Package, fetch_package};

/// Fetches it; `deploy/dev/s3/serve.mjs` is the imitation.
pub(crate) fn fetch_s3() -> Result<()> {
    fetch_package(&Package {
        folder: "s3",
        title: "signatures of S3",
        script: None,
        product: &dev_dir().join("s3/node_modules/aws4/package.json"),
    })
}
