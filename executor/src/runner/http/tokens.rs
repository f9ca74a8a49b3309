//! Tokens of OAuth 2 (client credentials, RFC 6749 §4.4): each is asked for once and kept until it is about to expire.

use std::sync::{Mutex, PoisonError};

use petrel_execution::runner::{Auth, Hidden};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::client::{Ways, Whom};
use super::exchange::{NoAnswer, Outgoing, basic, exchange};
use crate::supervise::boot_ms;

/// Most tokens that are kept.
const TOKENS_MAX: usize = 256;
/// Largest answer with a token, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long before its end a token is not used any more, in milliseconds: it has a way to go.
const MARGIN_MS: u64 = 30_000;
/// How long a token is kept whose end is not told, in milliseconds.
const UNTOLD_MS: u64 = 300_000;

/// Tokens by whom they were given to, and for what.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Vec<(Auth, Token)>>);

#[derive(Debug, Clone)]
struct Token {
    text: Hidden,
    until_ms: u64,
}

/// What is answered.
#[derive(Deserialize)]
struct Told {
    access_token: Option<String>,
    expires_in: Option<u64>,
    error: Option<String>,
}

impl Tokens {
    /// A token for requests to a server, and whether it was kept from before.
    pub(super) async fn get(&self, auth: &Auth, ways: &Ways<'_>, server: &Url) -> Result<(Hidden, bool), NoAnswer> {
        if let Some(kept) = self.kept(auth) {
            return Ok((kept, true));
        }
        let token = ask(auth, ways, server).await?;
        let text = token.text.clone();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|(kept, _)| kept != auth);
        if tokens.len() == TOKENS_MAX {
            tokens.remove(0);
        }
        tokens.push((auth.clone(), token));
        Ok((text, false))
    }

    /// A token is no good any more.
    pub(super) fn forget(&self, auth: &Auth) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(kept, _)| kept != auth);
    }

    fn kept(&self, auth: &Auth) -> Option<Hidden> {
        let (tokens, now_ms) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), boot_ms());
        let (_, token) = tokens.iter().find(|(kept, token)| kept == auth && token.until_ms > now_ms)?;
        Some(token.text.clone())
    }
}

async fn ask(auth: &Auth, ways: &Ways<'_>, server: &Url) -> Result<Token, NoAnswer> {
    let outgoing = request(auth).map_err(NoAnswer::Impossible)?;
    let whom = if outgoing.url.origin() == server.origin() { Whom::Named } else { Whom::Tokens };
    let asked_ms = boot_ms();
    let failed = |why: &str| NoAnswer::Failed { why: format!("no token: {why}"), may_have_arrived: false };
    let answer = match exchange(ways, whom, outgoing, 0).await {
        // To be asked for a token twice does no harm.
        Err(NoAnswer::Failed { why, .. }) => return Err(failed(&why)),
        Err(NoAnswer::Lacking { why, .. }) => return Err(NoAnswer::Lacking { why, may_have_arrived: false }),
        other => other?,
    };
    let (status, mut response) = (answer.response.status(), answer.response);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failed(&super::client::chain(&e)))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(failed(&format!("an answer of more than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    let told: Option<Told> = serde_json::from_slice(&body).ok();
    match told {
        Some(Told { access_token: Some(text), expires_in, .. }) if status.is_success() => {
            let lasts_ms = expires_in.map_or(UNTOLD_MS, |seconds| seconds.saturating_mul(1_000));
            let until_ms = asked_ms.saturating_add(lasts_ms.saturating_sub(MARGIN_MS));
            Ok(Token { text: Hidden(text), until_ms })
        }
        Some(Told { error: Some(error), .. }) => Err(failed(&format!("answered with {status}, {error:?}"))),
        _ => Err(failed(&format!("answered with {status}, and no token"))),
    }
}

fn request(auth: &Auth) -> Result<Outgoing, String> {
    let Auth::OAuth2 { token_url, client_id, client_secret, scope, audience, in_body } = auth else {
        return Err("it needs no token".to_owned());
    };
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    for (name, value) in [("scope", scope), ("audience", audience)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    if *in_body {
        form.append_pair("client_id", client_id).append_pair("client_secret", &client_secret.0);
    }
    let url = Url::parse(token_url).map_err(|e| format!("\"token_url\": {e}"))?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let body = Some(form.finish().into_bytes());
    let mut outgoing = Outgoing { method: Method::POST, url, headers, body, forward_body: false };
    if !in_body {
        // Both are encoded as in a form (RFC 6749 §2.3.1).
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        outgoing.secret("Authorization", &basic(&encoded(client_id), &encoded(&client_secret.0)))?;
    }
    Ok(outgoing)
}
