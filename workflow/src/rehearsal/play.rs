//! Plays a scenario: what is offered begins, and ends when its mock says so, on a clock that jumps to whatever happens
//! next: an end, an answer, a time that is over, or a decision.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use petrel_execution::workflow::AnswerSchema;
use serde_json::Value as Json;

use super::scenario::{Decided, Mock, Scenario};
use super::stage::{Stage, StageError};
use crate::conduct::{EXECUTION, EXECUTION_OF_STACKSTORM};
use crate::conductor::{ActionSpec, Event, NextTask, Notice, Start, Status};
use crate::definition::Definition;
use crate::expression::{List, Map, Value};
use crate::limits::SCENARIO_ENDS_MAX;
use crate::spec::COMMANDS;

/// Plays a scenario, and says where it differs: a line each, and then the path that was taken. None if nothing differs.
pub fn test(definition: &Arc<Definition>, scenario: &Scenario) -> Vec<String> {
    let tasks = scenario.mocks.keys().filter(|task| definition.task_index(task).is_none());
    let absent: Vec<String> = tasks.map(|task| format!("the workflow has no task {task:?}, which is mocked")).collect();
    let absent = absent.into_iter().chain(mistaken(definition, &scenario.mocks)).collect::<Vec<_>>();
    if !absent.is_empty() {
        return absent;
    }
    match play(Arc::clone(definition), scenario) {
        Ok(played) => scenario.expect.differences(&played),
        Err(error) => vec![error.to_string()],
    }
}

/// Mocks that do not fit their tasks: a question is answered, and nothing else is.
fn mistaken(definition: &Definition, mocks: &BTreeMap<String, Mock>) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (task, mock) in mocks {
        let asks = definition.asks(task);
        if !asks && mock.any(|mock| mock.answer.is_some()) {
            mistakes.push(format!("the task {task:?} asks nobody: only one with `approve` has an answer"));
        }
        if asks && mock.any(|mock| !mock.result.is_null()) {
            mistakes.push(format!("the task {task:?} asks people: say what they answer with `answer`"));
        }
    }
    mistakes
}

/// As where people answer: what does not fit the schema of the question is no answer.
fn fits(task: &NextTask, answer: &Value) -> Result<(), StageError> {
    let schema = task.ask.as_ref().map_or(Json::Null, |ask| ask.schema.to_json());
    if schema.is_null() {
        return Ok(());
    }
    let checked = AnswerSchema::compile(&schema).map(|schema| schema.mistakes(&answer.to_json()));
    let mistakes = checked.unwrap_or_else(|why| vec![why]);
    if mistakes.is_empty() { Ok(()) } else { Err(StageError::Answer { task: task.id.to_string(), mistakes }) }
}

/// When scenarios begin: 2026-01-01T00:00:00Z, in milliseconds since the epoch.
const START_MS: i64 = 1_767_225_600_000;

/// A call of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// The task.
    pub task: String,
    /// The number of the item, of a task with items.
    pub item: Option<usize>,
    /// The action's reference.
    pub action: String,
    /// What it was given; `null` if nothing.
    pub input: Json,
}

/// What a workflow did.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// How it ended; `pending` if it waits for answers that nobody gives.
    pub status: Status,
    /// Its output.
    pub output: Json,
    /// The tasks in the order in which they began, commands left out.
    pub path: Vec<String>,
    /// The calls of actions, in their order, what calls people included (`task/notify`).
    pub calls: Vec<Called>,
    /// How many decisions nobody was asked for.
    pub undecided: usize,
    /// What went wrong, in Orquesta's form.
    pub errors: Json,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
}

/// What a native workflow knows of its execution, where a test does not say: everything is called `test`.
fn execution() -> Json {
    let names = [
        "execution_id",
        "action_execution_id",
        "root_execution_id",
        "action",
        "pack",
        "user",
        "rule",
        "trigger",
        "event_id",
        "revision",
    ];
    names.iter().map(|name| ((*name).to_owned(), Json::from("test"))).collect()
}

