//! Native workflows under random events: none gets stuck, and restoring changes nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::rehearsal::{Rehearsal, SECOND, rehearse};
use super::*;

/// Everything at once.
const ALL: &str = "timeout: 2h\non_error: pause\non_freeze: {notify: {action: p, input: {f: <% ctx().frozen %>}}, remind: {every: \
                   60s, action: p}}\nvars: [{v: 1}]\noutput: [{v: <% ctx(v) %>}]\ntasks:\n  a:\n    action: x\n    \
                   timeout: 60s\n    retry: {count: 1}\n    undo: {action: ua, input: {r: <% result() %>}}\n    next: [{on: \
                   succeeded, publish: [{v: 2}], do: [many, ask]}, {on: timeout, do: late}]\n  many:\n    map: {items: <% \
                   range(7) %>, as: n, chunk: 4, concurrency: 3, failures_max: 2}\n    action: x\n    timeout: 100s\n    undo: \
                   {action: um, input: {n: <% item(n) %>}}\n    next: [{on: succeeded, do: end}]\n  ask:\n    approve: {question: q, \
                   expires: 5m, default: yes, remind: {every: 60s, action: m}, notify: {action: n}}\n    next: [{on: succeeded, \
                   publish: [{v: <% result() %>}], do: end}]\n  each: {with: \"x in <% range(3) %>\", action: x, undo: {action: \
                   ue}, next: [{on: succeeded, do: end}]}\n  late: {action: x, on_error: fail, next: [{do: fail}]}\n  end: {join: \
                   all, action: x v=<% ctx(v) %>}\n  tell: {action: t}\nfinally: [tell, {action: l, input: {w: <% \
                   ctx().workflow.status %>}}]\n";

/// Routes, a cycle, and what fails and is undone.
const ROUTES: &str = "timeout: 1h\nrollback: on_fail\nvars: [{i: 0}]\ntasks:\n  start: {action: x, timeout: 50s, undo: \
                      {action: u}, next: [{on: succeeded, do: [l, r]}, {on: timeout, do: [mail, fail]}]}\n  l: {action: x, \
                      next: [{on: succeeded, do: s}]}\n  r: {action: x, on_error: pause, next: [{on: succeeded, do: s}]}\n  s: \
                      {action: x, undo: {action: us}, timeout: 80s, next: [{on: succeeded, do: again}, {on: timeout, do: \
                      again}]}\n  again: {action: x, undo: {action: ua}, next: [{on: succeeded, publish: [{i: <% ctx(i) + 1 \
                      %>}], do: turn}]}\n  turn: {action: x, next: [{when: <% succeeded() and ctx(i) < 3 %>, do: \
                      again}]}\n  mail: {action: m}\nfinally: [{action: f}]\n";

/// A linear congruential generator: the same numbers from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// Something that has begun, as its host knows it.
#[derive(Clone)]
struct Child {
    task: String,
    route: u32,
    item: Option<usize>,
    question: bool,
}

struct Host {
    random: Random,
    children: Vec<Child>,
    now_ms: i64,
}

impl Host {
    fn tell(&mut self, one: &mut Rehearsal, child: &Child, status: Status) {
        let Child { task, route, item, .. } = child;
        let event = match item {
            None => Event::Action { status, result: Value::text("r") },
            Some(item) => {
                let ends = one.conductor.ends_with(task, *route, *item, status);
                let accumulated = if ends { Value::List((0..7).map(Value::from).collect()) } else { Value::Null };
                Event::Item { item: *item, status, result: Value::text("r"), accumulated }
            }
        };
        one.step(|conductor| conductor.update(task, *route, event).unwrap());
    }

