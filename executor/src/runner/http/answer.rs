//! What is made of an answer: StackStorm's `status_code`, `headers`, `body` and `parsed`, and what else is known. All of it
//! is masked before anything of it is cut: of a secret that is cut off, masking would not find what is left.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use petrel_execution::Stream;
use petrel_execution::limits::{RESULT_BYTES_MAX, head};
use petrel_secrets::Mask;
use reqwest::Url;
use reqwest::header::{CONTENT_LOCATION, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, SET_COOKIE};
use serde_json::{Map, Value, json};

use super::client::chain;
use super::exchange::{Answer, shown};

/// Most of the headers that a result has, in bytes.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// An answer with its body.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) status: u16,
    /// As people call it.
    pub(super) reason: &'static str,
    pub(super) url: String,
    pub(super) redirects: u32,
    pub(super) headers: HeaderMap,
    body: Stream,
}

/// Reads the body up to the limit, in bytes; what is behind that is not fetched.
pub(super) async fn read(answer: Answer, body_bytes_max: usize) -> Result<Whole, String> {
    let Answer { mut response, url, redirects } = answer;
    let mut body = Stream::default();
    while let Some(chunk) = response.chunk().await.map_err(|e| chain(&e))? {
        let room = body_bytes_max - body.bytes.len();
        body.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            body.truncated = true;
            break;
        }
    }
    Ok(Whole {
        status: response.status().as_u16(),
        reason: response.status().canonical_reason().unwrap_or_default(),
        url: shown(&url),
        redirects,
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

impl Whole {
    /// The structured result, and what there is of the body where it does not fit into that. One that may be `large` fits.
    pub(super) fn into_result(mut self, requests: u32, elapsed_ms: u64, mask: &Mask, large: bool) -> (Value, Stream) {
        let (headers, headers_truncated) = headers_of(&self.headers, mask);
        let json = json_of(&self.headers, &self.body).map(|value| mask.json(value));
        let Stream { bytes, truncated, end } = self.body;
        self.body = Stream { bytes: mask.bytes(bytes, truncated), truncated, end };
        let (body, encoding) = json.map_or_else(|| body_of(&self.body), |json| (json, "json"));
        let mut result = json!({
            "status_code": self.status,
            "headers": headers,
            "body": body,
            "parsed": encoding == "json",
            "encoding": encoding,
            "truncated": self.body.truncated,
            "url": mask.text(self.url),
            "redirects": self.redirects,
            "requests": requests,
            "elapsed_ms": elapsed_ms,
        });
        if headers_truncated {
            result["headers_truncated"] = true.into();
        }
        if !large && result.to_string().len() > RESULT_BYTES_MAX {
            shorten(&mut result, &self.body.bytes);
        }
        let is_whole = result["truncated"] == false;
        (result, if is_whole { Stream::default() } else { self.body })
    }
}

/// Each name once, with several values as HTTP joins them.
fn headers_of(headers: &HeaderMap, mask: &Mask) -> (Map<String, Value>, bool) {
    let (mut all, mut bytes) = (Map::new(), 0);
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|value| {
            let value = mask.text(String::from_utf8_lossy(value.as_bytes()).into_owned());
            told(name, &value)
        });
        let text = values.collect::<Vec<_>>().join(", ");
        let name = mask.text(name.to_string());
        bytes += name.len() + text.len();
        if bytes > HEADER_BYTES_MAX {
            return (all, true);
        }
        all.insert(name, text.into());
    }
    (all, false)
}

/// A header's value without what is as good as a password: whoever has a cookie is who it was given to, and what stands in
/// the query of a place often opens it.
fn told(name: &HeaderName, value: &str) -> String {
    if *name == SET_COOKIE {
        return value.split_once('=').map_or("…".to_owned(), |(name, _)| format!("{name}=…"));
    }
    if *name != LOCATION && *name != CONTENT_LOCATION {
        return value.to_owned();
    }
    let place = value.split(['?', '#']).next().unwrap_or_default();
    match Url::parse(place) {
        Ok(mut url) if url.has_authority() => {
            // Neither of them can fail for a URL with a host.
            let _ = (url.set_username(""), url.set_password(None));
            url.into()
        }
        _ => place.to_owned(),
    }
}

/// The body as JSON, where the server says that it is, and it is.
fn json_of(headers: &HeaderMap, body: &Stream) -> Option<Value> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media_type == "application/json" || media_type.ends_with("+json");
    if is_json && !body.truncated { serde_json::from_slice(&body.bytes).ok() } else { None }
}

