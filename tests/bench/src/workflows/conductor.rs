//! What the conductor of workflows does in a second, alone, in memory and on one thread.
//!
//! A transition is an event that the conductor takes. Each task gets two, as it begins and as it ends, and behind each
//! end the tasks to start are asked for and begin, and the pieces that have changed are taken, as an owner does it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use petrel_workflow::Definition;
use petrel_workflow::conductor::{Conductor, Event, Start, Status};
use petrel_workflow::expression::{Dialect, Value};
use petrel_workflow::limits::Limits;

use crate::executions::table::{Bar, Table};
use crate::ratio::spread;
use crate::timed::thread_cpu;

/// Where its rows stand in the table: it is on no bus.
const ALONE: &str = "alone";
/// How often each shape and size is measured, in turn.
const ROUNDS: usize = 5;
/// Transitions in a second of one core; Orquesta's conductor makes 650.
const TRANSITIONS_PER_S: f64 = 100_000.0;
/// How much of the rate of a small workflow a large one has to have. It is to be no dearer, and rounds differ by a
/// twentieth.
const OF_SMALL: f64 = 0.95;

/// The shapes of workflows.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// One task after the other, each publishes a variable.
    Sequence,
    /// One task, many behind it, and one that joins them.
    FanOut,
    /// One task with items.
    Items,
}

impl Shape {
    const ALL: [Shape; 3] = [Shape::Sequence, Shape::FanOut, Shape::Items];

    /// How many tasks, or items.
    fn sizes(self) -> &'static [usize] {
        match self {
            Shape::Sequence | Shape::FanOut => &[10, 100, 1_000],
            Shape::Items => &[10, 100, 1_000, 10_000],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Shape::Sequence => "tasks in a row",
            Shape::FanOut => "tasks between a fork and a join",
            Shape::Items => "items of a task",
        }
    }

    fn text(self, size: usize) -> String {
        let mut text = String::from("version: 1.0\nvars:\n  - n: 0\n");
        match self {
            Shape::Sequence => {
                text += "tasks:\n";
                for task in 0..size {
                    text += &format!(
                        "  t{task}:\n    action: core.noop\n    input: {{n: <% ctx(n) %>}}\n    next:\n      - when: <% \
                         succeeded() %>\n        publish: [{{n: <% result() %>}}]\n        do: t{}\n",
                        task + 1
                    );
                }
                text += &format!("  t{size}: {{action: core.noop}}\n");
            }
            Shape::FanOut => {
                let names: Vec<_> = (0..size).map(|task| format!("t{task}")).collect();
                text += &format!("tasks:\n  a:\n    action: core.noop\n    next: [{{do: [{}]}}]\n", names.join(", "));
                for name in names {
                    text += &format!("  {name}: {{action: core.noop, next: [{{when: <% succeeded() %>, do: z}}]}}\n");
                }
                text += "  z: {join: all, action: core.noop}\n";
            }
            Shape::Items => {
                text += &format!(
                    "tasks:\n  each:\n    with: {{items: \"x in <% range({size}) %>\", concurrency: 10}}\n    action: \
                     core.noop\n    input: {{x: <% item(x) %>}}\n"
                );
            }
        }
        text
    }
}

/// Rows of the rates of every shape and size, and of what the largest has of the smallest.
pub(super) fn measure(seconds: f64, table: &mut Table) -> Result<()> {
    for shape in Shape::ALL {
        let mut sizes = Vec::new();
        for size in shape.sizes() {
            sizes.push((*size, Arc::new(Definition::read(&shape.text(*size), Dialect::Orquesta)?), Vec::new()));
        }
        for _ in 0..ROUNDS {
            for (_, definition, rates) in &mut sizes {
                rates.push(rate(definition, Duration::from_secs_f64(seconds))?);
            }
        }
        for (size, _, rates) in &sizes {
            let what = format!("transitions, {}, {size}", shape.name());
            table.add(ALONE, &what, middle(rates), "/s", Bar::AtLeast(TRANSITIONS_PER_S));
        }
        if let [(small, _, of_small), .., (large, _, of_large)] = &sizes[..] {
            let ratios: Vec<f64> = of_small.iter().zip(of_large).map(|(small, large)| large / small).collect();
            let what = format!("{}, {large} over {small}", shape.name());
            table.add(ALONE, &what, middle(&ratios), "", Bar::AtLeast(OF_SMALL));
        }
    }
    Ok(())
}

fn middle(rates: &[f64]) -> f64 {
    spread(rates).map_or(0.0, |(_, median, _)| median)
}

/// Transitions in a second of CPU time, over as many runs of the workflow as fit the time.
fn rate(definition: &Arc<Definition>, time: Duration) -> Result<f64> {
    let began = thread_cpu();
    let mut transitions = 0.0;
    loop {
        transitions += run_once(definition)? as f64;
        let spent = thread_cpu() - began;
        if spent >= time {
            return Ok(transitions / spent.as_secs_f64());
        }
    }
}

/// Runs a workflow to its end, and says how many events that took.
fn run_once(definition: &Arc<Definition>) -> Result<usize> {
    let mut conductor = Conductor::start(Arc::clone(definition), Limits::default(), Start::default())?;
    conductor.request(Status::Running)?;
    let mut running = std::collections::VecDeque::new();
    let mut transitions = 0;
    loop {
        for task in conductor.next_tasks() {
            for action in task.actions {
                conductor.update(&task.id, task.route, event(action.item, Status::Running))?;
                running.push_back((task.id.clone(), task.route, action.item));
                transitions += 1;
            }
        }
        black_box(conductor.take_changes());
        let Some((task, route, item)) = running.pop_front() else { break };
        conductor.update(&task, route, event(item, Status::Succeeded))?;
        transitions += 1;
    }
    ensure!(conductor.status() == Status::Succeeded, "the workflow is {}", conductor.status());
    Ok(transitions)
}

fn event(item: Option<usize>, status: Status) -> Event {
    let result = Value::from(serde_json::json!(1));
    match item {
        Some(item) => Event::Item { item, status, result, accumulated: Value::Null },
        None => Event::Action { status, result },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_runs_to_its_end_and_two_transitions_make_a_task() {
        for shape in Shape::ALL {
            let definition = Arc::new(Definition::read(&shape.text(10), Dialect::Orquesta).unwrap());
            let tasks = match shape {
                Shape::Sequence => 11,
                Shape::FanOut => 12,
                Shape::Items => 10,
            };
            assert_eq!(run_once(&definition).unwrap(), tasks * 2, "{shape:?}");
        }
    }
}
