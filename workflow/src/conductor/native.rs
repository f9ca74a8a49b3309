//! What native workflows remember beyond what Orquesta's do. Nothing of it is touched by a workflow that uses none of
//! the native keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Conductor;
use super::ending::{Ending, RolledBack};
use super::notice::{Called, Notice};
use super::pieces::Piece;
use super::runs::RunId;
use super::undo::Undo;

/// The state of native keys as a whole; what belongs to one run is kept with it.
#[derive(Debug, Default)]
pub(crate) struct Native {
    pub(crate) kept: Kept,
    /// When runs are over their time, in order. It is made of the runs when the state is restored.
    pub(crate) due: BTreeSet<(i64, RunId)>,
    /// When people are reminded of questions, likewise.
    pub(crate) reminders: BTreeSet<(i64, RunId)>,
    /// What undoes that which has succeeded, in the order of its ends.
    pub(crate) undos: BTreeMap<u32, Undo>,
}

/// What is stored of it, in the piece `native`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// When the workflow is over its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due_ms: Option<i64>,
    /// Since when the workflow is paused, and its time stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused_ms: Option<i64>,
    /// Tasks and routes that have ended while something ran for them, and whose host has not been told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stops: Vec<(Arc<str>, u32)>,
    /// The runs that failed and that a person has not decided about, in the order in which they failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) frozen: Vec<RunId>,
    /// That people have been called about what is frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) called: Option<Called>,
    /// What calls people, and whose host has not been told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notices: Vec<Notice>,
    /// How far the end has come, of a workflow that takes a while to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ending: Option<Ending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rolled_back: Option<RolledBack>,
    /// The tasks and routes that were undone when the workflow ended, of which a rerun runs again.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) undone: BTreeSet<(Arc<str>, u32)>,
}

impl Conductor {
    /// Changes the state of native keys.
    pub(super) fn change_native<R>(&mut self, change: impl FnOnce(&mut Kept) -> R) -> R {
        self.changed.insert(Piece::Native);
        change(&mut self.native.kept)
    }
}
