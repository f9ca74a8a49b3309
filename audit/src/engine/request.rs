//! A request of ClickHouse's HTTP interface, taken apart.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};

use super::answer::Failure;
use super::compression::{BlockError, decompress};
use super::options::EngineLimits;

/// Parameters that are neither settings nor needed here.
const IGNORED: &[&str] =
    &["buffer_size", "wait_end_of_query", "quota_key", "stacktrace", "http_write_exception_in_output_format"];
/// Parameters that ask for what one process behind one address does not have.
const UNSUPPORTED: &[&str] = &["session_id", "session_check", "session_timeout", "role"];

/// What a client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Statement, with the data of an insert behind it.
    pub text: Vec<u8>,
    /// Database that unqualified names mean.
    pub database: Option<String>,
    /// Format of the result where the statement names none.
    pub format: String,
    /// Settings, in the client's order, without `readonly`.
    pub settings: Vec<(String, String)>,
    /// `readonly` of the engine: 0, 1 or 2.
    pub readonly: u8,
    /// Parameters of the statement.
    pub params: Vec<(String, String)>,
    /// Id that the client gave it.
    pub query_id: Option<String>,
    /// Password that the client brought.
    pub password: Option<String>,
    /// Whether the answer is to be compressed.
    pub compress: bool,
}

impl Request {
    /// Takes a request apart. `pairs` are the URL's parameters, decoded.
    pub(super) fn parse(
        method: &Method,
        headers: &HeaderMap,
        pairs: Vec<(String, String)>,
        body: &Bytes,
        limits: &EngineLimits,
    ) -> Result<Self, Failure> {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut request = Self {
            database: header("X-ClickHouse-Database"),
            format: header("X-ClickHouse-Format").unwrap_or_else(|| "TabSeparated".into()),
            password: header("X-ClickHouse-Key"),
            ..Self::default()
        };
        let mut text = Vec::new();
        let mut decompressed = false;
        let mut readonly = None;
        for (name, value) in pairs {
            match name.as_str() {
                "query" => text = value.into_bytes(),
                "database" => request.database = Some(value),
                "default_format" => request.format = value,
                "query_id" => request.query_id = Some(value),
                "password" => request.password = Some(value),
                "compress" => request.compress = value != "0",
                "decompress" => decompressed = value != "0",
                "readonly" => readonly = Some(value),
                // There is one user; a password is checked whoever it is said to be of.
                "user" => {}
                name if IGNORED.contains(&name) => {}
                name if UNSUPPORTED.contains(&name) => {
                    return Err(Failure::unsupported(&format!("the embedded engine does not support {name}")));
                }
                name => match name.strip_prefix("param_") {
                    Some(param) => request.params.push((param.to_owned(), value)),
                    None => request.settings.push((checked_name(name)?, value)),
                },
            }
        }
        request.readonly = readonly_of(readonly.as_deref(), method)?;
        if header("Content-Encoding").is_some_and(|e| e != "identity") {
            return Err(Failure::unsupported(
                "compressed request bodies come as decompress=1, not by Content-Encoding",
            ));
        }
        let separate = !text.is_empty() && !body.is_empty();
        if separate && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        if decompressed {
            let plain = decompress(body, limits.body_bytes_max).map_err(|e| match e {
                BlockError::TooLarge(limit) => Failure::too_large(limit),
                other => Failure::bad_body(&other.to_string()),
            })?;
            text.extend_from_slice(&plain);
        } else {
            text.extend_from_slice(body);
        }
        request.text = text;
        Ok(request)
    }
}

/// A setting's name is put into a statement, so it may only be a name.
fn checked_name(name: &str) -> Result<String, Failure> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(Failure::syntax(&format!("{name:?} is no name of a setting")));
    }
    Ok(name.to_owned())
}

fn readonly_of(text: Option<&str>, method: &Method) -> Result<u8, Failure> {
    let asked = match text {
        None => 0,
        Some("0") => 0,
        Some("1") => 1,
        Some("2") => 2,
        Some(other) => return Err(Failure::syntax(&format!("readonly is 0, 1 or 2, not {other:?}"))),
    };
    // As in ClickHouse: GET must not change anything.
    let by_method = if *method == Method::GET || *method == Method::HEAD { 2 } else { 0 };
    Ok(if asked == 0 { by_method } else { asked })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn parse(method: Method, query: &[(&str, &str)], body: &'static [u8]) -> Result<Request, Failure> {
        let pairs = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Request::parse(&method, &HeaderMap::new(), pairs, &Bytes::from_static(body), &EngineLimits::default())
    }

    #[test]
    fn query_and_body_are_one_text() {
        let cases: [(Pairs, &'static [u8], &str); 3] = [
            (&[("query", "SELECT 1")], b"", "SELECT 1"),
            (&[], b"SELECT 1", "SELECT 1"),
            (&[("query", "INSERT INTO t FORMAT CSV")], b"\n1", "INSERT INTO t FORMAT CSV\n\n1"),
        ];
        for (query, body, text) in cases {
            assert_eq!(parse(Method::POST, query, body).map(|r| r.text), Ok(text.as_bytes().to_vec()));
        }
    }

    #[test]
    fn parameters_are_told_apart() {
        let query = [("max_threads", "1"), ("param_x", "a'b"), ("user", "u"), ("readonly", "1"), ("database", "d")];
        let request = parse(Method::POST, &query, b"SELECT 1").unwrap();
        assert_eq!(request.settings, [("max_threads".to_owned(), "1".to_owned())]);
        assert_eq!(request.params, [("x".to_owned(), "a'b".to_owned())]);
        assert_eq!((request.readonly, request.database.as_deref()), (1, Some("d")));
        for refused in [("a b", "1"), ("session_id", "x"), ("readonly", "9"), ("a'; DROP", "1")] {
            assert!(parse(Method::POST, &[refused], b"SELECT 1").is_err(), "{refused:?}");
        }
    }

    #[test]
    fn get_is_read_only() {
        assert_eq!(parse(Method::GET, &[("query", "x")], b"").map(|r| r.readonly), Ok(2));
        assert_eq!(parse(Method::GET, &[("query", "x"), ("readonly", "0")], b"").map(|r| r.readonly), Ok(2));
        assert_eq!(parse(Method::POST, &[("query", "x")], b"").map(|r| r.readonly), Ok(0));
    }
}
