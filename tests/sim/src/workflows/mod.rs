//! Workflows of the simulated product: fixed ones that rules ask for, and random ones that each seed has of its own.
//!
//! What their tasks come to is a function of the tasks' parameters ([`outcome`]), so that what a workflow comes to without
//! faults is known: [`uninterrupted`] drives the same workflow with the same outcomes.

pub mod fixed;
pub mod outcome;
pub mod people;
pub mod random;
#[cfg(test)]
mod tests;
pub mod uninterrupted;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use petrel_execution::ActionPlan;
use petrel_execution::runner::{PackFiles, RunnerSpec, SpecError, WorkflowLanguage};
use petrel_execution::workflow::Workflow;
use petrel_workflow::conduct::PackWorkflow;
use petrel_workflow::expression::Dialect;
use serde_json::{Map, Value};

use random::Made;

/// What the references of random workflows begin with.
const RANDOM: &str = "sim.w";
/// Most random workflows that a thread keeps compiled.
const COMPILED_MAX: usize = 64;

/// Reference of a random workflow: of a seed, and the number of it, from 0.
pub fn reference(seed: u64, number: u32) -> String {
    format!("{RANDOM}{seed}x{number}")
}

/// The random workflow of a reference, if it is one.
pub fn made(reference: &str) -> Option<Made> {
    let (seed, number) = reference.strip_prefix(RANDOM)?.split_once('x')?;
    Some(random::make(seed.parse().ok()?, number.parse().ok()?))
}

/// Whether an action is a workflow.
pub fn is_workflow(action: &str) -> bool {
    let is_random = |rest: &str| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    fixed::NAMES.contains(&action) || action.strip_prefix(RANDOM).is_some_and(is_random)
}

/// Whether what a workflow comes to when it fails is the same whatever ends first, as it is when it succeeds.
pub fn is_exact(action: &str) -> bool {
    made(action).map_or_else(|| fixed::EXACT.contains(&action), |made| made.exact)
}

/// The tasks of a workflow of whose items others may have run than another time, though it has succeeded.
pub fn calls_vary(action: &str) -> BTreeSet<String> {
    made(action).map(|made| made.calls_vary).unwrap_or_default()
}

/// The plan of a random workflow, made of that of an action of the pack, whose policies and parameters it has.
pub fn plan(reference: &str, of_pack: impl Fn(&str) -> Option<Arc<ActionPlan>>) -> Option<Arc<ActionPlan>> {
    thread_local! {
        static COMPILED: RefCell<BTreeMap<String, (Made, Arc<RunnerSpec>)>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        if !compiled.contains_key(reference) {
            if compiled.len() >= COMPILED_MAX {
                compiled.clear();
            }
            let made = made(reference)?;
            let runner = compile(&made);
            compiled.insert(reference.to_owned(), (made, runner));
        }
        let (made, runner) = compiled.get(reference)?;
        let template = of_pack(if made.is_gated { fixed::GATED_TEMPLATE } else { fixed::TEMPLATE })?;
        Some(Arc::new(ActionPlan { runner: runner.clone(), ..(*template).clone() }))
    })
}

fn compile(made: &Made) -> Arc<RunnerSpec> {
    let Made { text, dialect, .. } = made;
    let workflow = PackWorkflow::read(text, *dialect).unwrap_or_else(|findings| panic!("{findings:#?}\n{text}"));
    let keys = Map::from_iter([("workflow".to_owned(), Value::from("workflows/random.yaml"))]);
    let runner = match dialect {
        Dialect::Native => "workflow",
        Dialect::Orquesta => "orquesta",
    };
    let spec = RunnerSpec::parse(runner, &keys, &File(Arc::new(workflow)));
    Arc::new(spec.unwrap_or_else(|errors| panic!("{errors:?}")))
}

/// The only file of a pack.
struct File(Arc<dyn Workflow>);

impl PackFiles for File {
    fn executable(&self, _: &str) -> Option<bool> {
        Some(false)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }

    fn workflow(&self, _: &str, _: WorkflowLanguage) -> Result<Arc<dyn Workflow>, Vec<SpecError>> {
        Ok(self.0.clone())
    }
}