/// Plays a scenario to the end.
///
/// # Errors
/// What the conductor refuses, and [`SCENARIO_ENDS_MAX`].
pub fn play(definition: Arc<Definition>, scenario: &Scenario) -> Result<Played, StageError> {
    let map = |json: &serde_json::Map<String, Json>| -> Map {
        json.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::from(value.clone()))).collect()
    };
    let mut context = scenario.context.clone();
    if definition.native.is_some() {
        for name in [EXECUTION_OF_STACKSTORM, EXECUTION] {
            context.entry(name).or_insert_with(execution);
        }
    }
    let start =
        Start { inputs: map(&scenario.inputs), context: map(&context), now_ms: Some(START_MS), ..Start::default() };
    let mut play = Play {
        stage: Stage::set(definition, start)?,
        mocks: &scenario.mocks,
        decisions: &scenario.decisions,
        decided_ms: START_MS,
        rests: false,
        now_ms: START_MS,
        ends: BTreeMap::new(),
        counted: 0,
        attempts: HashMap::new(),
        items: HashMap::new(),
        calls: Vec::new(),
    };
    // A mistake in its parameters or variables has failed it before it began.
    if !play.stage.conductor.status().is_completed() {
        play.stage.conductor.request(Status::Running)?;
    }
    play.run_to_end()?;
    Ok(play.played())
}

/// What happens next.
enum Next {
    /// What is to end first ends.
    End,
    /// Something is due at this time, in milliseconds since the epoch.
    Due(i64),
    /// A person decides at this time.
    Decision(i64),
}

/// What is to end at some time.
struct End {
    task: Arc<str>,
    route: u32,
    item: Option<usize>,
    status: Status,
    result: Value,
}

/// The items of a task that runs.
#[derive(Default)]
struct Items {
    attempt: usize,
    /// When the first of them start, in milliseconds since the epoch.
    from_ms: i64,
    begun: Vec<bool>,
    results: Vec<Value>,
}

struct Play<'s> {
    stage: Stage,
    mocks: &'s BTreeMap<String, Mock>,
    /// Those that are still to come.
    decisions: &'s [Decided],
    /// When the last one was made, or the workflow has come to rest since.
    decided_ms: i64,
    /// Whether it rests frozen.
    rests: bool,
    now_ms: i64,
    /// By time and, at the same time, in the order in which they began.
    ends: BTreeMap<(i64, usize), End>,
    counted: usize,
    /// How often each task has begun.
    attempts: HashMap<Arc<str>, usize>,
    items: HashMap<(Arc<str>, u32), Items>,
    calls: Vec<Called>,
}

