//! `petrel workflow tail`, and `petrel workflow run --follow`: what the tasks of a workflow come to.
#![expect(clippy::disallowed_methods, reason = "how long a person waits for an answer")]

use std::time::Instant;

use serde_json::Value;

use crate::cli::args::Output;
use crate::cli::http::Client;
use crate::cli::tail::{AGAIN, AWAY_MAX, WAIT_MS, may_come};
use crate::cli::terminal::harmless;
use crate::cli::{EXIT_FAILED, Failure, output};

/// Shows what the tasks of a workflow have come to, and with `follow` goes on until it is over.
pub(super) fn run(id: &str, follow: bool, client: &Client, format: Output) -> Result<(), Failure> {
    let (mut after, mut told, mut heard) = (None, String::new(), Instant::now());
    loop {
        let wait_ms = if follow { WAIT_MS } else { 0 };
        let mut query = vec![("wait_ms", wait_ms.to_string())];
        query.extend(after.iter().map(|after: &String| ("after", after.clone())));
        let answer = match client.get(&["v1", "executions", id, "tasks"], &query) {
            Ok(answer) => answer,
            Err(failure) if follow && may_come(&failure) && heard.elapsed() < AWAY_MAX => {
                std::thread::sleep(AGAIN);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        heard = Instant::now();
        for moved in answer["tasks"].as_array().into_iter().flatten() {
            output::line(&match format {
                Output::Json => moved.to_string(),
                Output::Table => line(moved),
            });
        }
        after = answer["next"].as_str().map(str::to_owned).or(after);
        let (status, is_over) = (answer["status"].as_str().unwrap_or_default(), answer["is_over"] == true);
        if is_over || (!follow && answer["has_more"] != true) {
            output::note(&last(id, status, is_over));
            let is_well = !is_over || status == "succeeded";
            return if is_well { Ok(()) } else { Err(Failure::new(EXIT_FAILED, "")) };
        }
        if status != told
            && let Some(note) = waits(id, status)
        {
            output::note(&note);
        }
        status.clone_into(&mut told);
    }
}

/// A task that has come to another status.
fn line(moved: &Value) -> String {
    let text = |name: &str| moved[name].as_str().unwrap_or_default();
    let task = match moved["route"].as_u64().unwrap_or_default() {
        0 => text("task").to_owned(),
        route => format!("{}~{route}", text("task")),
    };
    harmless(&format!("{:<24} {task:<24} {}", text("moved_at"), text("status")))
}

/// What is said in the end: how it stands, and where it did not end well, who says why.
fn last(id: &str, status: &str, is_over: bool) -> String {
    match status {
        "succeeded" => "[succeeded]".to_owned(),
        _ if is_over => format!("[{status}: petrel execution get {id} says why]"),
        _ => format!("[{status}]"),
    }
}

/// What a workflow that has come to this status waits for, if that is a person.
fn waits(id: &str, status: &str) -> Option<String> {
    let how = match status {
        "pending" => format!("it waits for an answer: petrel inquiry list --workflow {id}"),
        "paused" => format!("it rests: petrel execution get {id} says why, and how it goes on"),
        _ => return None,
    };
    Some(format!("[{status}: {how}]"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_a_line_and_commands_no_terminal() {
        let moved = json!({ "moved_at": "2026-01-01T09:12:40Z", "task": "ask", "route": 0, "status": "running" });
        assert_eq!(line(&moved), "2026-01-01T09:12:40Z     ask                      running");
        let moved =
            json!({ "moved_at": "2026-01-01T09:12:40.125Z", "task": "a\u{1b}[2J", "route": 2, "status": "failed" });
        let line = line(&moved);
        assert!(line.starts_with("2026-01-01T09:12:40.125Z a\\u{1b}[2J~2 ") && line.ends_with(" failed"), "{line}");
    }

    #[test]
    fn whoever_sees_it_fail_is_told_who_says_why() {
        assert_eq!(last("be42", "failed", true), "[failed: petrel execution get be42 says why]");
        assert_eq!(last("be42", "canceled", true), "[canceled: petrel execution get be42 says why]");
        assert_eq!(last("be42", "succeeded", true), "[succeeded]");
        assert_eq!(last("be42", "running", false), "[running]");
    }

    #[test]
    fn whoever_follows_is_told_that_a_person_is_waited_for() {
        assert!(waits("be42", "pending").unwrap().contains("petrel inquiry list --workflow be42"));
        assert!(waits("be42", "paused").unwrap().contains("petrel execution get be42"));
        assert_eq!(waits("be42", "running"), None);
    }
}
