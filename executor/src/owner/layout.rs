//! How the pieces of one workflow are stored, as its owner remembers it, and whether it has a timer.

use std::collections::HashMap;

use petrel_bus::Context;
use petrel_execution::workflow::{Changed, KEPT_PREFIX};
use petrel_schemas::ExecutionId;

use super::pages::{PAGE_RECORD_BYTES, PAGED_BYTES_MAX, Pages};
use super::pieces::{self, PieceTooLarge};

/// Where the pieces of a workflow are.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) partition: u32,
    /// Those that have records of their own, and how many beside the first.
    pub(super) parts: HashMap<String, usize>,
    pub(super) pages: Pages,
    /// Whether the timer is set at which the workflow is asked again, if that is known.
    pub(super) has_timer: Option<bool>,
}

impl Layout {
    /// Nothing is stored yet.
    pub(super) fn new(partition: u32) -> Self {
        Self { partition, parts: HashMap::new(), pages: Pages::default(), has_timer: None }
    }

    /// A piece has changed, or is gone: it stands in a page, or in records of its own, and never in both.
    ///
    /// # Errors
    /// [`PieceTooLarge`], and the piece is as it was.
    pub(super) fn write<G>(
        &mut self,
        context: &mut Context<'_, G>,
        id: &ExecutionId,
        changed: &Changed,
        transaction: u64,
    ) -> Result<(), PieceTooLarge> {
        let Changed { key, value } = changed;
        // What an owner keeps is written without a look at what is stored.
        let is_kept = key.starts_with(KEPT_PREFIX);
        let before = self.parts.get(key).copied();
        let is_paged = |value: &String| value.len() <= PAGED_BYTES_MAX;
        if value.as_ref().is_some_and(is_paged) && !is_kept && context.record_bytes_max() >= PAGE_RECORD_BYTES {
            if let Some(before) = before {
                let gone = Changed { key: key.clone(), value: None };
                pieces::write(context, id, &gone, before)?;
                self.parts.remove(key);
            }
            self.pages.put(key, value.as_deref(), transaction);
            return Ok(());
        }
        if value.is_some() || before.is_some() || is_kept {
            let parts = pieces::write(context, id, changed, before.unwrap_or_default())?;
            match value {
                Some(_) => _ = self.parts.insert(key.clone(), parts),
                None => _ = self.parts.remove(key),
            }
        }
        self.pages.put(key, None, transaction);
        Ok(())
    }
}
