//! A plain HTTP client.

use anyhow::{Context, Result};

/// Status and body of an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Posts a body with these headers.
///
/// # Errors
/// If no answer came.
pub fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Result<Answer> {
    let body = body.into();
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut request = client.post(url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.text().await? })
    })
}
