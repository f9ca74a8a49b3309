//! `petrel-bench conductor`: what the conductor of workflows does in a second, alone and in memory.
//!
//! A transition is an event that the conductor takes. Each task gets two, as it begins and as it ends, and after each
//! one the tasks to start are asked for and the pieces that have changed are taken, as an owner does it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use petrel_workflow::Definition;
use petrel_workflow::conductor::{Conductor, Event, Start, Status};
use petrel_workflow::expression::{Dialect, Value};
use petrel_workflow::limits::Limits;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each shape is run
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Whether the pieces of the state that have changed are taken after each event
    #[arg(long)]
    pieces: bool,
}

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
    fn name(self) -> &'static str {
        match self {
            Shape::Sequence => "sequence",
            Shape::FanOut => "fan-out and join",
            Shape::Items => "with-items",
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

pub(crate) fn run(options: &Options) -> Result<()> {
    println!("shape              tasks  transitions/s");
    for shape in [Shape::Sequence, Shape::FanOut, Shape::Items] {
        let sizes: &[usize] = if matches!(shape, Shape::Items) { &[10, 100, 1_000, 10_000] } else { &[10, 100, 1_000] };
        for size in sizes {
            let definition = Definition::read(&shape.text(*size), Dialect::Orquesta)?;
            let rate = measure(&Arc::new(definition), options)?;
            println!("{:17} {size:6} {rate:14.0}", shape.name());
        }
    }
    Ok(())
}

/// Transitions a second, over as many runs of the workflow as fit the time.
fn measure(definition: &Arc<Definition>, options: &Options) -> Result<f64> {
    let time = Duration::from_secs(options.seconds);
    let begun = Instant::now();
    let mut transitions = 0;
    while begun.elapsed() < time {
        transitions += run_once(definition, options.pieces)?;
    }
    Ok(f64::from(u32::try_from(transitions).context("too many")?) / begun.elapsed().as_secs_f64())
}

/// Runs a workflow to its end, and says how many events that took.
fn run_once(definition: &Arc<Definition>, pieces: bool) -> Result<usize> {
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
        let Some((task, route, item)) = running.pop_front() else { break };
        conductor.update(&task, route, event(item, Status::Succeeded))?;
        transitions += 1;
        if pieces {
            black_box(conductor.take_changes());
        }
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
