//! Tokens of OAuth 2 (client credentials, RFC 6749 §4.4): each is asked for once and kept until it is about to expire.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use petrel_execution::runner::{Auth, Hidden, Proxy, Tls};
use petrel_secrets::limits::VALUE_BYTES_MAX;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;

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
pub(super) struct Tokens(Mutex<Vec<(Asker, Token)>>);

/// Who asks for a token, and by what means: what an action got that trusts anybody, another one must not use.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asker {
    auth: Auth,
    tls: Tls,
    proxy: Option<Proxy>,
}

#[derive(Debug, Clone)]
struct Token {
    text: Hidden,
    until_ms: u64,
}

/// What is answered.
#[derive(Deserialize)]
struct Told {
    access_token: Option<String>,
    expires_in: Option<Value>,
    error: Option<String>,
}

impl Told {
    /// How long the token lasts, in milliseconds. Some servers write the number as a text, or with a fraction.
    fn lasts_ms(&self) -> u64 {
        let seconds = match &self.expires_in {
            Some(Value::Number(seconds)) => seconds.as_f64(),
            Some(Value::String(seconds)) => seconds.trim().parse().ok(),
            _ => None,
        };
        let lasts = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        lasts.map_or(UNTOLD_MS, |lasts| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Tokens {
    /// A token for requests to a server, and whether it was kept from before.
    pub(super) async fn get(&self, auth: &Auth, ways: &Ways<'_>, server: &Url) -> Result<(Hidden, bool), NoAnswer> {
        let asker = asker(auth, ways, server)?;
        if let Some(kept) = self.kept(&asker) {
            return Ok((kept, true));
        }
        let token = ask(auth, ways, server).await?;
        let text = token.text.clone();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|(kept, _)| *kept != asker);
        if tokens.len() == TOKENS_MAX {
            tokens.remove(0);
        }
        tokens.push((asker, token));
        Ok((text, false))
    }

    /// A token is no good any more.
    pub(super) fn forget(&self, auth: &Auth, ways: &Ways<'_>, server: &Url) {
        let Ok(asker) = asker(auth, ways, server) else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(kept, _)| *kept != asker);
    }

    fn kept(&self, asker: &Asker) -> Option<Hidden> {
        let (tokens, now_ms) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), boot_ms());
        let (_, token) = tokens.iter().find(|(kept, token)| kept == asker && token.until_ms > now_ms)?;
        Some(token.text.clone())
    }
}

fn asker(auth: &Auth, ways: &Ways<'_>, server: &Url) -> Result<Asker, NoAnswer> {
    let tls = ways.tls(whom(&token_url(auth).map_err(NoAnswer::Impossible)?, server));
    Ok(Asker { auth: auth.clone(), tls, proxy: ways.proxy.clone() })
}

fn whom(token_url: &Url, server: &Url) -> Whom {
    if token_url.origin() == server.origin() { Whom::Named } else { Whom::Tokens }
}

fn token_url(auth: &Auth) -> Result<Url, String> {
    let Auth::OAuth2 { token_url, .. } = auth else { return Err("it needs no token".to_owned()) };
    Url::parse(token_url).map_err(|e| format!("\"token_url\": {e}"))
}

async fn ask(auth: &Auth, ways: &Ways<'_>, server: &Url) -> Result<Token, NoAnswer> {
    let outgoing = request(auth).map_err(NoAnswer::Impossible)?;
    let whom = whom(&outgoing.url, server);
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
    let lasts_ms = told.as_ref().map_or(0, Told::lasts_ms);
    match told {
        // A longer one could not be masked, and no server would take it in a header.
        Some(Told { access_token: Some(text), .. }) if text.len() > VALUE_BYTES_MAX => {
            Err(failed(&format!("one of more than {VALUE_BYTES_MAX} bytes")))
        }
        Some(Told { access_token: Some(text), .. }) if status.is_success() => {
            let until_ms = asked_ms.saturating_add(lasts_ms.saturating_sub(MARGIN_MS));
            Ok(Token { text: Hidden(text), until_ms })
        }
        Some(Told { error: Some(error), .. }) => Err(failed(&format!("answered with {status}, {error:?}"))),
        _ => Err(failed(&format!("answered with {status}, and no token"))),
    }
}

fn request(auth: &Auth) -> Result<Outgoing, String> {
    let url = token_url(auth)?;
    let Auth::OAuth2 { client_id, client_secret, scope, audience, in_body, .. } = auth else {
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
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let body = Some(form.finish().into());
    let mut outgoing = Outgoing { method: Method::POST, url, headers, body, forward_body: false };
    if !in_body {
        // Both are encoded as in a form (RFC 6749 §2.3.1).
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        outgoing.secret("Authorization", &basic(&encoded(client_id), &encoded(&client_secret.0)))?;
    }
    Ok(outgoing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_lasts_as_long_as_it_is_told_in_whatever_form() {
        for (expires_in, lasts_ms) in [
            (json!(3600), 3_600_000),
            (json!("3600"), 3_600_000),
            (json!(1.5), 1_500),
            (json!("soon"), UNTOLD_MS),
            (json!(-5), UNTOLD_MS),
            (json!(null), UNTOLD_MS),
            (json!([]), UNTOLD_MS),
        ] {
            let told: Told = serde_json::from_value(json!({"access_token": "t", "expires_in": expires_in})).unwrap();
            assert_eq!(told.lasts_ms(), lasts_ms, "{expires_in}");
        }
    }
}
