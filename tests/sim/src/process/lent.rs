//! A stage that outlives its driver: a process keeps it when its session is rebuilt.

use std::sync::{Arc, Mutex, PoisonError};

use petrel_bus::{Context, Input, InputTopic, Output, Stage, StageSpec, Step};

/// Where a process keeps its stage.
#[derive(Debug)]
pub struct Kept<S>(Arc<Mutex<Option<S>>>);

impl<S: Stage> Kept<S> {
    /// Keeps a stage.
    pub fn new(stage: S) -> Self {
        Self(Arc::new(Mutex::new(Some(stage))))
    }

    /// Lends it to a driver, which wants it for as long as it lives. Twenty words a session are never
    /// given back: a driver borrows, and nobody can own both without unsafe code.
    pub fn lend(&self) -> &'static mut Lent<S> {
        let stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let spec = stage.as_ref().map(|s| s.spec().clone());
        let Some(spec) = spec else { unreachable!("a process that runs has its stage") };
        Box::leak(Box::new(Lent { spec, stage: self.0.clone() }))
    }
}

impl<S> Drop for Kept<S> {
    fn drop(&mut self) {
        // What a driver was lent stays; the stage does not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The stage as a driver has it.
#[derive(Debug)]
pub struct Lent<S> {
    spec: StageSpec,
    stage: Arc<Mutex<Option<S>>>,
}

impl<S> Lent<S> {
    fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> Option<R> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(f)
    }
}

impl<S: Stage> Stage for Lent<S> {
    type Globals = S::Globals;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, globals: &S::Globals) -> Vec<InputTopic> {
        self.with(|s| s.inputs(globals)).unwrap_or_default()
    }

    fn step(&mut self, input: Input<'_>, context: &mut Context<'_, S::Globals>) -> Step {
        self.with(|s| s.step(input, context)).unwrap_or(Step::Done)
    }

    fn too_large(&self, output: &Output, limit_bytes: usize) -> Vec<Output> {
        self.with(|s| s.too_large(output, limit_bytes)).unwrap_or_default()
    }

    fn committed(&mut self) {
        self.with(Stage::committed);
    }

    fn aborted(&mut self) {
        self.with(Stage::aborted);
    }

    fn revoked(&mut self, partition: u32) {
        self.with(|s| s.revoked(partition));
    }
}
