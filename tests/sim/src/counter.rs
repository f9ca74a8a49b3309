//! A stage behind the rules that takes each request once, as owners do.

use std::sync::Arc;

use petrel_bus::{Batch, Context, DueTimer, InputTopic, Output, Stage, StageSpec, Start, Taken};

/// Remembers the ids of requests, and passes the first request of each on.
#[derive(Debug)]
pub struct Counter {
    spec: StageSpec,
    requests: Arc<str>,
    accepted: Arc<str>,
}

impl Counter {
    /// Over these topics.
    pub fn new(requests: Arc<str>, accepted: Arc<str>, changelog: Arc<str>) -> Self {
        let spec = StageSpec { name: "counter".into(), changelog: Some(changelog), silence: None };
        Self { spec, requests, accepted }
    }
}

impl Stage for Counter {
    type Globals = ();

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, (): &()) -> Vec<InputTopic> {
        vec![InputTopic { name: self.requests.clone(), start: Start::Beginning, with: None }]
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, ()>) -> Taken {
        for record in batch.records {
            let key = record.key.unwrap_or_default();
            if context.get(key).is_none() {
                // One byte is under every limit.
                let _ = context.put(key, b"1".to_vec());
                context.emit(Output::keyed(&self.accepted, key, record.value.unwrap_or_default().to_vec()));
            }
        }
        Taken::All
    }

    fn timers(&mut self, _: &[DueTimer], _: &mut Context<'_, ()>) {}

    fn globals_changed(&mut self, _: &mut Context<'_, ()>) {}

    fn too_large(&self, _: &Output, _: usize) -> Vec<Output> {
        Vec::new()
    }
}
