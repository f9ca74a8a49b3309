//! Questions to the audit trail: anything that SQL can ask, read-only and within limits, and two
//! questions that everybody has.

use crate::address::Endpoint;
use crate::client::{Connection, SqlError, timed};

/// What one event caused, in order of time. Parameter: `event`.
const TRACE: &str = include_str!("queries/trace.sql");
/// What does not add up. Parameters: `grace_s`, `horizon_days`.
const RECONCILE: &str = include_str!("queries/reconcile.sql");

/// Time for an answer beyond the query's own limit, in milliseconds.
const ANSWER_MS: u64 = 10_000;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// ClickHouse's `JSON`: `meta`, `data` (an array of objects), `rows`.
    Json,
    /// One JSON object a row, a row a line (ClickHouse's `JSONEachRow`).
    JsonLines,
    /// With a line of names.
    Csv,
}

/// What a query may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Longest run, in milliseconds; whole seconds count, rounded up.
    pub time_ms: u64,
    /// Most rows of the answer; more is an error, not a cut.
    pub rows_max: u64,
    /// Most bytes of the answer.
    pub bytes_max: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { time_ms: 30_000, rows_max: 100_000, bytes_max: 64 << 20 }
    }
}

/// Asks the audit trail. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqlClient {
    endpoint: Endpoint,
    database: String,
}

impl SqlClient {
    /// For the tables of a database.
    pub fn new(endpoint: Endpoint, database: &str) -> Self {
        Self { endpoint, database: database.to_owned() }
    }

    /// Runs one read-only query. Rows that were written twice are seen once (`final = 1`).
    ///
    /// # Errors
    /// [`SqlError::Refused`] carries ClickHouse's own words: a wrong query, one that would change
    /// something, one over its limits. See [`SqlError`].
    pub async fn query(&self, sql: &str, limits: QueryLimits, format: Format) -> Result<Vec<u8>, SqlError> {
        self.query_with(sql, &[], limits, format).await
    }

    /// Runs one read-only query with parameters, written `{name:Type}` in the query and never put into
    /// its text.
    ///
    /// # Errors
    /// As [`SqlClient::query`].
    pub async fn query_with(
        &self,
        sql: &str,
        params: &[(&str, &str)],
        limits: QueryLimits,
        format: Format,
    ) -> Result<Vec<u8>, SqlError> {
        let connection = Connection::open(&self.endpoint, Some(&self.database))?;
        let mut client = connection.client().clone();
        let seconds = limits.time_ms.div_ceil(1_000).max(1).to_string();
        let settings = [
            ("readonly", "1"),
            ("final", "1"),
            ("do_not_merge_across_partitions_select_final", "1"),
            ("max_execution_time", &seconds),
            ("max_result_rows", &limits.rows_max.to_string()),
            ("max_result_bytes", &limits.bytes_max.to_string()),
            ("result_overflow_mode", "throw"),
            ("output_format_pretty_color", "0"),
            ("output_format_pretty_row_numbers", "0"),
            ("output_format_pretty_max_rows", &limits.rows_max.to_string()),
            ("output_format_json_quote_64bit_integers", "0"),
        ];
        for (name, value) in settings {
            client = client.with_setting(name, value);
        }
        let mut query = client.query_raw(sql);
        for (name, value) in params {
            query = query.param(name, *value);
        }
        timed(limits.time_ms + ANSWER_MS, async {
            let mut cursor = query.fetch_bytes(format.name())?;
            let mut answer = Vec::new();
            while let Some(bytes) = cursor.next().await? {
                answer.extend_from_slice(&bytes);
                if answer.len() > limits.bytes_max {
                    return Ok(Err(SqlError::TooLarge { limit_bytes: limits.bytes_max }));
                }
            }
            Ok(Ok(answer))
        })
        .await?
    }

    /// Follows one event to everything it caused: decision, matches, executions with every status,
    /// output, dead letters.
    ///
    /// # Errors
    /// As [`SqlClient::query`].
    pub async fn trace(&self, event_id: &str, limits: QueryLimits, format: Format) -> Result<Vec<u8>, SqlError> {
        if event_id.is_empty() {
            // It would match every manual run.
            return Err(SqlError::Refused { code: 0, text: "an event's id is needed".into() });
        }
        self.query_with(TRACE, &[("event", event_id)], limits, format).await
    }

    /// Compares events, matches and executions: no row if all of it adds up. What is younger than
    /// `grace_s` seconds may still be on its way and is left out; so is what began more than
    /// `horizon_days` days ago (0: nothing is), because tables may no longer have all of it
    /// ([`KeepDays::comparable`](crate::KeepDays::comparable)).
    ///
    /// # Errors
    /// As [`SqlClient::query`].
    pub async fn reconcile(
        &self,
        grace_s: u32,
        horizon_days: u32,
        limits: QueryLimits,
        format: Format,
    ) -> Result<Vec<u8>, SqlError> {
        let params = [("grace_s", grace_s.to_string()), ("horizon_days", horizon_days.to_string())];
        let params = params.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.query_with(RECONCILE, &params, limits, format).await
    }
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Table => "PrettyCompactMonoBlock",
            Self::Json => "JSON",
            Self::JsonLines => "JSONEachRow",
            Self::Csv => "CSVWithNames",
        }
    }
}
