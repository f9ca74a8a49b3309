//! What tests of a worker run: an action of a pack without files.

use std::sync::Arc;

use petrel_execution::runner::{PackFiles, RunnerSpec};
use petrel_execution::{ActionPlan, CompleteParameters, Delivery};
use petrel_schemas::Class;

use crate::view::{EachFile, PackContent, ResolvedAction};

/// A pack without files.
#[derive(Debug)]
pub(in crate::worker) struct EmptyPack;

impl PackFiles for EmptyPack {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

impl PackContent for EmptyPack {
    fn name(&self) -> String {
        "revision/demo".to_owned()
    }

    fn hash(&self) -> Result<String, String> {
        Ok("abc".to_owned())
    }

    fn files(&self, _: &mut EachFile<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// An action of it that may run for a second.
pub(in crate::worker) fn action(
    runner: RunnerSpec,
    delivery: Delivery,
    parameters: Arc<dyn CompleteParameters>,
) -> ResolvedAction {
    let plan = ActionPlan {
        pool: "default".to_owned(),
        class: Class::Normal,
        needs: Default::default(),
        requires: Default::default(),
        delivery,
        timeout_ms: 1_000,
        output_bytes_max: 1_000,
        retry: None,
        policies: None,
        runner: Arc::new(runner),
        parameters,
    };
    ResolvedAction { plan: Arc::new(plan), pack: Arc::new(EmptyPack) }
}
