//! `petrel execution list|get|tail|cancel`.

use serde_json::{Value, json};

use super::Failure;
use super::args::{ExecutionCommand, Output};
use super::http::Client;
use super::output;

pub fn run(command: ExecutionCommand, client: &Client, format: Output) -> Result<(), Failure> {
    match command {
        ExecutionCommand::List { status, rule, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(status.map(|s| ("status", s)));
            query.extend(rule.map(|r| ("rule", r)));
            let answer = client.get(&["v1", "executions"], &query)?;
            let columns = [
                ("execution_id", "execution"),
                ("status", "status"),
                ("action", "action"),
                ("rule", "rule"),
                ("requested_at", "requested"),
                ("attempt", "attempt"),
            ];
            super::rule::show(&answer, "executions", format, &columns);
        }
        ExecutionCommand::Get { id } => show(&client.get(&["v1", "executions", &id], &[])?, format),
        ExecutionCommand::Tail { id, follow, stream, raw } => {
            return super::tail::run(&super::tail::Tail { id, follow, stream, raw }, client, format);
        }
        ExecutionCommand::Cancel { id } => {
            let answer = client.post(&["v1", "executions", &id, "cancel"], &json!({}))?;
            match format {
                Output::Json => output::json(&answer),
                Output::Table => output::line(answer["message"].as_str().unwrap_or("cancel requested")),
            }
        }
    }
    Ok(())
}

/// One execution with its output.
pub fn show(execution: &Value, format: Output) {
    if format == Output::Json {
        return output::json(execution);
    }
    let Value::Object(fields) = execution else { return output::json(execution) };
    for (name, value) in fields {
        let text = match value {
            // Only what there is, and only a cut that was made.
            Value::Null | Value::Bool(false) => continue,
            Value::String(text) if text.contains('\n') => format!("\n{}", text.trim_end()),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        output::line(&format!("{name:<14} {text}"));
    }
}
