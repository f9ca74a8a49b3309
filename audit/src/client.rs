//! The crate `clickhouse`, with a time limit on every request and errors that say what to do.

use std::future::Future;
use std::time::Duration;

use clickhouse::{Client, Compression, RowOwned, RowRead};

use crate::address::Endpoint;

/// Why ClickHouse did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// It cannot be reached now; the same request may be made again, if it may run twice.
    #[error("ClickHouse cannot be reached: {0}")]
    Unavailable(String),
    /// It did not answer in time; whether it did it is not known.
    #[error("ClickHouse did not answer within {limit_ms} ms")]
    TimedOut {
        /// The limit.
        limit_ms: u64,
    },
    /// It refused, in its own words.
    #[error("{text}")]
    Refused {
        /// Its code, 0 if it gave none.
        code: u32,
        /// Its text, without code and version.
        text: String,
    },
    /// The answer is over the limit; nothing of it is returned.
    #[error("the answer is over the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// What was sent or came back does not fit the tables: a fault of this program.
    #[error("unexpected data: {0}")]
    Data(String),
}

impl SqlError {
    fn of(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::BadResponse(text) => Self::refused(&text),
            Error::Network(source) => Self::Unavailable(chain(&*source)),
            Error::TimedOut => Self::Unavailable("the connection timed out".into()),
            other => Self::Data(chain(&other)),
        }
    }

    /// `Code: 60. DB::Exception: text. (NAME) (version …)`.
    fn refused(text: &str) -> Self {
        let text = text.trim();
        let Some((code, rest)) = text.strip_prefix("Code: ").and_then(|t| t.split_once(". DB::Exception: ")) else {
            // No ClickHouse answers like that; something between us and it did.
            return Self::Unavailable(text.chars().take(500).collect());
        };
        let rest = rest.find(" (version ").map_or(rest, |at| &rest[..at]);
        Self::Refused { code: code.parse().unwrap_or(0), text: rest.to_owned() }
    }
}

/// An error with its sources, which the crate's errors do not repeat.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}

/// A client for one address, at one moment.
#[derive(Clone)]
pub(crate) struct Connection(Client);

impl Connection {
    /// For where ClickHouse is now.
    pub(crate) fn open(endpoint: &Endpoint, database: Option<&str>) -> Result<Self, SqlError> {
        let down = || SqlError::Unavailable("the embedded engine is being started".into());
        let address = endpoint.now().ok_or_else(down)?;
        let mut client = Client::default()
            .with_url(&address.url)
            .with_compression(Compression::None)
            // On by default in newer servers; a batch must be written when its insert is answered.
            .with_setting("async_insert", "0");
        if let Some(database) = database {
            client = client.with_database(database);
        }
        if let Some(user) = &address.user {
            client = client.with_user(user);
        }
        if let Some(password) = &address.password {
            client = client.with_user(address.user.as_deref().unwrap_or("default")).with_password(password);
        }
        Ok(Self(client))
    }

    /// The client itself.
    pub(crate) fn client(&self) -> &Client {
        &self.0
    }

    /// Runs a statement without an answer.
    pub(crate) async fn execute(&self, sql: &str, limit_ms: u64) -> Result<(), SqlError> {
        timed(limit_ms, self.0.query_raw(sql).execute()).await
    }

    /// The only row of an answer.
    pub(crate) async fn fetch_one<T: RowOwned + RowRead>(&self, sql: &str, limit_ms: u64) -> Result<T, SqlError> {
        timed(limit_ms, self.0.query_raw(sql).fetch_one()).await
    }
}

/// The crate has no time-outs by default.
pub(crate) async fn timed<T>(
    limit_ms: u64,
    future: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, SqlError> {
    match tokio::time::timeout(Duration::from_millis(limit_ms), future).await {
        Ok(answer) => answer.map_err(SqlError::of),
        Err(_) => Err(SqlError::TimedOut { limit_ms }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_text_is_clean() {
        let cases = [
            ("Code: 60. DB::Exception: no t. (UNKNOWN_TABLE) (version 26.7.2.1)\n", 60, "no t. (UNKNOWN_TABLE)"),
            ("Code: 164. DB::Exception: read only. (READONLY)", 164, "read only. (READONLY)"),
        ];
        for (text, code, clean) in cases {
            assert_eq!(SqlError::refused(text), SqlError::Refused { code, text: clean.into() });
        }
        assert_eq!(SqlError::refused("<html>"), SqlError::Unavailable("<html>".into()));
    }
}
