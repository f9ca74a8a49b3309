//! What a workflow comes to that nothing interrupts: the same workflow, driven by a host that ends each child as its
//! parameters say, or as a fault has ended it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use petrel_execution::workflow::{Asked, Begin, ChildEnd, Conduct, RerunTask, Standing, Start};
use petrel_execution::{ActionPlan, Status};
use serde_json::{Map, Value, json};

use super::{outcome, people};
use crate::world::START_MS;

/// Turns after which a workflow is taken for one that never ends.
const TURNS_MAX: usize = 10_000;

/// What is known of the executions of a run that were interrupted.
pub trait Real {
    /// The child that a workflow of the run started for a task for the nth time, from 0.
    fn child(&self, parent: &str, task: &str, nth: usize) -> Option<&str>;
    /// How faults have ended an execution, if they have.
    fn ended_by_faults(&self, id: &str) -> Option<Status>;
    /// How often a workflow has run again, for people let it.
    fn reruns(&self, id: Option<&str>) -> usize;
}

/// A child that a workflow asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// For what it runs.
    pub task: String,
    /// Reference of its action.
    pub action: String,
    /// Its parameters, defaults filled in.
    pub parameters: String,
}

/// What a workflow comes to, and those within it.
#[derive(Debug, Clone)]
pub struct Came {
    /// The execution of the run that is the same one, if there is one.
    pub id: Option<String>,
    /// Reference of the workflow.
    pub action: String,
    /// A final status.
    pub status: Status,
    /// Its output.
    pub output: Value,
    /// Its own children, in their order.
    pub calls: Vec<Call>,
    /// Whether faults have ended one of them.
    pub is_touched: bool,
    /// The workflows that it started.
    pub within: Vec<Came>,
}

/// Drives workflows.
pub struct Host<'h> {
    /// Resolves the actions of a revision.
    pub resolve: &'h dyn Fn(&str) -> Option<Arc<ActionPlan>>,
    /// What is known of the run.
    pub real: &'h dyn Real,
    /// Which of so many children that can end ends next.
    pub next: &'h mut dyn FnMut(usize) -> usize,
}

/// One that runs.
struct Running {
    came: Came,
    times: BTreeMap<String, usize>,
    /// Those that have ended, and were not told yet.
    ended: VecDeque<(u32, ChildEnd)>,
    /// Those that never end by themselves.
    hanging: Vec<u32>,
    /// Questions that nobody answers.
    questions: Vec<u32>,
    /// How often it has still to run again.
    reruns: usize,
}

