//! Workflows: each comes to its end, and to what an uninterrupted one comes to; none of its children is asked for twice, or
//! is left behind.

use std::collections::{BTreeMap, BTreeSet};

use petrel_execution::Status;
use petrel_execution::code::ASKED_IN_VAIN;
use petrel_execution::workflow::UNTIL_KEY;
use petrel_schemas::{ActionRequest, ExecutionChanged};
use serde_json::{Map, Value};

use super::executions::{is_final, waits_by_a_clock_ahead};
use super::people;
use crate::history::History;
use crate::pack::{self, revisions};
use crate::workflows::people::{ASK, freezes};
use crate::workflows::uninterrupted::{Call, Came, Host, Real};
use crate::workflows::{calls_vary, is_exact, is_workflow, outcome};

/// How many workflows were there, as far as they were requested by themselves, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests.
    pub requested: usize,
    /// Those that succeeded.
    pub succeeded: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that were canceled.
    pub canceled: usize,
    /// How often one of them, or of those within them, rested.
    pub paused: usize,
    /// What they started, and what that started.
    pub children: usize,
    /// What of that faults have ended.
    pub ended_by_faults: usize,
    /// Questions that somebody answered.
    pub answered: usize,
    /// Questions whose time was over before that.
    pub unanswered: usize,
    /// How often one went on with what somebody had decided.
    pub decided: usize,
    /// How often one ran again that had ended.
    pub reran: usize,
    /// Orders that were in vain.
    pub in_vain: usize,
}

impl Seen {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.requested += other.requested;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.canceled += other.canceled;
        self.paused += other.paused;
        self.children += other.children;
        self.ended_by_faults += other.ended_by_faults;
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.decided += other.decided;
        self.reran += other.reran;
        self.in_vain += other.in_vain;
    }
}

/// What there was of workflows.
pub fn seen(history: &History) -> Seen {
    let requested = requested(history);
    let in_vain = history.dead_letters.iter().filter(|letter| letter.reason == ASKED_IN_VAIN).count();
    let mut seen = Seen { requested: requested.len(), in_vain, ..Seen::default() };
    for (id, rows) in of_workflows(history) {
        seen.paused += rows.iter().filter(|row| row.status == "paused").count();
        seen.reran += people::reruns(rows).count();
        let decided = |row: &&ExecutionChanged| row.error.as_ref().is_some_and(|error| error.contains(" decided by "));
        seen.decided += rows.iter().filter(|row| row.status == "resuming").filter(decided).count();
        let Some(last) = rows.last() else { continue };
        if last.action == ASK {
            seen.answered += usize::from(last.status == "succeeded");
            seen.unanswered += usize::from(last.status == "canceled" && !history.canceled.contains(root(id)));
        }
        if parent(id).is_some() {
            seen.children += 1;
            seen.ended_by_faults += usize::from(outcome::is_of_faults(last.code.as_deref()));
            continue;
        }
        match last.status.as_str() {
            "succeeded" => seen.succeeded += 1,
            "failed" => seen.failed += 1,
            "canceled" => seen.canceled += 1,
            _ => {}
        }
    }
    seen
}

/// Requests for workflows, each once.
fn requested(history: &History) -> BTreeMap<&str, &ActionRequest> {
    let of_workflow = history.requests.iter().filter(|request| is_workflow(&request.action));
    of_workflow.map(|request| (request.execution_id.as_str(), request)).collect()
}

fn root(id: &str) -> &str {
    id.split('.').next().unwrap_or_default()
}

fn parent(id: &str) -> Option<&str> {
    id.rsplit_once('.').map(|(parent, _)| parent)
}

/// The number of a child among those of its parent.
fn number(id: &str) -> u32 {
    id.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or_default()
}

/// What was requested, and all that it started.
fn of_workflows(history: &History) -> impl Iterator<Item = (&String, &Vec<ExecutionChanged>)> {
    let requested = requested(history);
    history.changes.iter().filter(move |(id, _)| requested.contains_key(root(id)))
}

