//! `petrel execution list|get|cancel`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use super::args::Output;
use super::http::Client;
use super::output;

/// The words after `petrel execution`.
#[derive(Debug, Subcommand)]
pub enum ExecutionCommand {
    /// List recent executions, latest first
    List {
        /// Only of this status
        #[arg(long)]
        status: Option<String>,
        /// Only of this rule
        #[arg(long)]
        rule: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one execution with its output
    Get {
        /// Id of the execution
        id: String,
    },
    /// Cancel an execution
    Cancel {
        /// Id of the execution
        id: String,
    },
}

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
