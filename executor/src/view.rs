//! What owners and workers need to know of the catalog, and of the switch that pauses dispatch.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_catalog::{ActionDef, Delivery};
use petrel_schemas::Task;

use crate::catalog_view;

/// An action as its revision says it, and the files that it may use.
#[derive(Clone)]
pub struct ResolvedAction {
    /// What it is: how parameters are checked, and what a run becomes.
    pub action: Arc<ActionDef>,
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

/// An execution that can be dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Validated parameters with defaults filled in, a JSON object.
    pub parameters: String,
    /// Worker pool.
    pub pool: String,
    /// What a lost worker means.
    pub delivery: Delivery,
    /// Longest run, in milliseconds.
    pub timeout_ms: i64,
}

/// Answer to [`ExecutorView::prepare`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// It can be dispatched.
    Ready(Plan),
    /// This process has not got that revision yet; the partition waits.
    RevisionUnknown,
    /// That revision has no such action.
    NoSuchAction,
    /// It will never be dispatched, for its parameters do not fit, say; the text says why.
    Refused(String),
}

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

/// A command, rendered for one execution.
#[derive(Clone)]
pub struct CommandPlan {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables that the action sets.
    pub environment: BTreeMap<String, String>,
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes_max: usize,
    /// The pack in whose `actions` folder it runs.
    pub pack: Arc<dyn PackContent>,
}

/// Answer to [`ExecutorView::command`].
#[derive(Clone)]
pub enum Rendered {
    /// It can be run.
    Command(CommandPlan),
    /// This process has not got that revision yet; the partition waits.
    RevisionUnknown,
    /// It cannot be run; the text says why.
    Refused(String),
}

/// Implemented by what the whole process shares: every revision that may still be named, and the
/// key-value store. The same arguments give the same answer, but for a revision that arrives.
pub trait ExecutorView: Send + Sync {
    /// Whether dispatch is paused for everybody.
    fn dispatch_paused(&self) -> bool;

    /// Resolves an action (`pack.name`) in the revision that a request or task names. Compiles that action and
    /// nothing else, if it is not at hand, and waits for nobody.
    fn resolve(&self, revision: &str, action: &str) -> Resolution;

    /// Resolves an action in a revision and completes its parameters (a JSON object).
    fn prepare(&self, revision: &str, action: &str, parameters: &str) -> Prepared {
        catalog_view::prepare(&self.resolve(revision, action), revision, parameters)
    }

    /// Renders a task's command.
    fn command(&self, task: &Task) -> Rendered {
        catalog_view::command(&self.resolve(&task.revision, &task.action), task)
    }
}