/// Each child begins once, and is for one task as long as it lives.
pub fn children_once(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, rows) in of_workflows(history).filter(|(id, _)| parent(id).is_some()) {
        let begun = rows.iter().filter(|row| row.sequence == 1).count();
        if begun != 1 {
            wrong.push(format!("{id} was requested {begun} times"));
        }
        if rows.iter().any(|row| row.task != rows[0].task || row.task.is_none()) {
            wrong.push(format!("{id} is for {:?} and for another task", rows[0].task));
        }
    }
    wrong
}

/// When a workflow is over, so is all that it started.
pub fn none_outlives_its_parent(history: &History) -> Vec<String> {
    let outlives = |(id, rows): (&String, &Vec<ExecutionChanged>)| {
        let parent_at = history.ended_at.get(parent(id)?)?;
        let lives = history.ended_at.get(id).is_none_or(|ended_at| ended_at > parent_at);
        lives.then(|| format!("{id}, for {:?}, was open when its parent was over", rows[0].task))
    };
    of_workflows(history).filter_map(outlives).collect()
}

/// Every workflow that was requested, and everything that it started, is over.
pub fn all_over(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, rows) in of_workflows(history) {
        if let Some(row) = rows.last().filter(|row| !is_final(&row.status)) {
            let (status, task, action, code) = (&row.status, &row.task, &row.action, &row.code);
            wrong.push(format!("{id} ({action}, for {task:?}) is still {status}, {code:?} {:?}", row.error));
        }
    }
    wrong
}

/// Whether something waits by a clock ahead for which others may wait, workflows or gates, and no worker has anything that runs.
pub fn wait_by_a_clock_ahead(history: &History) -> bool {
    let runs = |row: &ExecutionChanged| row.status == "running" && row.worker.is_some();
    let is_open = |rows: &Vec<ExecutionChanged>| rows.last().is_some_and(|row| !is_final(&row.status));
    let waits = history.changes.iter().any(|(id, rows)| is_open(rows) && waits_by_a_clock_ahead(history, id));
    waits && !history.changes.values().any(|rows| rows.last().is_some_and(runs))
}

/// Whoever is forgotten has left nothing.
pub fn nothing_left(history: &History) -> Vec<String> {
    let owner_of = |key: &[u8]| key.windows(3).position(|part| part == b"/w/").map(|at| key[..at].to_vec());
    let is_left = |key: &&Vec<u8>| owner_of(key).is_some_and(|id| !history.remembered.contains(&id));
    let left = history.remembered.iter().filter(is_left);
    left.map(|key| format!("{} is left of what is forgotten", String::from_utf8_lossy(key))).collect()
}

/// Once the time is over for which workflows and their children are remembered, nothing of them is.
pub fn all_forgotten(history: &History) -> Vec<String> {
    let requested = requested(history);
    let root_of = |key: &[u8]| {
        let end = key.iter().position(|byte| b"./".contains(byte)).unwrap_or(key.len());
        String::from_utf8_lossy(&key[..end]).into_owned()
    };
    let left = history.remembered.iter().filter(|key| requested.contains_key(root_of(key).as_str()));
    left.map(|key| format!("{} is remembered still", String::from_utf8_lossy(key))).collect()
}

/// What became of the executions of a run.
struct OfRun<'h> {
    history: &'h History,
    /// The children of each workflow, by task, in the order in which they were asked for.
    children: BTreeMap<(&'h str, &'h str), Vec<&'h str>>,
}

impl<'h> OfRun<'h> {
    fn new(history: &'h History) -> Self {
        let mut children: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (id, rows) in of_workflows(history) {
            if let (Some(parent), Some(task)) = (parent(id), rows[0].task.as_deref()) {
                children.entry((parent, task)).or_default().push(id);
            }
        }
        children.values_mut().for_each(|ids| ids.sort_by_key(|id| number(id)));
        Self { history, children }
    }

