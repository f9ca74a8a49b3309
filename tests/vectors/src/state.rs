//! Statuses: which follows which.

use anyhow::{Context, Result, bail};
use petrel_workflow::conductor::Status;
use petrel_workflow::conductor::machine::task::{self, EngineRequest, OtherItems};
use petrel_workflow::conductor::machine::workflow::{self, Outlook, TaskChange};
use serde_json::Value;

/// Checks one row, and says where it differs.
pub(crate) fn run(row: &Value) -> Result<Option<String>> {
    match row["kind"].as_str().context("no kind")? {
        "transition" => transition(row),
        "is_transition_valid" => {
            let (from, to) = (status(&row["from"])?, status(&row["to"])?);
            let valid = if row["machine"] == "workflow" {
                workflow::is_transition_valid(from, to)
            } else {
                task::is_transition_valid(from, to)
            };
            Ok((row["valid"] != valid).then(|| format!("{from} to {to} is {valid}")))
        }
        "set" => set(row),
        other => bail!("unknown kind {other}"),
    }
}

fn status(value: &Value) -> Result<Status> {
    let name = value.as_str().context("no status")?;
    Status::of(name).with_context(|| format!("unknown status {name}"))
}

fn transition(row: &Value) -> Result<Option<String>> {
    let (from, expected) = (status(&row["from"])?, status(&row["to"])?);
    let event = row["event"].as_str().unwrap_or_default();
    let active = row["workflow_active"] == true;
    let to = match (row["machine"].as_str(), row["subject"].as_str()) {
        (Some("workflow"), Some("workflow")) => {
            let done = event.ends_with("_workflow_completed");
            workflow::on_request(from, status(&row["status"])?, active, done)
        }
        (Some("workflow"), Some("task")) => {
            let change = if row["status"] == "remediated" {
                TaskChange::Remediated
            } else {
                TaskChange::Status(status(&row["status"])?)
            };
            let outlook = match row["outlook"].as_str() {
                Some("completed") => Outlook::Completed,
                Some("paused") => Outlook::Paused,
                Some("canceled") => Outlook::Canceled,
                _ => Outlook::Incomplete,
            };
            workflow::on_task(from, change, active, outlook)
        }
        (Some("task"), Some("action")) => match others(row) {
            Some(others) => task::on_item(from, status(&row["status"])?, others),
            None => task::on_action(from, status(&row["status"])?),
        },
        (Some("task"), Some("workflow")) => {
            let items = others(row).map(|others| (row["task_active"] == true, others != OtherItems::Completed));
            task::on_workflow(from, status(&row["status"])?, items)
        }
        (Some("task"), Some("engine")) => {
            let request = match row["command"].as_str().context("no command")? {
                "fail" => EngineRequest::Fail,
                "retry" => EngineRequest::Retry,
                _ => EngineRequest::Succeed,
            };
            task::on_engine(from, request)
        }
        _ => bail!("an unknown machine or subject"),
    };
    let to = to.unwrap_or(from);
    Ok((to != expected).then(|| format!("{from} becomes {to} by {event}, not {expected}")))
}

fn others(row: &Value) -> Option<OtherItems> {
    let others = row["other_items"].as_str()?;
    Some(match others {
        _ if row["task_active"] == true => OtherItems::Active,
        "paused" => OtherItems::Paused,
        "canceled" => OtherItems::Canceled,
        "failed" => OtherItems::Failed,
        "incomplete" => OtherItems::Incomplete,
        _ => OtherItems::Completed,
    })
}

fn set(row: &Value) -> Result<Option<String>> {
    let is_in: fn(Status) -> bool = match row["set"].as_str().context("no set")? {
        "all_statuses" => |_| true,
        "starting_statuses" => Status::is_starting,
        "running_statuses" => Status::is_running,
        "active_statuses" => Status::is_active,
        "pause_statuses" => Status::is_pause,
        "cancel_statuses" => Status::is_cancel,
        "abended_statuses" => Status::is_abended,
        "completed_statuses" => Status::is_completed,
        other => bail!("unknown set {other}"),
    };
    let ours: Vec<Value> =
        Status::ALL.into_iter().filter(|status| is_in(*status)).map(|status| status.name().into()).collect();
    Ok(petrel_workflow::rehearsal::compare::difference_of_sets(&row["statuses"], &ours.into()))
}
