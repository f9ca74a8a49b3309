//! Questions to the audit trail, within the configured limits.

use std::collections::HashMap;

use petrel_audit::{Address, Endpoint, QueryLimits, SqlClient, SqlError};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::ApiError;
use crate::config;
use crate::engine::Engine;

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The latest state of one execution.
const HISTORY: &str = "SELECT * FROM executions_latest WHERE execution_id = {id:String}";
/// The latest states of several.
const HISTORIES: &str = "SELECT * FROM executions_latest \
                         WHERE execution_id IN (SELECT arrayJoin(splitByChar(',', {ids:String})))";
/// What its last attempt wrote.
const OUTPUT: &str = "SELECT stream, content, truncated, tail, omitted_bytes FROM execution_output WHERE execution_id = {id:String} \
                      AND attempt = (SELECT max(attempt) FROM execution_output WHERE execution_id = {id:String})";
/// How far an execution has come.
const STANDING: &str = "SELECT argMax(status, sequence) AS latest, max(sequence) AS changes FROM executions \
                        WHERE execution_id = {id:String} HAVING count() > 0";
/// What the tasks of a workflow have come to behind a place in the log, in the order in which they did.
const MOVES: &str = "SELECT task, route, run, change, status, toUnixTimestamp64Milli(moved_at) AS moved_at_ms, log_offset, log_row \
                     FROM workflow_tasks WHERE execution_id = {id:String} \
                     AND (log_offset > {offset:Int64} OR log_offset = {offset:Int64} AND log_row > {row:Int64}) \
                     ORDER BY log_offset, log_row LIMIT {most:UInt64}";
/// What an execution has started: found by the rule, which is the same, and by when it ran, as the table is sorted. It was
/// requested by the clock of whoever wanted it, and what it has started by those of its owners: ten minutes are left for
/// those that are behind or ahead.
const DESCENDANTS: &str = "SELECT execution_id, latest.1 AS task, latest.2 AS action, latest.3 AS status, latest.4 AS code, \
    latest.5 AS attempt, latest.6 AS worker, latest.7 AS requested_at_ms, latest.8 AS ended_at_ms, count() OVER () AS total \
    FROM ( \
        WITH ( \
            SELECT (any(rule), if(count() = 0, now64(3), min(requested_at)) - toIntervalMinute(10), \
                if(argMax(isNotNull(ended_at), sequence), max(changed_at), now64(3)) + toIntervalMinute(10)) \
            FROM executions WHERE execution_id = {id:String} \
        ) AS above \
        SELECT execution_id, argMax(tuple(task, action, status, code, attempt, worker, \
            toUnixTimestamp64Milli(requested_at), toUnixTimestamp64Milli(ended_at)), sequence) AS latest \
        FROM executions WHERE rule = above.1 AND requested_at BETWEEN above.2 AND above.3 \
        AND root_execution_id = {root:String} AND startsWith(execution_id, {below:String}) GROUP BY execution_id \
    ) \
    ORDER BY arrayMap(step -> toUInt32OrZero(step), splitByChar('.', substring(execution_id, length({below:String}) + 1))) \
    LIMIT {most:UInt64}";

/// Rows that there is always room for in an answer to one of these.
const OWN_ROWS_MAX: u64 = 10_000;

/// How rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
    /// With a line of names.
    Csv,
}

/// Asks the audit trail.
#[derive(Debug)]
pub struct Sql {
    client: SqlClient,
    limits: QueryLimits,
    /// How many days back the tables that are reconciled have everything; 0 is all of it.
    horizon_days: u32,
}

/// Where ClickHouse is: as configured, else in the child process.
///
/// # Errors
/// If neither is there, which the roles rule out.
pub fn endpoint(config: &config::ClickHouse, engine: Option<&Engine>) -> anyhow::Result<Endpoint> {
    match (&config.url, engine) {
        (Some(url), _) => Ok(Endpoint::fixed(Address {
            url: url.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
        })),
        (None, Some(engine)) => Ok(engine.endpoint()),
        (None, None) => anyhow::bail!("there is no ClickHouse: set `clickhouse.url`"),
    }
}

impl Sql {
    /// For the tables at that endpoint.
    pub fn new(endpoint: Endpoint, config: &config::Config) -> Self {
        let api = &config.api;
        let limits =
            QueryLimits { time_ms: api.sql_time_max_ms, rows_max: api.sql_rows_max, bytes_max: ANSWER_BYTES_MAX };
        Self {
            client: SqlClient::new(endpoint, &config.clickhouse.database),
            limits,
            horizon_days: config.audit.keep_days.comparable(),
        }
    }

    /// Rows of one read-only query.
    ///
    /// # Errors
    /// In ClickHouse's own words where it refuses.
    pub async fn query(&self, sql: &str, format: Format) -> Result<Vec<u8>, ApiError> {
        Ok(self.client.query(sql, self.limits, format.into()).await?)
    }