    fn last(&self, id: &str) -> Option<&'h ExecutionChanged> {
        self.history.changes.get(id)?.last()
    }

    /// The children of a workflow, as it asked for them.
    fn calls(&self, parent: &str) -> Vec<Call> {
        let of_parent = self.children.iter().filter(|((of, _), _)| *of == parent);
        let mut ids: Vec<&str> = of_parent.flat_map(|(_, ids)| ids.iter().copied()).collect();
        ids.sort_by_key(|id| number(id));
        let call = |id: &str| {
            // Its first row may have the parameters as they were given, without defaults.
            let row = self.last(id)?;
            let (task, action, parameters) = (row.task.clone()?, row.action.clone(), timeless(&row.parameters));
            Some(Call { task, action, parameters })
        };
        ids.into_iter().filter_map(call).collect()
    }
}

/// Parameters without the time until when a question waits, which no two runs have in common.
fn timeless(parameters: &str) -> String {
    let mut read: Map<String, Value> = serde_json::from_str(parameters).unwrap_or_default();
    match read.remove(UNTIL_KEY) {
        Some(_) => Value::Object(read).to_string(),
        None => parameters.to_owned(),
    }
}

impl Real for OfRun<'_> {
    fn child(&self, parent: &str, task: &str, nth: usize) -> Option<&str> {
        self.children.get(&(parent, task))?.get(nth).copied()
    }

    fn ended_by_faults(&self, id: &str) -> Option<Status> {
        let last = self.last(id).filter(|last| outcome::is_of_faults(last.code.as_deref()))?;
        Status::parse(&last.status).filter(|status| status.is_final())
    }

    fn reruns(&self, id: Option<&str>) -> usize {
        let rows = id.and_then(|id| self.history.changes.get(id)).map_or(&[][..], Vec::as_slice);
        people::reruns(rows).count()
    }
}

/// A workflow comes to what an uninterrupted one comes to, but for those that somebody canceled.
pub fn as_uninterrupted(history: &History) -> Vec<String> {
    let of_run = OfRun::new(history);
    let mut wrong = Vec::new();
    for (id, request) in requested(history) {
        let is_over = history.ended_at.contains_key(id);
        if !is_over || history.canceled.contains(id) {
            continue;
        }
        match uninterrupted(request, &of_run) {
            Ok(came) => compare(&came, &of_run, &mut wrong),
            Err(why) => wrong.push(format!("{id}: {why}")),
        }
    }
    wrong
}

fn uninterrupted(request: &ActionRequest, of_run: &OfRun<'_>) -> Result<Came, String> {
    let revision = revisions().iter().find(|known| known.compiled.hash() == request.revision);
    let revision = revision.ok_or_else(|| format!("there is no revision {}", request.revision))?;
    let resolve = |action: &str| pack::plan_of(&revision.compiled, action);
    let mut host = Host { resolve: &resolve, real: of_run, next: &mut |_| 0 };
    let plan = resolve(&request.action).ok_or_else(|| format!("there is no action {}", request.action))?;
    let given: Value = serde_json::from_str(&request.parameters).map_err(|e| e.to_string())?;
    let complete = plan.parameters.complete(&given).map_err(|e| e.to_string())?;
    host.run(&request.action, &complete.to_string(), Some(&request.execution_id), 0)
}

/// Whether faults have ended something below it.
fn is_touched(came: &Came) -> bool {
    came.is_touched || came.within.iter().any(is_touched)
}

