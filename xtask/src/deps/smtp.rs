//! A server of mail for the tests of the runner `email`, by npm.

use anyhow::Result;
use petrel_testkit::dev_dir;

use super::npm::{Package, fetch_package};

/// Fetches the server, and what reads the messages that it takes; `deploy/dev/smtp/serve.mjs` starts it.
pub(crate) fn fetch_smtp() -> Result<()> {
    fetch_package(&Package {
        folder: "smtp",
        title: "a server of mail",
        script: None,
        product: &dev_dir().join("smtp/node_modules/smtp-server/package.json"),
    })
}