    /// Everything that an event caused.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn trace(&self, event_id: &str, format: Format) -> Result<Vec<u8>, ApiError> {
        Ok(self.client.trace(event_id, self.limits, format.into()).await?)
    }

    /// Everything older than `grace_s` seconds, and not older than the tables keep it, that does not add up.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn reconcile(&self, grace_s: u32, format: Format) -> Result<Vec<u8>, ApiError> {
        Ok(self.client.reconcile(grace_s, self.horizon_days, self.limits, format.into()).await?)
    }

    /// The latest state of an execution, if the audit trail has it.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn history(&self, id: &str) -> Result<Option<Value>, ApiError> {
        Ok(self.rows(HISTORY, &[("id", id)]).await?.into_iter().next())
    }

    /// The latest states of those of these executions that the audit trail has, by id.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn histories(&self, ids: &[&str]) -> Result<HashMap<String, Value>, ApiError> {
        // Ids consist of hexadecimal digits and dots.
        let rows = self.rows(HISTORIES, &[("ids", &ids.join(","))]).await?;
        let by_id = rows.into_iter().map(|row| (row["execution_id"].as_str().unwrap_or_default().to_owned(), row));
        Ok(by_id.collect())
    }

    /// The status of an execution and the number of the change that it took it with, if the audit trail has it.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn standing(&self, id: &str) -> Result<Option<(String, i64)>, ApiError> {
        let row = self.rows(STANDING, &[("id", id)]).await?.into_iter().next();
        let standing = |row: Value| Some((row["latest"].as_str()?.to_owned(), whole_number(&row["changes"]).as_i64()?));
        Ok(row.and_then(standing))
    }

    /// What the tasks of a workflow have come to behind a place in the log, its offset and row, in the order in which they
    /// did: at most so many, each with `task`, `route`, `run`, `change`, `status`, `moved_at_ms`, `log_offset`, `log_row`.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn moves(&self, id: &str, (offset, row): (i64, i64), most: usize) -> Result<Vec<Value>, ApiError> {
        let (offset, row, most) = (offset.to_string(), row.to_string(), most.to_string());
        self.rows(MOVES, &[("id", id), ("offset", &offset), ("row", &row), ("most", &most)]).await
    }

    /// At most so many executions that another one of that root has started, in the order in which it did, each with
    /// `execution_id`, `task`, `action`, `status`, `code`, `attempt`, `worker`, `requested_at_ms`, `ended_at_ms`, and with how
    /// many there are in `total`.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn descendants(&self, id: &str, root: &str, most: usize) -> Result<Vec<Value>, ApiError> {
        let (below, most) = (format!("{id}."), most.to_string());
        self.rows(DESCENDANTS, &[("id", id), ("root", root), ("below", &below), ("most", &most)]).await
    }

    /// What the last attempt at an execution wrote: `stdout`, `stderr`, whether they were cut, and then their ends and
    /// how much was left out between.
    ///
    /// # Errors
    /// As [`Sql::query`].
    pub async fn output(&self, id: &str) -> Result<Map<String, Value>, ApiError> {
        let mut output = Map::new();
        for row in self.rows(OUTPUT, &[("id", id)]).await? {
            let stream = row["stream"].as_str().unwrap_or_default().to_owned();
            output.insert(format!("{stream}_truncated"), row["truncated"].clone());
            if row["truncated"] == true {
                output.insert(format!("{stream}_omitted_bytes"), whole_number(&row["omitted_bytes"]));
                output.insert(format!("{stream}_tail"), row["tail"].clone());
            }
            output.insert(stream, row["content"].clone());
        }
        Ok(output)
    }

    async fn rows(&self, sql: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>, ApiError> {
        let limits = of_own(self.limits);
        let answer = self.client.query_with(sql, parameters, limits, petrel_audit::Format::JsonLines).await?;
        let lines = answer.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let rows: Result<Vec<Value>, _> = lines.map(serde_json::from_slice).collect();
        rows.map_err(|e| ApiError::unavailable("sql_unavailable", format!("ClickHouse's answer is no JSON: {e}")))
    }
}

/// What a query of this file may cost: how many rows it has at most it says itself, and what people's may have is no limit for
/// it.
fn of_own(limits: QueryLimits) -> QueryLimits {
    QueryLimits { rows_max: limits.rows_max.max(OWN_ROWS_MAX), ..limits }
}

/// ClickHouse may quote numbers of 64 bits.
fn whole_number(value: &Value) -> Value {
    let quoted = || value.as_str().and_then(|text| text.parse::<i64>().ok());
    value.as_i64().or_else(quoted).map_or(Value::Null, Value::from)
}

impl From<Format> for petrel_audit::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Json => Self::JsonLines,
            Format::Csv => Self::Csv,
        }
    }
}

impl From<SqlError> for ApiError {
    fn from(error: SqlError) -> Self {
        let message = error.to_string();
        match error {
            SqlError::Refused { .. } | SqlError::TooLarge { .. } => Self::bad_request("sql_refused", message),
            SqlError::Unavailable(_) | SqlError::TimedOut { .. } => Self::unavailable("sql_unavailable", message),
            SqlError::Data(_) => Self::unavailable("sql_failed", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_rows_people_may_have_is_no_limit_of_own_queries() {
        let few = QueryLimits { rows_max: 10, ..QueryLimits::default() };
        assert_eq!(of_own(few), QueryLimits { rows_max: OWN_ROWS_MAX, ..few });
        assert_eq!(of_own(QueryLimits::default()), QueryLimits::default());
    }
}