impl Host<'_> {
    /// What a workflow comes to with these parameters, defaults filled in; `depth` workflows stand above it.
    ///
    /// # Errors
    /// It never ends, or is none.
    pub fn run(&mut self, action: &str, parameters: &str, id: Option<&str>, depth: u32) -> Result<Came, String> {
        let plan = (self.resolve)(action).ok_or_else(|| format!("there is no action {action}"))?;
        let workflow = plan.runner.workflow().ok_or_else(|| format!("{action} is no workflow"))?;
        let parameters: Map<String, Value> = serde_json::from_str(parameters).map_err(|e| e.to_string())?;
        let about = Map::new();
        let mut now_ms = START_MS;
        let begin = Begin { parameters: &parameters, about: &about, depth, now_ms };
        let mut conduct = workflow.begin(begin).map_err(|note| format!("{action} cannot begin: {note:?}"))?;
        let came = Came {
            id: id.map(str::to_owned),
            action: action.to_owned(),
            status: Status::Requested,
            output: Value::Null,
            calls: Vec::new(),
            is_touched: false,
            within: Vec::new(),
        };
        // Only one that was asked for by itself.
        let reruns = if depth == 0 { self.real.reruns(id) } else { 0 };
        let mut running = Running {
            came,
            times: BTreeMap::new(),
            ended: VecDeque::new(),
            hanging: Vec::new(),
            questions: Vec::new(),
            reruns,
        };
        for _ in 0..TURNS_MAX {
            conduct.set_now(now_ms);
            for start in conduct.starts(usize::MAX) {
                let number = start.number;
                self.start(&mut running, start, depth)?;
                if running.questions.contains(&number) {
                    conduct.child_rests(number, true);
                }
            }
            for number in conduct.take_stops() {
                running.hanging.retain(|hanging| *hanging != number);
                running.questions.retain(|question| *question != number);
                running.ended.retain(|(ended, _)| *ended != number);
                running.ended.push_back((number, ChildEnd { status: Status::Canceled, result: Value::Null }));
            }
            if !running.ended.is_empty() {
                let place = (self.next)(running.ended.len());
                if let Some((number, end)) = running.ended.remove(place) {
                    conduct.child_ended(number, end)?;
                }
            } else if let Some(standing) = over(conduct.as_ref()) {
                let Standing::Over { status, mut result, .. } = standing else { break };
                if let Some(tasks) = running.runs_again() {
                    conduct.ask(&Asked::Rerun(tasks)).map_err(|why| format!("{action} cannot run again: {why}"))?;
                    continue;
                }
                running.came.status = status;
                running.came.output = result["output"].take();
                return Ok(running.came);
            } else if !decide(action, conduct.as_mut())? {
                now_ms = running.pass(conduct.as_mut(), now_ms)?;
            }
        }
        Err(format!("{action} is not over after {TURNS_MAX} turns"))
    }

    fn start(&mut self, running: &mut Running, start: Start, depth: u32) -> Result<(), String> {
        let Start { number, task, action, parameters, .. } = start;
        let plan = (self.resolve)(&action).ok_or_else(|| format!("there is no action {action}"))?;
        let complete = plan.parameters.complete(&parameters).map_err(|e| e.to_string())?;
        let text = complete.to_string();
        let times = running.times.entry(task.clone()).or_default();
        let nth = std::mem::replace(times, *times + 1);
        let id = running.came.id.as_deref().and_then(|parent| self.real.child(parent, &task, nth)).map(str::to_owned);
        running.came.calls.push(Call { task, action: action.clone(), parameters: text.clone() });
        let by_faults = id.as_deref().and_then(|id| self.real.ended_by_faults(id));
        running.came.is_touched |= by_faults.is_some();
        let end = if let Some(status) = by_faults {
            Some((status, Value::Null))
        } else if action == people::ASK {
            outcome::of_task(&action, &complete)
        } else if plan.runner.workflow().is_some() {
            let within = self.run(&action, &text, id.as_deref(), depth + 1)?;
            let end = (within.status, json!({ "output": within.output }));
            running.came.within.push(within);
            Some(end)
        } else {
            outcome::of_task(&action, &complete)
        };
        match end {
            Some((status, result)) => running.ended.push_back((number, ChildEnd { status, result })),
            None if action == people::ASK => running.questions.push(number),
            None => running.hanging.push(number),
        }
        Ok(())
    }
}

impl Running {
    /// From which tasks it runs again now, if it does.
    fn runs_again(&mut self) -> Option<Vec<RerunTask>> {
        self.reruns = self.reruns.checked_sub(1)?;
        people::rerun(&self.came.action)
    }

    /// Nothing ends by itself: time passes.
    fn pass(&mut self, conduct: &mut dyn Conduct, now_ms: i64) -> Result<i64, String> {
        if conduct.has_more() {
            return Ok(now_ms);
        }
        if let Some(due_ms) = conduct.due_ms() {
            let now_ms = now_ms.max(due_ms);
            conduct.set_now(now_ms);
            conduct.time_passed();
            return Ok(now_ms);
        }
        match self.hanging.pop() {
            Some(number) => {
                self.ended.push_back((number, ChildEnd { status: Status::Timeout, result: Value::Null }));
                Ok(now_ms)
            }
            None => Err(format!("{} is stranded: {:?}", self.came.action, conduct.standing())),
        }
    }
}

/// How it stands, if it is over and none of its children is open.
fn over(conduct: &dyn Conduct) -> Option<Standing> {
    let is_over = |standing: &Standing| matches!(standing, Standing::Over { .. });
    Some(conduct.standing()).filter(is_over).filter(|_| conduct.open().is_empty())
}

/// What people decide where it has come to rest frozen; whether it has.
fn decide(action: &str, conduct: &mut dyn Conduct) -> Result<bool, String> {
    let Some(frozen) = conduct.frozen().filter(|_| conduct.standing() == Standing::Paused) else { return Ok(false) };
    for decision in people::decisions(action, &frozen) {
        let why = |why: String| format!("{action}: {decision} is refused: {why}");
        conduct.ask(&Asked::Decide(decision.clone())).map_err(why)?;
    }
    Ok(true)
}
