//! Workflows of which more is stored than a record can hold.

use std::sync::Arc;

use petrel_execution::runner::{PackFiles, RunnerSpec, SpecError, WorkflowLanguage};
use petrel_execution::workflow::{Asked, Begin, Changed, ChildEnd, Conduct, Piece, Standing, Start, Workflow};
use petrel_execution::{Note, Status};
use petrel_schemas::{AuditRecord, ExecutionChanged, TaskResult, encode};
use serde_json::{Map, Value, json};

use super::harness::Owner;
use super::steps::{Do, id, result};
use crate::owner::pieces::PIECE_BYTES_MAX;

const DAY_MS: i64 = 24 * 3_600_000;

/// Bytes of text that a workflow remembers until its first child has ended.
#[derive(Debug, Clone, Copy)]
struct Large(usize);

/// It starts two children, one after the other.
struct Run {
    text: String,
    ended: u32,
    started: u32,
    changed: bool,
    /// What it says that it has gathered.
    gathered_bytes: usize,
}

/// One that says that it has gathered so many bytes.
pub(super) fn gathered(gathered_bytes: usize) -> Box<dyn Conduct> {
    Box::new(Run { text: String::new(), ended: 0, started: 0, changed: false, gathered_bytes })
}

impl Workflow for Large {
    fn begin(&self, _: Begin<'_>) -> Result<Box<dyn Conduct>, Note> {
        Ok(Box::new(Run { text: "é".repeat(self.0 / 2), ended: 0, started: 0, changed: true, gathered_bytes: 0 }))
    }

    fn restore(&self, pieces: &[Piece]) -> Result<Box<dyn Conduct>, String> {
        let [piece] = pieces else { return Err(format!("{} pieces", pieces.len())) };
        let (text, ended, started) = serde_json::from_str(&piece.value).map_err(|e| e.to_string())?;
        Ok(Box::new(Run { text, ended, started, changed: false, gathered_bytes: 0 }))
    }
}

impl Conduct for Run {
    fn set_now(&mut self, _: i64) {}

    fn starts(&mut self, _: usize) -> Vec<Start> {
        if self.started > self.ended || self.ended == 2 {
            return Vec::new();
        }
        self.started += 1;
        let (task, action) = (format!("t{}", self.started), "demo.ok".to_owned());
        let constants = Vec::new();
        vec![Start {
            number: self.started,
            task,
            action,
            parameters: json!({}),
            constants,
            delay_ms: None,
            until_ms: None,
        }]
    }

    fn has_more(&self) -> bool {
        false
    }

    fn child_ended(&mut self, _: u32, _: ChildEnd) -> Result<(), String> {
        self.ended += 1;
        self.text.clear();
        self.changed = true;
        Ok(())
    }

    fn ask(&mut self, _: &Asked) -> Result<(), String> {
        Err("nobody asks it anything".to_owned())
    }

    fn take_stops(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn next_to_end(&mut self, _: usize) -> Vec<u32> {
        Vec::new()
    }

    fn open(&self) -> Vec<u32> {
        (self.ended + 1..=self.started).collect()
    }

    fn due_ms(&self) -> Option<i64> {
        None
    }

    fn time_passed(&mut self) {}

    fn standing(&self) -> Standing {
        match self.ended {
            2 => Standing::Over { status: Status::Succeeded, note: Note::NONE, result: Value::Null },
            _ => Standing::Running,
        }
    }

    fn frozen(&self) -> Option<Value> {
        None
    }

    fn gathered_bytes(&self) -> usize {
        self.gathered_bytes
    }

    fn take_changes(&mut self) -> Vec<Changed> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        let value = json!([self.text, self.ended, self.started]).to_string();
        vec![Changed { key: "text".to_owned(), value: Some(value) }]
    }
}

struct Files(Large);

impl PackFiles for Files {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }

    fn workflow(&self, _: &str, _: WorkflowLanguage) -> Result<Arc<dyn Workflow>, Vec<SpecError>> {
        Ok(Arc::new(self.0))
    }
}

