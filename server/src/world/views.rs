//! The globals of all stages, and what each kind of stage sees of them.

use std::sync::Arc;

use petrel_executor::{ExecutorView, Resolution};
use petrel_rules::{Kv, MatchPlan, MatchView};

use super::catalog::Catalog;
use super::head::Head;

/// Everything that stages may know beside their inputs and state; fixed for the length of a step.
///
/// Actions of other revisions than the head are looked up in the catalog's log as it is now. That does not make
/// a stage less deterministic: a revision is its hash, so it is either the same or not there yet, and
/// then the stage waits, or not there any more, and then it never will be.
#[derive(Debug, Clone)]
pub struct Globals {
    pub(super) catalog: Arc<Catalog>,
    pub(super) head: Arc<Head>,
    pub(super) kv: Arc<Kv>,
    pub(super) kv_version: i64,
    pub(super) paused: bool,
}

impl Globals {
    /// The revision in force.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whether dispatch is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }
}

impl MatchView for Globals {
    fn plan(&self) -> &MatchPlan {
        &self.head.plan
    }

    fn revision(&self) -> &str {
        &self.head.revision
    }

    fn kv(&self) -> &Kv {
        &self.kv
    }

    fn kv_version(&self) -> i64 {
        self.kv_version
    }
}

impl ExecutorView for Globals {
    fn dispatch_paused(&self) -> bool {
        self.paused
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        self.catalog.resolve(revision, action)
    }
}
