//! What owners and workers need to know of the catalog, and of the switch that pauses dispatch.

use std::sync::Arc;

use petrel_execution::gate::InForce;
use petrel_execution::{ActionPlan, SwitchedOff};

use crate::worker::{Beside, Letter};

/// Takes a file of a pack: path relative to the pack with `/`, content, whether it is executable.
pub type EachFile<'a> = dyn FnMut(&str, &[u8], bool) -> Result<(), String> + 'a;

/// The files of one pack of one revision.
pub trait PackContent: Send + Sync {
    /// Names the pack and the revision; the same name, the same content.
    fn name(&self) -> String;

    /// Hash of its blob, hexadecimal: names the folder in the cache. May take a while.
    ///
    /// # Errors
    /// What is wrong with the pack.
    fn hash(&self) -> Result<String, String>;

    /// Hands every file to `each`.
    ///
    /// # Errors
    /// What is wrong with the blob, or what `each` returned.
    fn files(&self, each: &mut EachFile<'_>) -> Result<(), String>;
}

/// An action as its revision says it, and the files that it may use.
#[derive(Clone)]
pub struct ResolvedAction {
    /// What owners and workers need of it.
    pub plan: Arc<ActionPlan>,
    /// Its pack.
    pub pack: Arc<dyn PackContent>,
}

/// What is known of an action in a revision. Only [`Self::NotYet`] and [`Self::Broken`] may change for the better.
#[derive(Clone)]
pub enum Resolution {
    /// It is there.
    Ready(ResolvedAction),
    /// The revision is not known here yet. The catalog's log is being read to the end that it has now; then it
    /// is there, or it is [`Self::Removed`]. The globals' version tells when.
    NotYet,
    /// The catalog's log was read to its end and holds no such revision: it was removed, or never was.
    Removed,
    /// The revision has no such action.
    NoSuchAction,
    /// This release cannot use the action, and the text says why. The revision was applied by a release that
    /// can: during an upgrade the process that takes this one's place may go on, so nothing is to be dropped.
    Broken(String),
}

/// What is wanted of a worker that is drained: it takes nothing more, and what it runs may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// When it was ordered, in milliseconds since the epoch: it is named by that.
    pub at_ms: i64,
    /// From when what still runs is ended and handed over to others, in milliseconds since the epoch; none waits for as
    /// long as it takes.
    pub hand_over_at_ms: Option<i64>,
}

/// Implemented by what the whole process shares: every revision that may still be named, and the
/// key-value store. The same arguments give the same answer, but for a revision that arrives.
pub trait ExecutorView: Send + Sync {
    /// Whether dispatch is paused for everybody.
    fn dispatch_paused(&self) -> bool;

    /// Resolves an action (`pack.name`) in the revision that a request or task names. It waits for nobody.
    fn resolve(&self, revision: &str, action: &str) -> Resolution;

    /// Whether rules of the revision in force react to how executions end.
    fn tells_ends(&self) -> bool {
        false
    }

    /// What the switch of a scope says, if it is off at that time, in milliseconds since the epoch.
    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let _ = (scope, now_ms);
        None
    }

    /// Whether any switch may be off.
    fn has_switches(&self) -> bool {
        false
    }

    /// Whether a switch cannot be read, so that nobody here knows what it keeps from starting.
    fn has_unreadable_switches(&self) -> bool {
        false
    }

    /// Whether a worker of a pool is to be drained, and how.
    fn drain(&self, worker: &str, pool: &str) -> Option<Drain> {
        let _ = (worker, pool);
        None
    }

    /// The revision in force, as the catalog's log told it last: gates do not decide by an older one.
    fn in_force(&self) -> InForce;

    /// A worker in the same process that an owner may let start actions.
    fn beside(&self) -> Option<&Beside> {
        None
    }

    /// What that worker has told of attempts that this thread of owners started.
    fn letters(&self) -> &[Arc<Letter>] {
        &[]
    }
}

/// A view as owners' decisions ask it.
pub(crate) struct Asked<'v, G>(pub(crate) &'v G);

impl<G: ExecutorView> petrel_execution::Actions for Asked<'_, G> {
    fn dispatch_paused(&self) -> bool {
        self.0.dispatch_paused()
    }

    fn tells_ends(&self) -> bool {
        self.0.tells_ends()
    }

    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        self.0.switched_off(scope, now_ms)
    }

    fn has_switches(&self) -> bool {
        self.0.has_switches()
    }

    fn resolve(&self, revision: &str, action: &str) -> petrel_execution::Resolution {
        use petrel_execution::Resolution as Answer;
        match self.0.resolve(revision, action) {
            Resolution::Ready(resolved) => Answer::Ready(resolved.plan),
            Resolution::NotYet => Answer::NotYet,
            Resolution::Removed => Answer::Removed,
            Resolution::NoSuchAction => Answer::NoSuchAction,
            Resolution::Broken(why) => Answer::Broken(why),
        }
    }
}