/// Another body as a value, and how it is to be understood: text, and base64 where it is none.
fn body_of(body: &Stream) -> (Value, &'static str) {
    match text_of(body) {
        Some(text) => (text.into(), "text"),
        None => (STANDARD.encode(&body.bytes).into(), "base64"),
    }
}

/// As text. The last character of what was cut may be cut, too.
fn text_of(body: &Stream) -> Option<&str> {
    match std::str::from_utf8(&body.bytes) {
        Ok(text) => Some(text),
        Err(e) if body.truncated && e.error_len().is_none() => std::str::from_utf8(&body.bytes[..e.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

/// Leaves as much of the body as a result may have.
fn shorten(result: &mut Value, body: &[u8]) {
    result["truncated"] = true.into();
    result["parsed"] = false.into();
    result["body"] = "".into();
    let room = RESULT_BYTES_MAX.saturating_sub(result.to_string().len() + "base64".len());
    // A text is longer in JSON by what has to be escaped.
    let text = String::from_utf8_lossy(&body[..body.len().min(room)]);
    if result["encoding"] == "base64" {
        result["body"] = STANDARD.encode(&body[..body.len().min(room / 4 * 3)]).into();
        return;
    }
    result["encoding"] = "text".into();
    let mut cut = head(&text, room);
    while Value::from(cut).to_string().len() > room + 2 {
        cut = head(cut, cut.len() / 8 * 7);
    }
    result["body"] = cut.into();
}

#[cfg(test)]
mod tests {
    use petrel_secrets::SecretValue;
    use reqwest::header::HeaderValue;

    use super::*;

    fn whole(content_type: &str, body: &[u8], truncated: bool) -> Whole {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        let body = Stream { truncated, ..Stream::whole(body.to_vec()) };
        Whole { status: 200, reason: "OK", url: "https://x/".to_owned(), redirects: 0, headers, body }
    }

    #[test]
    fn a_body_is_what_the_server_says_or_else_what_it_is() {
        for (content_type, body, truncated, expected, encoding) in [
            ("application/json", &b"{\"a\":1}"[..], false, json!({"a": 1}), "json"),
            ("application/problem+json; charset=utf-8", b"[1]", false, json!([1]), "json"),
            ("application/json", b"{\"a\":", false, json!("{\"a\":"), "text"),
            ("application/json", b"12", true, json!("12"), "text"),
            ("text/html", b"{\"a\":1}", false, json!("{\"a\":1}"), "text"),
            ("text/plain", "aü".as_bytes(), false, json!("aü"), "text"),
            ("text/plain", &"aü".as_bytes()[..2], true, json!("a"), "text"),
            ("text/plain", b"a\xff", false, json!("Yf8="), "base64"),
            ("application/json", b"", false, json!(""), "text"),
        ] {
            let (result, _) = whole(content_type, body, truncated).into_result(1, 5, &Mask::NOTHING, false);
            assert_eq!((&result["body"], &result["encoding"]), (&expected, &json!(encoding)), "{body:?}");
            assert_eq!(result["parsed"], json!(encoding == "json"));
            assert_eq!(result["headers"]["set-cookie"], "a=…, b=…");
        }
    }

    #[test]
    fn what_is_too_long_for_a_result_is_cut_and_kept_beside_it() {
        let json = format!("[\"{}\"]", "x".repeat(100_000));
        let quotes = "\"".repeat(60_000);
        let binary = vec![0xff; 60_000];
        for (content_type, body, encoding) in [
            ("application/json", json.as_bytes(), "text"),
            ("text/plain", quotes.as_bytes(), "text"),
            ("image/png", &binary, "base64"),
        ] {
            let (result, kept) = whole(content_type, body, false).into_result(1, 5, &Mask::NOTHING, false);
            let bytes = result.to_string().len();
            assert!((RESULT_BYTES_MAX / 8 * 7..=RESULT_BYTES_MAX).contains(&bytes), "{bytes} of {content_type}");
            assert_eq!((&result["truncated"], &result["encoding"]), (&json!(true), &json!(encoding)));
            assert_eq!((&*kept.bytes, kept.truncated), (body, false));
        }
        let (result, kept) = whole("application/json", json.as_bytes(), false).into_result(1, 5, &Mask::NOTHING, true);
        assert_eq!((&result["body"][0], &result["truncated"]), (&json!("x".repeat(100_000)), &json!(false)));
        assert_eq!(kept, Stream::default());
        let (result, kept) = whole("text/plain", b"short", false).into_result(1, 5, &Mask::NOTHING, false);
        assert_eq!((&result["truncated"], kept), (&json!(false), Stream::default()));
    }

    #[test]
    fn no_header_tells_what_opens_a_door() {
        for (name, value, expected) in [
            (SET_COOKIE, "sid=s3cret; Path=/; HttpOnly", "sid=…"),
            (SET_COOKIE, "s3cret", "…"),
            (LOCATION, "https://u:s3cret@h/a?code=s3cret#token=s3cret", "https://h/a"),
            (LOCATION, "/a?code=s3cret", "/a"),
            (CONTENT_LOCATION, "a#s3cret", "a"),
            (CONTENT_TYPE, "text/plain; a=b?c", "text/plain; a=b?c"),
        ] {
            assert_eq!(told(&name, value), expected, "{value}");
        }
    }

    #[test]
    fn headers_have_a_limit() {
        let mut headers = HeaderMap::new();
        headers.insert("x-first", HeaderValue::from_static("1"));
        headers.insert("x-large", HeaderValue::from_str(&"x".repeat(HEADER_BYTES_MAX)).unwrap());
        let (all, truncated) = headers_of(&headers, &Mask::NOTHING);
        assert_eq!((all.len(), all["x-first"] == "1", truncated), (1, true, true));
    }

    /// Each limit may lie in the middle of a secret, of a token, and of the forms in which a server gives them back.
    #[test]
    fn what_is_answered_is_masked_before_it_is_cut() {
        const SECRET: &str = "Zq7kV-9xR2mBwT";
        const TOKEN: &str = "Yp6jU_8wQ1lAvS";
        let mask = Mask::new(&[SECRET, TOKEN].map(|text| SecretValue::new(text.to_owned()).unwrap()));
        let clean = |result: &Value, kept: &Stream| {
            for text in [result.to_string(), String::from_utf8_lossy(&kept.bytes).into_owned()] {
                // The beginning of either, as it is, in base64 and as numbers of characters.
                for form in ["Zq", "Yp", "WnE3", "WXA2", "%5A", "5a71"] {
                    assert!(!text.contains(form), "{form} stands in …{}", &text[text.len().saturating_sub(200)..]);
                }
            }
        };
        // At the end of what was read.
        for len in 0..=SECRET.len() {
            for (secret, content_type) in [(SECRET, "text/plain"), (TOKEN, "application/json")] {
                let body = format!("it is {}", &secret[..len]);
                let (result, kept) =
                    whole(content_type, body.as_bytes(), len < secret.len()).into_result(1, 5, &mask, false);
                if len > 0 {
                    clean(&result, &kept);
                }
            }
        }
        // Where a result ends.
        for room in (RESULT_BYTES_MAX - 400..RESULT_BYTES_MAX).step_by(3) {
            let text = format!("{}{SECRET}{TOKEN}{}", "x".repeat(room), "y".repeat(2_000));
            let json = serde_json::to_vec(&json!([text])).unwrap();
            for (content_type, body) in [("text/plain", text.as_bytes()), ("application/json", &json)] {
                let (result, kept) = whole(content_type, body, false).into_result(1, 5, &mask, false);
                assert_eq!(result["truncated"], true);
                clean(&result, &kept);
            }
        }
        // In what is no text, and in a header.
        let binary = [b"\xff\xfe", SECRET.as_bytes(), b"\0", TOKEN.as_bytes()].concat();
        let (result, kept) = whole("image/png", &binary, false).into_result(1, 5, &mask, false);
        assert_eq!(result["encoding"], "base64");
        clean(&result, &kept);
        let mut echoed = whole("text/plain", b"", false);
        for (name, value) in [
            ("x-echo", format!("Bearer {TOKEN}")),
            ("x-basic", format!("Basic {}", STANDARD.encode(format!("u:{SECRET}")))),
            ("location", format!("https://h/{SECRET}?{TOKEN}")),
        ] {
            echoed.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
        echoed.url = format!("https://{TOKEN}.example");
        let (result, kept) = echoed.into_result(1, 5, &mask, false);
        assert_eq!(
            (&result["headers"]["x-echo"], &result["url"]),
            (&json!("Bearer ********"), &json!("https://********.example"))
        );
        clean(&result, &kept);
    }
}
