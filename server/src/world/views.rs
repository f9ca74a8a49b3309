//! The globals of all stages, and what each kind of stage sees of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_execution::SwitchedOff;
use petrel_execution::gate::{GateId, InForce, Policies, Terms};
use petrel_executor::gate::GateView;
use petrel_executor::{Drain, ExecutorView, Resolution};
use petrel_rules::{Kv, MatchPlan, MatchView};

use super::catalog::Catalog;
use super::drains::Drains;
use super::head::Head;
use super::kv;
use super::switches::{SWITCH_KEYS, Switches};

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
    /// Which workers are drained.
    pub(super) drains: Arc<Drains>,
    /// What people have switched off.
    pub(super) switches: Arc<Switches>,
    /// What the switch says; see [`Self::is_paused`].
    pub(super) paused: bool,
    /// Keys of the store whose latest record cannot be used, and why.
    pub(super) unusable: Arc<BTreeMap<String, String>>,
    /// The first of them, as a sentence.
    pub(super) problem: Option<Arc<str>>,
    /// The revision that the log told last.
    pub(super) told: Arc<str>,
    /// When that was applied, in milliseconds since the epoch.
    pub(super) told_since_ms: i64,
}

impl Globals {
    /// The revision in force.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Which workers are drained.
    pub fn drains(&self) -> &Drains {
        &self.drains
    }

    /// What people have switched off.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Whether dispatch is paused: by the switch, or because the switch, or another one of Petrel's own that this
    /// release does not know, cannot be read. Nobody knows then what may not start.
    pub fn is_paused(&self) -> bool {
        self.paused || self.unusable.keys().any(|key| key.starts_with(kv::OWN_KEYS))
    }

    /// Why the key-value store cannot be used, if so.
    pub fn kv_problem(&self) -> Option<&str> {
        self.problem.as_deref()
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

    fn why_undecided(&self) -> Option<&str> {
        self.head.problem().or(self.kv_problem())
    }

    fn coming(&self) -> Option<&str> {
        Some(&*self.told).filter(|told| *told != self.head.revision)
    }
}

impl Policies for Globals {
    fn terms(&self, gate: &GateId) -> Option<Terms> {
        self.head.policies.as_ref()?.of(gate)
    }

    fn knows(&self, in_force: &InForce) -> bool {
        self.head.policies.is_some() && self.head.is_as_late_as(in_force)
    }
}

impl GateView for Globals {
    fn policies_of(&self) -> Arc<str> {
        self.head.revision.as_str().into()
    }

    fn why_unknown(&self) -> Option<&str> {
        match self.head.policies {
            Some(_) => None,
            None => {
                Some(self.head.problem().unwrap_or("this release cannot read all policies of the revision in force"))
            }
        }
    }
}

impl ExecutorView for Globals {
    fn in_force(&self) -> InForce {
        InForce { revision: self.told.clone(), since_ms: self.told_since_ms }
    }

    fn dispatch_paused(&self) -> bool {
        self.is_paused()
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        self.catalog.resolve(revision, action)
    }

    fn tells_ends(&self) -> bool {
        // Also where rules of a revision may react to them that is not in force here yet: what is not written now is
        // written by nobody.
        self.head.tells_ends || *self.told != *self.head.revision
    }

    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        self.switches.off(scope, now_ms)
    }

    fn has_switches(&self) -> bool {
        !self.switches.is_empty()
    }

    fn has_unreadable_switches(&self) -> bool {
        self.unusable.keys().any(|key| key.starts_with(SWITCH_KEYS))
    }

    fn drain(&self, worker: &str, pool: &str) -> Option<Drain> {
        self.drains.wanted(worker, pool)
    }
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::super::head::Needs;
    use super::*;

    /// Globals of a process with that in force, while the log has told that.
    fn globals(head: Head, told: &str) -> Globals {
        Globals { head: Arc::new(head), told: told.into(), ..(*World::new(Needs::Policies).globals()).clone() }
    }

    fn head(policies: Option<Arc<petrel_catalog::PolicyTerms>>) -> Head {
        Head { revision: "r1".to_owned(), policies, ..Head::default() }
    }

    #[test]
    fn ends_are_told_as_soon_as_the_log_tells_of_another_revision() {
        assert!(!globals(head(None), "r1").tells_ends());
        assert!(globals(head(None), "r2").tells_ends(), "rules of it may ask for them once it is in force here");
    }

    #[test]
    fn no_policies_that_are_known_is_not_no_policies() {
        assert!(globals(head(None), "r1").why_unknown().is_some());
        assert_eq!(globals(head(Some(Arc::default())), "r1").why_unknown(), None);
    }
}
