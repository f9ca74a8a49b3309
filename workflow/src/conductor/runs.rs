//! Every run of every task, in the order in which they began, and the routes that they belong to. Which run of a task is
//! the latest one is in `latest`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::ContextId;
use super::latest::Latest;
use super::status::Status;
use crate::definition::{Definition, TaskIndex};
use crate::expression::Tasks;

/// The number of a run.
pub(crate) type RunId = u32;

/// A task that has begun.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) task: TaskIndex,
    pub(crate) route: u32,
    pub(crate) context: ContextId,
    /// The runs that led to it, by the steps that they took.
    pub(crate) before: Vec<(Arc<str>, RunId)>,
    /// Which of its transitions were taken; none for one that has not been decided.
    pub(crate) next: Vec<Option<bool>>,
    pub(crate) status: Status,
    pub(crate) retry: Option<RetryState>,
    /// Whether nothing comes behind it: its variables are those that the workflow's output sees.
    pub(crate) terminal: bool,
    /// When it is over its time, in milliseconds since 1970; none once it has ended.
    pub(crate) due_ms: Option<i64>,
    /// When people are reminded of its question next.
    pub(crate) remind_ms: Option<i64>,
    /// It was ended whatever ran for it, and what that reports is ignored.
    pub(crate) stopped: bool,
    /// It, or its action, took too long. Native workflows alone tell.
    pub(crate) took_too_long: bool,
    /// How often its status has changed.
    pub(crate) changes: u32,
    /// What led to it runs again, and it counts no more.
    pub(crate) taken_back: bool,
}

/// How often a run is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryState {
    pub(crate) count: i64,
    /// In seconds.
    pub(crate) delay: i64,
    pub(crate) tally: i64,
}

/// What has arrived at a join in one route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Arrived {
    /// Tasks whose latest run has taken a transition to it.
    satisfied: usize,
    /// Tasks that lead to it and have run.
    seen: usize,
}

/// How a join stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinStatus {
    Met,
    /// Some that lead to it may still come.
    Open,
    /// Nobody comes any more.
    Unmet,
}

/// All runs. Whoever evaluates expressions shares them.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    definition: Arc<Definition>,
    list: Vec<Run>,
    latest: Latest,
    routes: Vec<Vec<String>>,
    /// How many latest runs have each status.
    counts: [usize; Status::ALL.len()],
    /// How many of them are questions that are open. They are counted as running.
    asking: usize,
    arrived: BTreeMap<(TaskIndex, u32), Arrived>,
}

impl Runs {
    pub(crate) fn new(definition: Arc<Definition>) -> Self {
        Runs {
            definition,
            list: Vec::new(),
            latest: Latest::default(),
            routes: Vec::new(),
            counts: [0; Status::ALL.len()],
            asking: 0,
            arrived: BTreeMap::new(),
        }
    }

    pub(crate) fn push(&mut self, run: Run) -> RunId {
        let id = RunId::try_from(self.list.len()).unwrap_or(RunId::MAX);
        let (task, route, counts) = (run.task, run.route, !run.taken_back);
        self.list.push(run);
        if counts {
            self.make_latest(task, route, Some(id));
        }
        id
    }

    /// A run counts no more, as if it had never been. The one before it of its task and route is the latest one then.
    pub(crate) fn take_back(&mut self, id: RunId) {
        let run = &self.list[id as usize];
        let (task, route) = (run.task, run.route);
        if self.is_latest(id) {
            let counts = |run: &Run| (run.task, run.route) == (task, route) && !run.taken_back;
            let before = self.list[..id as usize].iter().rposition(counts);
            self.make_latest(task, route, before.and_then(|before| RunId::try_from(before).ok()));
        }
        self.list[id as usize].taken_back = true;
    }

    /// Counts another run, or none, as the latest one of a task in a route.
    fn make_latest(&mut self, task: TaskIndex, route: u32, run: Option<RunId>) {
        let old = self.latest.set(task, route, run);
        if let Some(old) = old {
            self.uncount(self.list[old as usize].status, task);
        }
        if let Some(run) = run {
            self.count_in(self.list[run as usize].status, task);
        }
        for join in &self.definition.task(task).joins {
            let leads = |run: Option<RunId>| run.is_some_and(|run| self.leads_to(&self.list[run as usize], *join));
            let (gone, comes) = (leads(old), leads(run));
            let arrived = self.arrived.entry((*join, route)).or_default();
            arrived.seen += usize::from(run.is_some());
            arrived.seen -= usize::from(old.is_some());
            arrived.satisfied += usize::from(comes);
            arrived.satisfied -= usize::from(gone);
        }
    }

    /// Says of none of a run's transitions that it was taken, because the run's task runs again.
    pub(crate) fn forget_next(&mut self, id: RunId) {
        let (task, route) = (self.list[id as usize].task, self.list[id as usize].route);
        if self.is_latest(id) {
            for join in &self.definition.task(task).joins {
                if self.leads_to(&self.list[id as usize], *join) {
                    self.arrived.entry((*join, route)).or_default().satisfied -= 1;
                }
            }
        }
        self.list[id as usize].next.fill(None);
    }