/// Compares a workflow, and those within it, with the run.
fn compare(came: &Came, of_run: &OfRun<'_>, wrong: &mut Vec<String>) {
    came.within.iter().for_each(|within| compare(within, of_run, wrong));
    let Some((id, last)) = came.id.as_deref().and_then(|id| Some((id, of_run.last(id)?))) else { return };
    // One within another may have been stopped by it.
    let is_stopped = last.status == "canceled" && parent(id).is_some();
    if !is_final(&last.status) || of_run.ended_by_faults(id).is_some() || is_stopped {
        return;
    }
    let action = &came.action;
    // What faults have kept from beginning begins in a rerun beside what was named, and how much that is is nobody's promise.
    if of_run.reruns(Some(id)) > 0 && is_touched(came) && !is_exact(action) {
        return;
    }
    if last.status != came.status.as_str() {
        let (status, wanted, error) = (&last.status, came.status.as_str(), &last.error);
        wrong.push(format!("{id} ({action}) is {status}, {error:?}, and an uninterrupted one is {wanted}"));
        return;
    }
    let has_succeeded = came.status == Status::Succeeded;
    if !(has_succeeded || is_exact(action) && !came.is_touched) {
        return;
    }
    let result: Value = last.result.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if result["output"] != came.output {
        let (output, wanted) = (&result["output"], &came.output);
        wrong.push(format!("{id} ({action}) has come to {output}, and an uninterrupted one to {wanted}"));
    }
    let (mut calls, mut wanted) = (of_run.calls(id), came.calls.clone());
    if !is_exact(action) {
        calls.sort();
        wanted.sort();
    }
    if !are_as_wanted(&calls, &wanted, &calls_vary(action), freezes(action)) {
        wrong.push(format!("{id} ({action}) has asked for {calls:?}, and an uninterrupted one for {wanted:?}"));
    }
}

/// The task of whose items a call is one, if it is one of these.
fn varied<'c>(call: &'c Call, vary: &BTreeSet<String>) -> Option<&'c str> {
    call.task.split_once('[').map(|(task, _)| task).filter(|task| vary.contains(*task))
}

/// Whether a workflow has called what an uninterrupted one calls. Of the items of some tasks it may be fewer; and more where
/// something beside them may freeze either of the two in the middle.
fn are_as_wanted(calls: &[Call], wanted: &[Call], vary: &BTreeSet<String>, freezes: bool) -> bool {
    let are_siblings =
        |one: &Call, other: &Call| varied(one, vary) == varied(other, vary) && one.action == other.action;
    let is_wanted = |call: &Call| match freezes {
        true => wanted.iter().any(|wanted| are_siblings(call, wanted)),
        false => wanted.contains(call),
    };
    let others = |of: &[Call]| of.iter().filter(|call| varied(call, vary).is_none()).cloned().collect::<Vec<_>>();
    let mut items = calls.iter().filter(|call| varied(call, vary).is_some());
    others(calls) == others(wanted) && items.all(is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of tasks, each with one parameter.
    fn calls(of: &[(&str, i64)]) -> Vec<Call> {
        let call = |(task, value): &(&str, i64)| Call {
            task: (*task).to_owned(),
            action: "sim.step".to_owned(),
            parameters: value.to_string(),
        };
        of.iter().map(call).collect()
    }

    #[test]
    fn only_of_items_beside_which_one_fails_others_may_have_run() {
        let vary = BTreeSet::from(["t2".to_owned()]);
        let wanted = calls(&[("t1", 1), ("t2[0]", 1), ("t2[1]", 2), ("t3[0]", 1)]);
        let fewer = calls(&[("t1", 1), ("t2[1]", 2), ("t3[0]", 1)]);
        let more = calls(&[("t1", 1), ("t2[0]", 1), ("t2[1]", 2), ("t2[2]", 3), ("t3[0]", 1)]);
        let fits = |calls: &[Call], freezes| are_as_wanted(calls, &wanted, &vary, freezes);
        for freezes in [false, true] {
            assert!(fits(&wanted, freezes) && fits(&fewer, freezes));
            assert_eq!(fits(&more, freezes), freezes);
            assert!(!fits(&wanted[..3], freezes), "an item of another task");
            assert!(!fits(&calls(&[("t1", 2), ("t3[0]", 1)]), freezes), "a parameter");
        }
        assert!(!are_as_wanted(&fewer, &wanted, &BTreeSet::new(), true));
    }
}