impl Play<'_> {
    fn run_to_end(&mut self) -> Result<(), StageError> {
        loop {
            self.begin_all()?;
            self.look_whether_it_rests();
            match self.next() {
                None => break,
                Some(Next::End) => {
                    let Some(((at_ms, _), end)) = self.ends.pop_first() else { break };
                    self.move_to(at_ms);
                    self.end(end)?;
                }
                Some(Next::Due(due_ms)) => {
                    self.count()?;
                    self.move_to(due_ms);
                    self.stage.conductor.time_passed()?;
                }
                Some(Next::Decision(at_ms)) => {
                    let Some((decided, rest)) = self.decisions.split_first() else { break };
                    self.decisions = rest;
                    self.move_to(at_ms);
                    self.decided_ms = at_ms;
                    self.stage.conductor.decide(decided.decision.clone())?;
                }
            }
            self.forget_stopped();
        }
        self.stage.conductor.render_output();
        Ok(())
    }

    /// What happens next. What only reminds people does if something else is to come, for it ends nothing. What ends or is
    /// decided just in time is in time.
    fn next(&self) -> Option<Next> {
        let conductor = &self.stage.conductor;
        let end_ms = self.ends.first_key_value().map(|((at_ms, _), _)| *at_ms);
        let decided = self.decisions.first().filter(|_| self.rests);
        let decision_ms = decided.map(|decided| self.decided_ms.saturating_add(decided.after_ms));
        let next_ms = [end_ms, conductor.over_ms(), decision_ms].into_iter().flatten().min()?;
        let due_ms = conductor.due_ms();
        match due_ms {
            Some(due_ms) if due_ms < next_ms => Some(Next::Due(due_ms)),
            _ if end_ms == Some(next_ms) => Some(Next::End),
            _ if decision_ms == Some(next_ms) => Some(Next::Decision(next_ms)),
            _ => Some(Next::Due(next_ms)),
        }
    }

    fn move_to(&mut self, now_ms: i64) {
        self.now_ms = self.now_ms.max(now_ms);
        self.stage.conductor.set_now(Some(self.now_ms));
    }

    /// A person is called once the workflow has come to rest frozen, and decides from then on.
    fn look_whether_it_rests(&mut self) {
        let conductor = &self.stage.conductor;
        let rests = conductor.status() == Status::Paused && conductor.is_frozen();
        if rests && !self.rests {
            self.decided_ms = self.now_ms;
        }
        self.rests = rests;
    }

    /// What ran for tasks that have ended without it does not end any more.
    fn forget_stopped(&mut self) {
        for (task, route) in self.stage.conductor.take_stops() {
            self.ends.retain(|_, end| *end.task != *task || end.route != route);
            self.items.remove(&(task, route));
        }
    }

    /// Begins what is offered, until nothing more is.
    fn begin_all(&mut self) -> Result<(), StageError> {
        loop {
            let mut has_begun = self.call_people()?;
            for task in self.stage.conductor.next_tasks() {
                has_begun |= match task.items_count {
                    None => self.begin(&task)?,
                    Some(0) => self.begin_without_items(&task)?,
                    Some(_) => self.begin_items(&task)?,
                };
            }
            if !has_begun {
                return Ok(());
            }
        }
    }

    /// What calls people ends unheard.
    fn call_people(&mut self) -> Result<bool, StageError> {
        let notices = self.stage.conductor.take_notices(usize::MAX);
        for Notice { task, action, input, .. } in &notices {
            self.count()?;
            let Some(action) = action.as_str() else { continue };
            let (task, action) = (format!("{task}/notify"), action.to_owned());
            self.calls.push(Called { task, item: None, action, input: input.to_json() });
        }
        Ok(!notices.is_empty())
    }

    fn begin(&mut self, task: &NextTask) -> Result<bool, StageError> {
        if task.ask.is_some() {
            return self.ask(task);
        }
        self.tell(task, Event::Action { status: Status::Running, result: Value::Null })?;
        let attempt = self.next_attempt(&task.id);
        task.actions.iter().for_each(|action| self.note(task, action));
        self.end_later(task, attempt, None, self.now_ms.saturating_add(delay_ms(task)))?;
        Ok(true)
    }

    /// A question whose mock has no answer and does not say how else it ends is answered by nobody.
    fn ask(&mut self, task: &NextTask) -> Result<bool, StageError> {
        self.tell(task, Event::Action { status: Status::Pending, result: Value::Null })?;
        let attempt = self.next_attempt(&task.id);
        let Some(mock) = self.mocks.get(&*task.id).map(|mock| mock.of(attempt, None)) else { return Ok(true) };
        let (status, result) = match &mock.answer {
            Some(answer) => {
                fits(task, answer)?;
                (Status::Succeeded, answer.clone())
            }
            None if mock.status == Status::Succeeded => return Ok(true),
            None => (mock.status, Value::Null),
        };
        let at_ms = self.now_ms.saturating_add(delay_ms(task)).saturating_add(mock.takes_ms);
        self.end_at(at_ms, End { task: task.id.clone(), route: task.route, item: None, status, result })?;
        Ok(true)
    }

    fn begin_without_items(&mut self, task: &NextTask) -> Result<bool, StageError> {
        self.tell(task, Event::Action { status: Status::Running, result: Value::Null })?;
        self.tell(task, Event::Action { status: Status::Succeeded, result: Value::List(List::default()) })?;
        Ok(true)
    }

    fn begin_items(&mut self, task: &NextTask) -> Result<bool, StageError> {
        let key = (task.id.clone(), task.route);
        for action in &task.actions {
            let item = action.item.unwrap_or_default();
            let has_begun = self.items.get(&key).is_some_and(|items| items.begun.get(item) == Some(&true));
            // What is offered once more is of another attempt.
            if has_begun || !self.items.contains_key(&key) {
                let from_ms = self.now_ms.saturating_add(delay_ms(task));
                let results = self.items.remove(&key).map(|items| items.results).unwrap_or_default();
                let results = self.kept(task, results);
                let items = Items { attempt: self.next_attempt(&task.id), from_ms, results, ..Items::default() };
                self.items.insert(key.clone(), items);
            }
            let items = self.items.entry(key.clone()).or_default();
            let count = task.items_count.unwrap_or_default().max(item + 1);
            items.begun.resize(count, false);
            items.results.resize(count, Value::Null);
            items.begun[item] = true;
            let (attempt, from_ms, accumulated) = (items.attempt, items.from_ms, results(items));
            self.tell(task, Event::Item { item, status: Status::Running, result: Value::Null, accumulated })?;
            self.note(task, action);
            self.end_later(task, attempt, Some(item), from_ms.max(self.now_ms))?;
        }
        Ok(!task.actions.is_empty())
    }

    /// The results of the items that do not run again.
    fn kept(&self, task: &NextTask, results: Vec<Value>) -> Vec<Value> {
        let runs_again = |item| {
            let status = self.stage.conductor.item_status(&task.id, task.route, item);
            status.is_none_or(|status| status == Status::Unset)
        };
        let kept = |(item, result)| if runs_again(item) { Value::Null } else { result };
        results.into_iter().enumerate().map(kept).collect()
    }

    fn tell(&mut self, task: &NextTask, event: Event) -> Result<(), StageError> {
        self.stage.conductor.update(&task.id, task.route, event)?;
        Ok(())
    }

    fn next_attempt(&mut self, task: &Arc<str>) -> usize {
        let begun = self.attempts.entry(task.clone()).or_default();
        *begun += 1;
        *begun - 1
    }

    /// A task without an action calls nothing.
    fn note(&mut self, task: &NextTask, action: &ActionSpec) {
        let Some(reference) = action.action.as_str() else { return };
        let input = action.input.to_json();
        self.calls.push(Called { task: task.id.to_string(), item: action.item, action: reference.to_owned(), input });
    }

    fn end_later(
        &mut self,
        task: &NextTask,
        attempt: usize,
        item: Option<usize>,
        from_ms: i64,
    ) -> Result<(), StageError> {
        let nothing = Mock::default();
        let mock = self.mocks.get(&*task.id).unwrap_or(&nothing).of(attempt, item);
        let at_ms = from_ms.saturating_add(mock.takes_ms);
        let (status, result) = (mock.status, mock.result.clone());
        self.end_at(at_ms, End { task: task.id.clone(), route: task.route, item, status, result })
    }

    fn end_at(&mut self, at_ms: i64, end: End) -> Result<(), StageError> {
        self.count()?;
        self.ends.insert((at_ms, self.counted), end);
        Ok(())
    }

    /// One thing more that happens.
    fn count(&mut self) -> Result<(), StageError> {
        self.counted += 1;
        if self.counted > SCENARIO_ENDS_MAX {
            return Err(StageError::TooLong { count: SCENARIO_ENDS_MAX, what: "ends", limit: "SCENARIO_ENDS_MAX" });
        }
        Ok(())
    }

    fn end(&mut self, end: End) -> Result<(), StageError> {
        let End { task, route, item, status, result } = end;
        let event = match item {
            None => Event::Action { status, result },
            Some(item) => {
                let items = self.items.entry((task.clone(), route)).or_default();
                if let Some(kept) = items.results.get_mut(item) {
                    *kept = result.clone();
                }
                Event::Item { item, status, result, accumulated: results(items) }
            }
        };
        self.stage.conductor.update(&task, route, event)?;
        Ok(())
    }

    fn played(self) -> Played {
        let runs = self.stage.conductor.task_runs();
        let path = runs.map(|run| run.task.to_string()).filter(|task| !COMMANDS.contains(&task.as_str()));
        let waits = self.stage.conductor.waits_for_answers_alone();
        Played {
            status: if waits { Status::Pending } else { self.stage.conductor.status() },
            undecided: self.decisions.len(),
            output: self.stage.output(),
            path: path.collect(),
            errors: self.stage.errors(),
            took_ms: self.now_ms - START_MS,
            calls: self.calls,
        }
    }
}

/// The wait before a task begins, which is written in seconds.
fn delay_ms(task: &NextTask) -> i64 {
    task.delay.unwrap_or_default().max(0).saturating_mul(1_000)
}

fn results(items: &Items) -> Value {
    Value::List(items.results.iter().cloned().collect())
}
