//! What is asked of a daemon. Paths have no version: each daemon then answers by its own, of which this needs what all have.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::http::{Answer, Failed, Request, ask};

/// Longest silence of a daemon that is asked for something quick. To make a container it may have to copy its image.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same of one that is asked to end something.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is kept, in bytes.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// Longest sentence of a daemon, in bytes.
const MESSAGE_BYTES_MAX: u64 = 4 << 10;

/// A daemon, by its socket.
#[derive(Debug, Clone)]
pub struct Daemon {
    socket: PathBuf,
}

/// Why a daemon did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nothing was asked.
    #[error("the daemon of containers at {} cannot be reached: {error}", .socket.display())]
    Away {
        /// Where it should be.
        socket: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It does not want to, or cannot.
    #[error("the daemon of containers says: {message}")]
    Refused {
        /// Status of HTTP.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It was asked, and nobody knows what came of it.
    #[error("the daemon of containers did not answer: {0}")]
    Broken(io::Error),
}

/// Credentials for a registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// A container of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl ApiError {
    fn is(&self, expected: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == expected)
    }
}

impl Daemon {
    /// The daemon that listens there.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Names of limits that its machine cannot keep.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn limits_missing(&self) -> Result<Vec<&'static str>, ApiError> {
        let told = self.json("GET", "/info", None, END_PATIENCE)?;
        let limits = [("MemoryLimit", "memory_bytes_max"), ("CpuCfsQuota", "cpus_max"), ("PidsLimit", "processes_max")];
        Ok(limits.into_iter().filter(|(key, _)| told[key] == false).map(|(_, name)| name).collect())
    }

    /// Containers with that label and value, those that do not run included.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub fn labelled(&self, label: &str, value: &str) -> Result<Vec<Listed>, ApiError> {
        let filters = json!({ "label": [format!("{label}={value}")] }).to_string();
        let found =
            self.json("GET", &format!("/containers/json?all=1&filters={}", encoded(&filters)), None, PATIENCE)?;
        let containers = found.as_array().into_iter().flatten();
        let listed = containers.filter_map(|container| {
            let labels = serde_json::from_value(container["Labels"].clone()).unwrap_or_default();
            Some(Listed { id: container["Id"].as_str()?.to_owned(), labels })
        });
        Ok(listed.collect())
    }

    /// Whether it has the image.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn has_image(&self, reference: &str) -> Result<bool, ApiError> {
        match self.json("GET", &format!("/images/{reference}/json"), None, PATIENCE) {
            Ok(_) => Ok(true),
            Err(error) if error.is(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has it fetch an image, for as long as that takes.
    ///
    /// # Errors
    /// If it does not answer, or cannot.
    pub fn pull(&self, name: &str, version: &str, registry: Option<&Registry>) -> Result<(), ApiError> {
        let path = format!("/images/create?fromImage={}&tag={}", encoded(name), encoded(version));
        let header = registry.map(|registry| URL_SAFE.encode(json!(registry).to_string()));
        let headers: Vec<_> = header.iter().map(|header| ("X-Registry-Auth", header.as_str())).collect();
        let request = Request { method: "POST", path: &path, headers: &headers, body: None, patience: None };
        let answer = self.checked(request)?;
        // Its success is told before it is known; what goes wrong comes among the lines behind it.
        let mut lines = BufReader::new(answer.body);
        loop {
            let mut line = Vec::new();
            lines.by_ref().take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line).map_err(ApiError::Broken)?;
            if line.is_empty() {
                return Ok(());
            }
            let told: Value = serde_json::from_slice(&line).unwrap_or_default();
            if let Some(message) = told["error"].as_str() {
                return Err(ApiError::Refused { status: answer.status, message: message.to_owned() });
            }
        }
    }

    /// Makes a container; its id, and what the daemon warns of.
    ///
    /// # Errors
    /// If it does not answer, or does not want to.
    pub fn create(&self, name: &str, container: &Value) -> Result<(String, Vec<String>), ApiError> {
        let path = format!("/containers/create?name={}", encoded(name));
        let made = self.json("POST", &path, Some(container), PATIENCE)?;
        let id = made["Id"].as_str().ok_or_else(|| ApiError::Broken(io::Error::other("it names no container")))?;
        let warnings = made["Warnings"].as_array().into_iter().flatten();
        Ok((id.to_owned(), warnings.filter_map(Value::as_str).map(str::to_owned).collect()))
    }

    /// The connection on which it will write, and read if it is to.
    ///
    /// # Errors
    /// If it does not answer, or does not want to.
    pub fn attach(&self, id: &str, reads: bool) -> Result<BufReader<UnixStream>, ApiError> {
        let path = format!("/containers/{id}/attach?stream=1&stdout=1&stderr=1&stdin={}", u8::from(reads));
        let headers = [("Connection", "Upgrade"), ("Upgrade", "tcp")];
        let request = Request { method: "POST", path: &path, headers: &headers, body: None, patience: Some(PATIENCE) };
        let stream = self.checked(request)?.body.into_stream();
        // What it writes may take any time.
        let patience = stream.get_ref().set_read_timeout(None).and_then(|()| stream.get_ref().set_write_timeout(None));
        patience.map_err(ApiError::Broken)?;
        Ok(stream)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// If the daemon does not answer, or cannot.
    pub fn start(&self, id: &str) -> Result<(), ApiError> {
        self.json("POST", &format!("/containers/{id}/start"), None, PATIENCE).map(drop)
    }

    /// Signals a container's program.
    ///
    /// # Errors
    /// If the daemon does not answer, or there is no such container that runs.
    pub fn signal(&self, id: &str, signal: &str) -> Result<(), ApiError> {
        self.json("POST", &format!("/containers/{id}/kill?signal={signal}"), None, END_PATIENCE).map(drop)
    }

    /// Waits until a container has ended; its exit code.
    ///
    /// # Errors
    /// If the daemon does not answer, or there is no such container.
    pub fn wait(&self, id: &str) -> Result<i32, ApiError> {
        let path = format!("/containers/{id}/wait");
        let request = Request { method: "POST", path: &path, headers: &[], body: None, patience: None };
        let told = parsed(self.checked(request)?)?;
        let code = told["StatusCode"].as_i64().and_then(|code| i32::try_from(code).ok());
        code.ok_or_else(|| ApiError::Broken(io::Error::other("it tells no exit code")))
    }

    /// Whether the kernel ended something of it for want of memory.
    ///
    /// # Errors
    /// If the daemon does not answer, or there is no such container.
    pub fn lacked_memory(&self, id: &str) -> Result<bool, ApiError> {
        let told = self.json("GET", &format!("/containers/{id}/json"), None, PATIENCE)?;
        Ok(told["State"]["OOMKilled"].as_bool().unwrap_or(false))
    }

    /// Kills and removes a container, by its id or its name; whether there was one.
    ///
    /// # Errors
    /// If the daemon does not answer, or cannot.
    pub fn remove(&self, id: &str) -> Result<bool, ApiError> {
        match self.json("DELETE", &format!("/containers/{id}?force=1&v=1"), None, END_PATIENCE) {
            Ok(_) => Ok(true),
            Err(error) if error.is(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn json(&self, method: &str, path: &str, body: Option<&Value>, patience: Duration) -> Result<Value, ApiError> {
        let body = body.map(|body| body.to_string().into_bytes());
        let request = Request { method, path, headers: &[], body: body.as_deref(), patience: Some(patience) };
        parsed(self.checked(request)?)
    }

    fn checked(&self, request: Request<'_>) -> Result<Answer, ApiError> {
        let mut answer = ask(&self.socket, request).map_err(|failed| match failed {
            Failed::NoConnection(error) => ApiError::Away { socket: self.socket.clone(), error },
            Failed::Broken(error) => ApiError::Broken(error),
        })?;
        if matches!(answer.status, 101 | 200..=299) {
            return Ok(answer);
        }
        let mut body = Vec::new();
        // What can be read of it is told; the status is there in any case.
        let _ = answer.body.by_ref().take(MESSAGE_BYTES_MAX).read_to_end(&mut body);
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = told["message"].as_str().map_or_else(|| format!("status {}", answer.status), str::to_owned);
        Err(ApiError::Refused { status: answer.status, message })
    }
}

/// The value of an answer; null for one without a body.
fn parsed(mut answer: Answer) -> Result<Value, ApiError> {
    let mut body = Vec::new();
    answer.body.by_ref().take(ANSWER_BYTES_MAX).read_to_end(&mut body).map_err(ApiError::Broken)?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|error| ApiError::Broken(error.into()))
}

/// A text as a value of a query.
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}
