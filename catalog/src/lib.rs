//! Pack files into a validated, compiled, content-addressed catalog.
//!
//! A *pack* is a folder of YAML files and programs ([`PackSource`]). [`Revision::load`] turns the packs of a
//! whole catalog into one [`Revision`], or reports every problem at once, each with `path:line:column`
//! ([`Problems`]). [`needed_bindings`] and [`publish`] say what to write to the catalog's log;
//! [`CatalogState`] folds that log and hands out revisions by hash, for requests and tasks are resolved in the
//! revision that they name.
//!
//! What is stored is content ([`Content`]); each role compiles of it what it needs: the match stage all rules of
//! the revision in force ([`CompiledRevision`]), admission and sensors its triggers ([`Triggers`]), owners and
//! workers single actions of any revision ([`Actions`]), and whoever lays a pack out its files ([`StoredPack`]).
//!
//! Invariant: what was applied was compiled, all of it. Nothing behind [`Revision::load`] meets a reference,
//! an expression or a schema that was not checked; nothing that a pack says is accepted and ignored.
//!
//! Pure: no clock, no I/O, no random numbers. `server` reads folders and writes logs.

mod action;
pub mod archive;
mod compile;
mod content;
#[cfg(test)]
mod core_tests;
mod duration;
mod engine;
pub mod limits;
mod model;
mod outcome;
mod pack;
mod plans;
mod policies;
#[cfg(test)]
mod policies_md;
#[cfg(test)]
mod policies_own;
mod problems;
mod publish;
mod resolve;
mod retention;
mod revision;
mod secrets;
mod state;
#[cfg(test)]
mod testkit;
mod triggers;
mod walk;
mod workflows;
#[cfg(test)]
mod workflows_md;
mod yaml;

pub use action::{ActionDef, Parameters};
pub use compile::BindingMissing;
pub use content::{Content, ContentError, StoredPack};
pub use model::{ActionCall, PackSummary, RuleDef, TriggerDef};
pub use outcome::{TEST_NOW_MS, TestOutcome, Tested, rehearse_file, run_tests};
pub use pack::{
    CatchUp, Config, KafkaSource, PackFile, PackSource, ParameterDef, Start, TriggerSource, Validate, config_file,
    given_config, inspect_workflow, known_variables, workflow_language,
};
pub use petrel_execution::ParameterError;
pub use petrel_execution::runner::WorkflowLanguage;
pub use policies::PolicyTerms;
pub use problems::{At, Code, Place, Problem, Problems, did_you_mean};
pub use publish::{Application, Entry, NeededBinding, Publication, PublishError, needed_bindings, publish};
pub use resolve::{Actions, Found};
pub use retention::Retention;
pub use revision::{CompiledRevision, Revision};
pub use state::{ApplyError, CatalogState, Change, HEAD_KEY, Missing, binding_key, blob_key, revision_key};
pub use triggers::Triggers;