    /// Whether a run has taken a transition to a join. Transitions stand in the order of what they lead to.
    fn leads_to(&self, run: &Run, join: TaskIndex) -> bool {
        let next = &self.definition.task(run.task).next;
        let first = next.partition_point(|transition| transition.to < join);
        let to_join = next[first..].iter().take_while(|transition| transition.to == join).count();
        run.next[first..first + to_join].contains(&Some(true))
    }

    fn is_latest(&self, id: RunId) -> bool {
        let run = &self.list[id as usize];
        self.latest.get(run.task, run.route) == Some(id)
    }

    pub(crate) fn set_status(&mut self, id: RunId, status: Status) {
        if self.is_latest(id) {
            let run = &self.list[id as usize];
            let (task, old) = (run.task, run.status);
            self.uncount(old, task);
            self.count_in(status, task);
        }
        let run = &mut self.list[id as usize];
        run.changes += u32::from(run.status != status);
        run.status = status;
    }

    fn is_open_question(&self, status: Status, task: TaskIndex) -> bool {
        status == Status::Pending && self.definition.task(task).native.ask.is_some()
    }

    fn count_in(&mut self, status: Status, task: TaskIndex) {
        if self.is_open_question(status, task) {
            self.asking += 1;
            self.counts[Status::Running as usize] += 1;
        } else {
            self.counts[status as usize] += 1;
        }
    }

    fn uncount(&mut self, status: Status, task: TaskIndex) {
        if self.is_open_question(status, task) {
            self.asking -= 1;
            self.counts[Status::Running as usize] -= 1;
        } else {
            self.counts[status as usize] -= 1;
        }
    }

    /// How many questions are open.
    pub(crate) fn asking(&self) -> usize {
        self.asking
    }

    /// Says whether a run has taken a transition.
    pub(crate) fn set_next(&mut self, id: RunId, transition: usize, taken: bool) {
        let run = &self.list[id as usize];
        let (task, route) = (run.task, run.route);
        let to = self.definition.task(task).next[transition].to;
        let arrives = taken
            && self.definition.task(to).join.is_some()
            && self.is_latest(id)
            && !self.leads_to(&self.list[id as usize], to);
        self.list[id as usize].next[transition] = Some(taken);
        if arrives {
            self.arrived.entry((to, route)).or_default().satisfied += 1;
        }
    }

    pub(crate) fn change(&mut self, id: RunId, change: impl FnOnce(&mut Run)) {
        let run = &mut self.list[id as usize];
        let status = run.status;
        change(run);
        debug_assert_eq!(run.status, status, "a status is set by set_status, which counts");
    }

    pub(crate) fn get(&self, id: RunId) -> &Run {
        &self.list[id as usize]
    }

    pub(crate) fn latest(&self, task: TaskIndex, route: u32) -> Option<RunId> {
        self.latest.get(task, route)
    }

    /// The latest runs of each task in each route, in the order in which they began.
    pub(crate) fn latest_in_order(&self) -> Vec<RunId> {
        self.latest.in_order()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (RunId, &Run)> {
        (0..).zip(&self.list)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// How many tasks have, as it stands last, such a status. An open question counts as running.
    pub(crate) fn count(&self, of: impl Fn(Status) -> bool) -> usize {
        Status::ALL.into_iter().filter(|status| of(*status)).map(|status| self.counts[status as usize]).sum()
    }

    pub(crate) fn join_status(&self, join: TaskIndex, route: u32, something_left: bool) -> JoinStatus {
        let Some(wanted) = self.definition.task(join).join else { return JoinStatus::Met };
        let arrived = self.arrived.get(&(join, route)).copied().unwrap_or_default();
        if arrived.satisfied >= wanted.needed {
            JoinStatus::Met
        } else if arrived.seen < wanted.inbound && something_left {
            JoinStatus::Open
        } else {
            JoinStatus::Unmet
        }
    }

    pub(crate) fn push_route(&mut self, steps: Vec<String>) -> u32 {
        self.routes.push(steps);
        u32::try_from(self.routes.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn routes(&self) -> &[Vec<String>] {
        &self.routes
    }
}

impl Tasks for Runs {
    fn status(&self, task: &str, route: usize) -> Option<&str> {
        let task = self.definition.task_index(task)?;
        let run = self.latest(task, u32::try_from(route).ok()?)?;
        Some(self.get(run).status.name())
    }

    fn took_too_long(&self, task: &str, route: usize) -> bool {
        let run = self.definition.task_index(task).zip(u32::try_from(route).ok());
        let run = run.and_then(|(task, route)| self.latest(task, route));
        run.is_some_and(|run| self.get(run).took_too_long)
    }

    fn route(&self, route: usize) -> &[String] {
        self.routes.get(route).map_or(&[], Vec::as_slice)
    }
}
