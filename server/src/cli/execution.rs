//! `petrel execution list|get|tail|result|cancel`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::args::Output;
use super::http::{Body, Client};
use super::output;
use super::{EXIT_USAGE, Failure};

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
    /// Show what an execution writes
    #[command(
        after_help = "Examples:\n  petrel execution tail 3f2a… -f\n  petrel execution tail 3f2a… --stream stderr\n\
                            Standard output and error of the execution go to standard output and error; what is said of it\n\
                            goes to standard error. The exit code is 0 if it has succeeded, or runs, and 1 if not."
    )]
    Tail {
        /// Id of the execution
        id: String,
        /// Go on until the execution is over, through its retries
        #[arg(short, long)]
        follow: bool,
        /// Only one of its streams
        #[arg(long, value_parser = ["stdout", "stderr"])]
        stream: Option<String>,
        /// As it is, also what would command the terminal
        #[arg(long)]
        raw: bool,
    },
    /// Fetch the result of an execution, however large it is
    Result {
        /// Id of the execution
        id: String,
        /// Write it to this file, which must not be there
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
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
        ExecutionCommand::Tail { id, follow, stream, raw } => {
            return super::tail::run(&super::tail::Tail { id, follow, stream, raw }, client, format);
        }
        ExecutionCommand::Result { id, file } => result(&id, file.as_deref(), client)?,
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

/// The result as it is, to a file or to whoever reads: JSON, which has control characters as escapes.
fn result(id: &str, file: Option<&Path>, client: &Client) -> Result<(), Failure> {
    let bytes = client.call(Method::GET, &["v1", "executions", id, "result"], &[], &[], Body::None)?;
    let Some(path) = file else {
        output::raw(&bytes);
        return Ok(());
    };
    let mut open = std::fs::OpenOptions::new();
    let written = open.write(true).create_new(true).open(path).and_then(|mut file| file.write_all(&bytes));
    written.map_err(|error| Failure::new(EXIT_USAGE, format!("cannot write {}: {error}", path.display())))?;
    output::line(&format!("{} bytes written to {}", bytes.len(), path.display()));
    Ok(())
}

/// A field of what an execution waits for, if there is something.
fn named(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    }
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
            Value::String(text) if text.is_empty() => continue,
            // Below all else.
            _ if ["descendants", "descendants_count", "frozen"].contains(&name.as_str()) => continue,
            Value::Object(fields) if name == "waits_for" => {
                fields.iter().filter_map(|(name, value)| named(name, value)).collect::<Vec<_>>().join(", ")
            }
            Value::String(text) if text.contains('\n') => format!("\n{}", text.trim_end()),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        output::line(&format!("{name:<14} {text}"));
    }
    tree(execution);
    if execution["frozen"].is_object() {
        let id = execution["execution_id"].as_str().unwrap_or_default();
        super::inquiry::shown::frozen(id, &execution["frozen"], &[]).iter().for_each(|line| output::line(line));
    }
}

/// What it has started, one in a line, below each other as they stand in the family.
fn tree(execution: &Value) {
    let Some(descendants) = execution["descendants"].as_array() else { return };
    let depth = |id: &Value| id.as_str().map_or(0, |id| id.matches('.').count());
    let root = depth(&execution["execution_id"]);
    output::line("tasks");
    for one in descendants {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        let number = text("execution_id").rsplit('.').next().unwrap_or_default();
        let waits_for = match &one["waits_for"] {
            Value::Object(fields) => {
                fields.iter().filter_map(|(name, value)| named(name, value)).collect::<Vec<_>>().join(", ")
            }
            Value::String(text) => text.clone(),
            _ => text("code").to_owned(),
        };
        let indent = "  ".repeat(depth(&one["execution_id"]).saturating_sub(root));
        let line =
            format!("{indent}{number} {:<20} {:<28} {:<10} {waits_for}", text("task"), text("action"), text("status"));
        output::line(line.trim_end());
    }
    let count = execution["descendants_count"].as_u64().unwrap_or_default();
    if count > descendants.len() as u64 {
        output::line(&format!("  and {} more", count - descendants.len() as u64));
    }
}
