//! Pack files into a validated, compiled, content-addressed catalog.
//!
//! A *pack* is a folder of YAML files and programs ([`PackSource`]). [`Revision::load`] turns the packs of a
//! whole catalog into one [`Revision`], or reports every problem at once, each with `path:line:column`
//! ([`Problems`]). [`needed_bindings`] and [`publish`] say what to write to the catalog's log;
//! [`CatalogState`] folds that log and hands out compiled revisions by hash ([`CompiledRevision`]), for
//! requests and tasks are resolved in the revision that they name.
//!
//! Invariant: a loaded pack is a compiled pack. Nothing behind [`Revision::load`] meets a reference,
//! an expression or a schema that was not checked; nothing that a pack says is accepted and ignored.
//!
//! Pure: no clock, no I/O, no random numbers. `server` reads folders and writes logs.

mod action;
pub mod archive;
mod compile;
mod duration;
mod engine;
pub mod limits;
mod model;
mod outcome;
mod pack;
mod plans;
mod problems;
mod publish;
mod revision;
mod state;
#[cfg(test)]
mod testkit;
mod walk;
mod yaml;

pub use action::{ActionDef, ParameterError, Parameters};
pub use compile::BindingMissing;
pub use model::{ActionCall, PackSummary, RuleDef, TriggerDef};
pub use outcome::{TEST_NOW_MS, TestOutcome, run_tests};
pub use pack::{CatchUp, KafkaSource, PackFile, PackSource, ParameterDef, Start, TriggerSource, Validate};
pub use problems::{At, Code, Place, Problem, Problems, did_you_mean};
pub use publish::{Application, Entry, NeededBinding, Publication, PublishError, needed_bindings, publish};
pub use revision::{Blob, CompiledRevision, Revision};
pub use state::{ApplyError, CatalogState, Change, HEAD_KEY, ResolveError, binding_key, blob_key, revision_key};
