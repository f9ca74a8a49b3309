//! Tests of the work tree itself: which crate may depend on which, what pure crates keep away from,
//! how files look, and whether the documents name what exists.
//!
//! Each module holds one set of rules as functions over plain data, that return every problem they
//! find as one line of text; its own tests show that it does find them. `tests/work_tree.rs` applies
//! the rules to the real tree.

mod crates;
mod documents;
mod levels;
mod purity;
mod sources;
mod tidy;
mod workspace;

pub use crates::{BUILT_MAX, LOCKED_MAX, NameAndVersion, built_for, locked, number_problems, version_problems};
pub use documents::{absent_tests, broken_links, missing_paths, unheld_invariants, unnamed_crates};
pub use levels::{level_problems, owner_problems};
pub use purity::{closure_of, closure_problems, direct_problems, source_problems, stage_problems};
pub use sources::{Source, sources};
pub use tidy::{lints_problems, lock_file_problems, rust_problems, text_problems};
pub use workspace::{Crate, Dependency, Kind, root, workspace};