    /// Starts something that is offered.
    fn start(&mut self, one: &mut Rehearsal) {
        let tasks = one.step(Conductor::next_tasks);
        if tasks.is_empty() {
            return;
        }
        let task = &tasks[self.random.below(tasks.len())];
        let (id, route) = (task.id.to_string(), task.route);
        let children: Vec<Child> = match task.ask {
            Some(_) => vec![Child { task: id, route, item: None, question: true }],
            None => {
                let of = |action: &ActionSpec| {
                    let item = action.item.filter(|_| task.items_count.is_some());
                    Child { task: id.clone(), route, item, question: false }
                };
                task.actions.iter().map(of).collect()
            }
        };
        for child in children {
            self.tell(one, &child, if child.question { Status::Pending } else { Status::Running });
            self.children.push(child);
        }
    }

    /// Ends something that has begun.
    fn end(&mut self, one: &mut Rehearsal, succeeds: bool) {
        if self.children.is_empty() {
            return;
        }
        let child = self.children.swap_remove(self.random.below(self.children.len()));
        let status = match self.random.below(6) {
            _ if succeeds => Status::Succeeded,
            0 => Status::Failed,
            1 if !child.question => Status::Timeout,
            _ => Status::Succeeded,
        };
        self.tell(one, &child, status);
    }

    fn decide(&mut self, one: &mut Rehearsal) {
        let Some(frozen) = one.conductor.frozen().filter(|_| one.status() == Status::Paused) else { return };
        let task = &frozen.tasks[self.random.below(frozen.tasks.len())];
        let (task, route) = (task.task.to_string(), task.route);
        let variables: Map = [(Arc::from("v"), Value::from(3))].into_iter().collect();
        let decision = match self.random.below(9) {
            0 => Decision::Rollback,
            1 | 2 => Decision::Resume { variables },
            3 | 4 => Decision::Skip { task, route, result: Value::Null },
            reset => Decision::Retry { task, route, reset_items: reset == 5, input: variables },
        };
        one.step(|conductor| conductor.decide(decision).unwrap());
    }

    /// Forgets what is to be stopped, as a host that has stopped it.
    fn stop(&mut self, one: &mut Rehearsal) {
        for (task, route) in one.step(Conductor::take_stops) {
            self.children.retain(|child| *child.task != *task || child.route != route);
        }
    }
}

fn play(seed: u64, one: &mut Rehearsal) -> Status {
    let mut host = Host { random: Random(seed), children: Vec::new(), now_ms: 0 };
    for turn in 0..2_000 {
        // Later on nothing fails any more, so that each comes to an end.
        let calm = turn > 60;
        match host.random.below(if calm { 5 } else { 10 }) {
            0 | 1 => host.start(one),
            2 | 3 => host.end(one, calm),
            4 => host.decide(one),
            5 => {
                host.now_ms += i64::try_from(host.random.below(40)).unwrap() * SECOND;
                one.at(host.now_ms);
            }
            6 if host.random.below(8) == 0 => drop(one.step(|conductor| conductor.request(Status::Pausing))),
            7 => drop(one.step(|conductor| conductor.request(Status::Resuming))),
            8 if host.random.below(20) == 0 => drop(one.step(|conductor| conductor.request(Status::Canceling))),
            9 => drop(one.step(|conductor| conductor.take_notices(usize::MAX))),
            _ => {}
        }
        host.stop(one);
        if one.status().is_completed() {
            return one.status();
        }
        if calm && one.status() == Status::Paused && one.conductor.frozen().is_none() {
            one.request(Status::Resuming);
        }
    }
    panic!("seed {seed} is stuck: {} with {:?}", one.status(), one.conductor.task_runs().collect::<Vec<_>>());
}

#[test]
fn none_gets_stuck_and_restoring_changes_nothing() {
    let ends = RefCell::new(BTreeSet::new());
    for text in [ALL, ROUTES] {
        for seed in 0..100 {
            rehearse(text, |one| {
                let end = play(seed, one);
                ends.borrow_mut().insert(end);
            });
        }
    }
    assert_eq!(ends.into_inner(), BTreeSet::from([Status::Succeeded, Status::Failed, Status::Canceled]));
}
