//! Steps that were aborted, or died with their process, are done again, and write what they would have written.

use std::collections::HashMap;

use petrel_bus::DriverPoint::{self, AfterCommit, Applied, Assigned, BeforeCommit, Restored, Sent, Stepped};
use petrel_bus::sim::CommitFault::{self, AnswerLost, EndDelayed, EndLost, InDoubt, Lost};
use petrel_execution::Status;
use petrel_schemas::{AuditRecord, Class, ExecutionChanged};
use proptest::prelude::*;
use tokio::sync::oneshot::error::TryRecvError;

use super::process::{Process, Turn};
use super::steps::{Do, LEASE_MS, NOW_MS, result, topics};

/// What becomes of a step.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Committed,
    /// Its first commit is refused.
    Aborted,
    /// The process dies before its first commit counts.
    DiesBefore(Death),
    /// The process dies with its first commit.
    DiesAfter(Death),
    /// The process was killed, and the next one dies at that point.
    DiesTwice(DriverPoint),
}

#[derive(Debug, Clone, Copy)]
enum Death {
    At(DriverPoint),
    /// It must connect anew, for a commit met that.
    Of(CommitFault),
}

fn step() -> impl Strategy<Value = Do> {
    let execution = 0..3_u8;
    let action = prop::sample::select(vec!["demo.ok", "demo.once", "demo.broken", "demo.missing"]);
    let revision = prop::sample::select(vec!["now", "now", "later"]);
    let ended = prop::sample::select(vec!["succeeded", "failed", "timeout", "canceled", "abandoned"]);
    let report = (execution.clone(), 1..4_i64);
    prop_oneof![
        3 => (execution.clone(), action, revision).prop_map(|(n, action, revision)| Do::Request(n, action, revision)),
        4 => report.clone().prop_map(|(n, token)| Do::Claim(n, token)),
        2 => report.clone().prop_map(|(n, token)| Do::Beat(n, token)),
        3 => (report, ended).prop_map(|((n, token), status)| Do::Result(n, token, status)),
        1 => (execution.clone(), 1..4_i64).prop_map(|(n, token)| Do::Decline(n, token)),
        1 => execution.prop_map(Do::Cancel),
        3 => (0..2 * LEASE_MS, any::<bool>()).prop_map(|(ms, caught_up)| Do::Wait(ms, caught_up)),
        1 => Just(Do::Pause),
        1 => prop::option::of(0..4 * LEASE_MS).prop_map(|for_ms| Do::Off("action/demo.ok", for_ms.map(|ms| NOW_MS + ms))),
        1 => Just(Do::On("action/demo.ok")),
        1 => Just(Do::Resume),
        1 => Just(Do::Arrive),
        1 => any::<bool>().prop_map(Do::Rubbish),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    let of = |points: &[DriverPoint], faults: &[CommitFault]| {
        let points = points.iter().copied().map(Death::At);
        prop::sample::select(points.chain(faults.iter().copied().map(Death::Of)).collect::<Vec<_>>())
    };
    let before = of(&[Stepped, Sent, BeforeCommit], &[Lost, EndLost, EndDelayed]);
    let after = of(&[AfterCommit, Applied], &[AnswerLost, InDoubt]);
    prop_oneof![
        6 => Just(Fate::Committed),
        2 => Just(Fate::Aborted),
        2 => before.prop_map(Fate::DiesBefore),
        1 => after.prop_map(Fate::DiesAfter),
        1 => prop::sample::select(vec![Assigned, Restored]).prop_map(Fate::DiesTwice),
    ]
}

/// All steps. A death is a change of the process in either run; with `undisturbed` it comes where nothing is open: before
/// the step is begun, or behind its first commit.
fn run(steps: &[(Do, Fate)], undisturbed: bool) -> Process {
    let mut process = Process::new();
    for (what, fate) in steps {
        process.begin(what);
        match fate {
            Fate::Aborted if !undisturbed => process.fail_commit(CommitFault::Abort),
            Fate::Committed | Fate::Aborted => {}
            Fate::DiesBefore(death) | Fate::DiesAfter(death) if !undisturbed => {
                match death {
                    // Not every commit has outputs to send, and it shall be the first that is undone.
                    Death::At(Sent) => process.crash_at(&[Sent, BeforeCommit]),
                    Death::At(point) => process.crash_at(&[*point]),
                    Death::Of(fault) => process.fail_commit(*fault),
                }
                process.settle_until(|turn| turn == Turn::Died);
                process.take_over();
            }
            Fate::DiesTwice(point) if !undisturbed => {
                process.take_over();
                process.crash_at(&[*point]);
            }
            Fate::DiesBefore(_) | Fate::DiesTwice(_) => process.take_over(),
            Fate::DiesAfter(_) => {
                process.settle_until(|turn| turn == Turn::Committed);
                process.take_over();
            }
        }
        process.settle();
    }
    process
}

/// Rows of an execution are numbered without a gap, and nothing follows a final one, unless the execution was
/// forgotten and asked for again.
fn check_history(rows: &[ExecutionChanged]) {
    let mut expected = 1;
    for row in rows {
        assert_eq!(row.sequence, expected, "{rows:#?}");
        expected = if Status::parse(&row.status).unwrap().is_final() { 1 } else { expected + 1 };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn done_again_is_done_once(steps in prop::collection::vec((step(), fate()), 1..60)) {
        let (disturbed, undisturbed, topics) = (run(&steps, false), run(&steps, true), topics());
        let tasks = topics.tasks("default", Class::Normal);
        let written = [tasks, topics.orders("default"), topics.dead_letters(), topics.audit(), topics.triggers()];
        for topic in written {
            prop_assert_eq!(disturbed.written(&topic), undisturbed.written(&topic), "{}", topic);
        }
        prop_assert_eq!(disturbed.state(), undisturbed.state());

        let mut histories: HashMap<String, Vec<ExecutionChanged>> = HashMap::new();
        for record in disturbed.written(&topics.audit()) {
            if let Ok(AuditRecord::ExecutionChanged(row)) = AuditRecord::decode(&record.value.unwrap()) {
                histories.entry(row.execution_id.clone()).or_default().push(row);
            }
        }
        histories.values().for_each(|rows| check_history(rows));
        // Rules hear of each end once.
        let is_final = |row: &&ExecutionChanged| Status::parse(&row.status).unwrap().is_final();
        let ends = histories.values().flatten().filter(is_final).count();
        prop_assert_eq!(disturbed.written(&topics.triggers()).len(), ends);
    }
}

#[test]
fn what_is_told_beside_the_log_counts_once() {
    let mut process = Process::new();
    process.act(&Do::Request(1, "demo.ok", "now"));
    process.act(&Do::Claim(1, 1));
    let rows = |process: &Process| process.written(&topics().audit()).len();
    let rows_before = rows(&process);
    let mut telling = process.tell(result(1, 1, "succeeded"));
    // What is undone is told again.
    process.fail_commit(CommitFault::Abort);
    assert_eq!(process.turn(), Turn::Busy);
    assert_eq!((telling.committed.try_recv(), process.status(1)), (Err(TryRecvError::Empty), Some("running")));
    process.settle();
    assert_eq!((telling.committed.try_recv(), process.status(1)), (Ok(()), Some("succeeded")));
    assert_eq!(rows(&process), rows_before + 2, "its output and its end");
    assert!(process.is_all_told());
    // The same told again, over the log or not, is stale.
    process.act(&Do::Result(1, 1, "succeeded"));
    let mut again = process.tell(result(1, 1, "succeeded"));
    process.settle();
    assert_eq!((again.committed.try_recv(), rows(&process)), (Ok(()), rows_before + 2));
}

#[test]
fn a_new_owner_releases_what_came_while_nobody_was_there() {
    let mut process = Process::new();
    process.act(&Do::Request(1, "demo.ok", "later"));
    process.take_over();
    process.settle();
    assert_eq!(process.status(1), Some("delayed"));
    process.take_over();
    process.act(&Do::Arrive);
    assert_eq!(process.status(1), Some("scheduled"));
}
