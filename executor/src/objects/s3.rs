//! Objects in a bucket of S3, or of what speaks like it.

use std::fmt;
use std::time::Duration;

use petrel_schemas::ObjectRef;
use reqwest::{Client, Method, StatusCode, Url};

use super::sha256;
use super::signature::Signer;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest time for a request with its body and its answer.
const REQUEST: Duration = Duration::from_secs(60);

/// Longest part of a refusal that is told, in bytes.
const REFUSAL_BYTES_MAX: usize = 300;

/// Where a bucket is, and who asks for its objects.
#[derive(Clone)]
pub struct S3Options {
    /// Such as `https://s3.eu-central-1.amazonaws.com`; buckets are the first part of its paths.
    pub endpoint: String,
    /// Name of the bucket, which has to be there.
    pub bucket: String,
    /// Beginning of the names of objects, such as `petrel/`; may be empty.
    pub prefix: String,
    /// Region that signatures are for.
    pub region: String,
    /// Who asks.
    pub access_key_id: String,
    /// By what that is known.
    pub secret_access_key: String,
}

/// Without its secret.
impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Options")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A bucket.
#[derive(Debug)]
pub(super) struct S3 {
    name: String,
    endpoint: Url,
    options: S3Options,
    client: Client,
}

impl S3 {
    pub(super) fn new(options: S3Options) -> Result<Self, String> {
        let endpoint = Url::parse(&options.endpoint).map_err(|e| format!("{:?}: {e}", options.endpoint))?;
        if !matches!(endpoint.scheme(), "http" | "https") || !matches!(endpoint.path(), "" | "/") {
            return Err(format!("{:?} is no address such as https://s3.example.com", options.endpoint));
        }
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        if options.bucket.is_empty() || options.bucket.contains('/') || !options.bucket.bytes().all(is_plain) {
            return Err(format!("{:?} is no name of a bucket", options.bucket));
        }
        if options.prefix.starts_with('/') || !options.prefix.bytes().all(is_plain) {
            return Err(format!("{:?} is no beginning of names: a-z, A-Z, 0-9, - _ . and /", options.prefix));
        }
        // Another provider that is there already does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.connect_timeout(CONNECT).timeout(REQUEST);
        // A machine without certificates of authorities reaches one that needs none.
        let client = if endpoint.scheme() == "http" { client.tls_certs_only([]) } else { client };
        let client = client.build().map_err(|e| chain(&e))?;
        let name = format!("s3/{}/{}/{}", host(&endpoint), options.bucket, options.prefix);
        Ok(Self { name, endpoint, options, client })
    }

    /// As references name it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn put(&self, object: &ObjectRef, bytes: &[u8], now_ms: i64) -> Result<(), String> {
        let (status, answer) = self.ask(Method::PUT, object, Some(bytes), now_ms).await?;
        if status.is_success() { Ok(()) } else { Err(refusal(status, &answer)) }
    }

    pub(super) async fn get(&self, object: &ObjectRef, now_ms: i64) -> Result<Option<Vec<u8>>, String> {
        match self.ask(Method::GET, object, None, now_ms).await? {
            // A bucket that is not there has no objects either, and comes to be there.
            (StatusCode::NOT_FOUND, answer) if is_no_key(&answer) => Ok(None),
            (status, answer) if status.is_success() => Ok(Some(answer)),
            (status, answer) => Err(refusal(status, &answer)),
        }
    }

    /// Sends a request; of the answer what is read is a byte longer than the object at most.
    async fn ask(
        &self,
        method: Method,
        object: &ObjectRef,
        body: Option<&[u8]>,
        now_ms: i64,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let S3Options { bucket, prefix, region, access_key_id, secret_access_key, .. } = &self.options;
        let path = format!("/{bucket}/{prefix}{}", object.sha256);
        let mut url = self.endpoint.clone();
        url.set_path(&path);
        let host = host(&url);
        let date = jiff::Timestamp::from_millisecond(now_ms).map_err(|e| e.to_string())?;
        let date = date.strftime("%Y%m%dT%H%M%SZ").to_string();
        let body_sha256 = if body.is_some() { object.sha256.clone() } else { sha256(b"") };
        let headers = [("host", &*host), ("x-amz-content-sha256", &*body_sha256), ("x-amz-date", &*date)];
        let signer = Signer { access_key_id, secret_access_key, region };
        let authorization = signer.authorization(method.as_str(), &path, &headers, &body_sha256, &date);
        let mut request = self.client.request(method, url).header("authorization", authorization);
        for (name, value) in &headers[1..] {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", &object.media_type).body(body.to_vec());
        }
        let mut answer = request.send().await.map_err(|e| chain(&e))?;
        let status = answer.status();
        let most = usize::try_from(object.bytes).unwrap_or(usize::MAX).saturating_add(1).max(REFUSAL_BYTES_MAX);
        let mut read = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| chain(&e))? {
            read.extend_from_slice(&chunk[..chunk.len().min(most - read.len())]);
            if read.len() == most {
                break;
            }
        }
        Ok((status, read))
    }
}

/// As requests name it.
fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

/// Whether "not found" is said of the object.
fn is_no_key(answer: &[u8]) -> bool {
    answer.is_empty() || String::from_utf8_lossy(answer).contains("<Code>NoSuchKey</Code>")
}

fn refusal(status: StatusCode, answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(REFUSAL_BYTES_MAX)]).replace('\n', " ");
    format!("it answers with {status}: {text}")
}

/// An error with what led to it.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
