//! One request, run on a connection of its own: its settings are nobody else's.

use std::path::Path;
use std::sync::Arc;

use super::answer::{Answer, Failure};
use super::insert::{Plan, plan};
use super::library::{Answered, Connection, Library};
use super::options::EngineLimits;
use super::os::BodyFile;
use super::readonly;
use super::request::Request;

/// Runs a request; blocks until the engine has answered.
pub(super) fn run(
    library: &Arc<Library>,
    data_dir: &Path,
    limits: &EngineLimits,
    request: Request,
) -> Result<Answer, Failure> {
    let connection = library.connect(data_dir).map_err(|e| Failure::host(&e))?;
    if request.readonly > 0 {
        let judge = library.connect(data_dir).map_err(|e| Failure::host(&e))?;
        readonly::admit(&judge, &request.text, &request.params)?;
    }
    let answered = execute(&connection, data_dir, limits, &request)?;
    Ok(Answer {
        body: answered.body,
        format: request.format,
        query_id: request.query_id,
        rows_read: answered.rows_read,
        rows_written: answered.rows_written,
        compressed: request.compress,
    })
}

fn execute(
    connection: &Connection,
    data_dir: &Path,
    limits: &EngineLimits,
    request: &Request,
) -> Result<Answered, Failure> {
    if request.text.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::syntax("the statement is empty"));
    }
    let plan = plan(&request.text);
    prepare(connection, limits, request)?;
    match plan {
        Plan::Refused(why) => Err(Failure::unsupported(why)),
        Plan::AsIs => {
            single(connection, &request.text)?;
            connection.query(&request.text, &request.format, &request.params).map_err(Failure::of_engine)
        }
        Plan::Data { head, settings, format, data } => {
            let data = &request.text[data..];
            if data.is_empty() {
                single(connection, head.as_bytes())?;
                return Ok(Answered::default());
            }
            let body = BodyFile::write(&[data], data_dir).map_err(|e| Failure::host(&e.to_string()))?;
            let path = body.path();
            let sql = format!("{head} FROM INFILE '{path}' COMPRESSION 'none' {settings} FORMAT {format}");
            single(connection, sql.as_bytes())?;
            connection.query(sql.as_bytes(), &request.format, &request.params).map_err(Failure::of_engine)
        }
    }
}

/// One statement a request, as ClickHouse's HTTP interface has it; the library would run several.
fn single(connection: &Connection, sql: &[u8]) -> Result<(), Failure> {
    if connection.classify(sql).statements > 1 {
        return Err(Failure::syntax("several statements in one request are not allowed"));
    }
    Ok(())
}

/// Database, the host's limits, the client's settings, and `readonly` last.
fn prepare(connection: &Connection, limits: &EngineLimits, request: &Request) -> Result<(), Failure> {
    let run = |sql: String| connection.query(sql.as_bytes(), "Null", &[]).map(drop).map_err(Failure::of_engine);
    if let Some(database) = &request.database {
        run(format!("USE {}", quoted(database, '`')))?;
    }
    let defaults = [
        ("max_execution_time", limits.statement_time_s),
        ("max_result_bytes", limits.result_bytes_max),
        ("max_memory_usage", limits.memory_bytes_max),
        // Batches are written as they come; waiting for others' rows is not for them.
        ("async_insert", 0),
    ];
    let defaults = defaults.map(|(name, value)| format!("{name} = {value}"));
    let settings = request.settings.iter().map(|(name, value)| format!("{name} = {}", quoted(value, '\'')));
    let all: Vec<String> = defaults.into_iter().chain(settings).collect();
    run(format!("SET {}", all.join(", ")))?;
    if request.readonly > 0 {
        run(format!("SET readonly = {}", request.readonly))?;
    }
    Ok(())
}

fn quoted(text: &str, quote: char) -> String {
    let escaped = text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"));
    format!("{quote}{escaped}{quote}")
}
