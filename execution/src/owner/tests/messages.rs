//! What comes to an owner, as records would say it.

use petrel_schemas::{ActionRequest, HandedOver, TaskResult};

use super::super::*;
use super::model::{Do, id};
use crate::attempt::Attempt;
use crate::subject::Subject;

pub fn message_of(what: &Do) -> Message {
    let about = |n: &u8, token: &i64, worker: &str| About {
        id: id(*n),
        attempt: Attempt { number: *token as i32, token: *token },
        worker: worker.to_owned(),
    };
    let pool = "default".to_owned();
    match what {
        Do::Request(n, action, revision) => {
            let (subject, parameters) = Subject::of_request(request(*n, action, revision)).unwrap();
            Message::Request { subject, parameters }
        }
        Do::Claim(n, token) => Message::Report(about(n, token, "w"), Report::Claimed { pool }),
        Do::ClaimBy(n, token, worker) => Message::Report(about(n, token, worker), Report::Claimed { pool }),
        Do::Beat(n, token) => Message::Report(about(n, token, "w"), Report::Alive { pool, awaits_grant: false }),
        Do::Ask(n, token) => Message::Report(about(n, token, "w"), Report::Alive { pool, awaits_grant: true }),
        Do::Result(n, token, status) => {
            Message::Report(about(n, token, "w"), Report::Ended(result(*n, *token, status)))
        }
        Do::Final(n, token, status) => {
            let ended = TaskResult { retriable: false, ..result(*n, *token, status) };
            Message::Report(about(n, token, "w"), Report::Ended(ended))
        }
        Do::Decline(n, token, reason) => Message::Report(about(n, token, "w"), Report::Declined(*reason)),
        Do::HandOver(n, token, begun) => {
            Message::Report(about(n, token, "w"), Report::HandedOver(handed_over(*n, *token, *begun)))
        }
        Do::HandOverLacking(n, token) => {
            let gave = HandedOver { lacks: true, ..handed_over(*n, *token, true) };
            Message::Report(about(n, token, "w"), Report::HandedOver(gave))
        }
        Do::Cancel(n) => Message::Cancel { id: id(*n), by: "eve".to_owned() },
        other => unreachable!("{other:?} is no message"),
    }
}

fn request(n: u8, action: &str, revision: &str) -> ActionRequest {
    ActionRequest {
        execution_id: id(n).into(),
        root_execution_id: id(n).into(),
        event_id: Some("event".to_owned()),
        event_at_ms: Some(1),
        trigger: Some("demo.alert".to_owned()),
        rule: Some("demo.rule".to_owned()),
        action_index: 0,
        redrive: 0,
        action: action.to_owned(),
        parameters: if action == "demo.bad" { "{}" } else { "{\"host\":\"db\"}" }.to_owned(),
        revision: revision.to_owned(),
        kv_version: 3,
        requested_at_ms: 500_000 + i64::from(n),
        requested_by: "rule".to_owned(),
        cause_depth: 3,
        class: None,
    }
}

pub fn result(n: u8, token: i64, status: &str) -> TaskResult {
    TaskResult {
        execution_id: id(n).into(),
        root_execution_id: id(n).into(),
        attempt: token as i32,
        token,
        worker: "w".to_owned(),
        status: status.to_owned(),
        return_code: (status == "succeeded").then_some(0),
        code: (status != "succeeded").then(|| status.to_owned()),
        error: (status != "succeeded").then(|| format!("it {status}")),
        result: None,
        extracted: None,
        result_object: None,
        retriable: true,
        stdout: "out".to_owned(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
        stdout_omitted_bytes: 0,
        stderr_omitted_bytes: 0,
        started_at_ms: Some(3),
        ended_at_ms: 4,
        events: Vec::new(),
        retry_after_ms: None,
    }
}

fn handed_over(n: u8, token: i64, begun: bool) -> HandedOver {
    HandedOver {
        execution_id: id(n).into(),
        root_execution_id: id(n).into(),
        attempt: token as i32,
        token,
        worker: "w".to_owned(),
        begun,
        lacks: false,
        stdout: if begun { "part" } else { "" }.to_owned(),
        stderr: String::new(),
        stdout_truncated: false,
        stderr_truncated: false,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
        stdout_omitted_bytes: 0,
        stderr_omitted_bytes: 0,
        handed_over_at_ms: 4,
    }
}