/// The runner of an action that is such a workflow.
pub(super) fn runner(action: &str) -> Option<Arc<RunnerSpec>> {
    let bytes = match action {
        "demo.large" => 2_500_000,
        "demo.too_large" => PIECE_BYTES_MAX,
        _ => return None,
    };
    let keys = Map::from_iter([("workflow".to_owned(), Value::from("workflows/x.yaml"))]);
    Some(Arc::new(RunnerSpec::parse("workflow", &keys, &Files(Large(bytes))).unwrap()))
}

/// A child of the first execution ends; the rows that this leads to.
fn ended(owner: &mut Owner, number: u32) -> Vec<ExecutionChanged> {
    let child = TaskResult { execution_id: format!("{}.{number}", id(1)), ..result(1, 1, "succeeded") };
    let written = owner.written_of(encode(&child));
    let row = |value: &[u8]| match AuditRecord::decode(value) {
        Ok(AuditRecord::ExecutionChanged(row)) => Some(row),
        _ => None,
    };
    written.iter().filter_map(|output| row(output.value.as_deref().unwrap())).collect()
}

/// Keys of the first execution's pieces, without what they begin with.
fn keys(owner: &Owner) -> Vec<String> {
    let prefix = format!("{}/w/", id(1));
    let keys = owner.state.scan(prefix.as_bytes()).map(|(key, _)| String::from_utf8(key.into_owned()).unwrap());
    keys.take_while(|key| key.starts_with(&prefix)).map(|key| key[prefix.len()..].to_owned()).collect()
}

#[test]
fn whoever_goes_on_with_it_has_all_of_it_and_nothing_is_left_in_the_end() {
    for restarts in [false, true] {
        let mut owner = Owner::new();
        owner.act(&Do::Request(1, "demo.large", "now"));
        assert_eq!(keys(&owner), ["text", "text/+0001", "text/+0002"]);
        if restarts {
            owner.restart();
        }
        ended(&mut owner, 1);
        assert_eq!(keys(&owner), ["~000000"], "what is remembered became small, and stands in a page");
        ended(&mut owner, 2);
        assert_eq!(owner.status(1), Some("succeeded"));
        owner.act(&Do::Wait(8 * DAY_MS, true));
        assert!(owner.state.is_empty());
    }
}

#[test]
fn one_of_which_a_part_is_missing_ends_and_says_so() {
    let mut owner = Owner::new();
    owner.act(&Do::Request(1, "demo.large", "now"));
    owner.state.delete(format!("{}/w/text/+0002", id(1)).as_bytes());
    owner.restart();
    let rows = ended(&mut owner, 1);
    let row = rows.last().unwrap();
    assert_eq!((&*row.execution_id, &*row.status), (&*id(1), "failed"));
    assert_eq!(row.code.as_deref(), Some("workflow_unreadable"));
    let why = row.error.as_deref().unwrap();
    assert!(why.ends_with("the part 2 is missing"), "{why}");
}

#[test]
fn one_over_the_limit_of_a_piece_ends_and_names_it() {
    let mut owner = Owner::new();
    let written = owner.written(&Do::Request(1, "demo.too_large", "now"));
    assert_eq!((owner.status(1), written.len()), (Some("failed"), 1), "its children never were");
    let Ok(AuditRecord::ExecutionChanged(row)) = AuditRecord::decode(written[0].value.as_deref().unwrap()) else {
        panic!("no row")
    };
    assert_eq!(row.code.as_deref(), Some("state_too_large"));
    let why = row.error.as_deref().unwrap();
    assert!(why.contains("the piece text of its workflow has") && why.contains("PIECE_BYTES_MAX"), "{why}");
    // Others are not concerned.
    assert_eq!(owner.act(&Do::Request(2, "demo.ok", "now")), ["task 1", "scheduled"]);
}
