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
    ask(|client| {
        headers.iter().fold(client.post(url).body(body.into()), |asked, (name, value)| asked.header(*name, *value))
    })
}

/// Asks for a page.
///
/// # Errors
/// If no answer came.
pub fn get(url: &str) -> Result<Answer> {
    ask(|client| client.get(url))
}

/// Asks for a page with these headers, and reads it to its end.
///
/// # Errors
/// If no answer came.
pub fn get_with(url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    ask(|client| headers.iter().fold(client.get(url), |asked, (name, value)| asked.header(*name, *value)))
}

fn ask(request: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder) -> Result<Answer> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = request(&client).send().await.context("no answer")?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.text().await? })
    })
}
