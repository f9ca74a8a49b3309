//! From the bytes of an event to slots: exactly the paths that rules read, in one pass.
//!
//! Reading order: `layout` (which paths, and which of their numbers are doubles), `json` (an
//! [`Extractor`] for JSON), `reads` (which rules read what), `check` (what a trigger's schema asks of the slots).
//!
//! A [`Layout`] knows nothing of JSON: another format fills the same slots.

mod check;
mod doubles;
mod invalid;
mod json;
mod layout;
mod reads;

pub use check::SchemaCheck;
pub use doubles::Doubles;
pub use invalid::InvalidJson;
pub use json::{Extractor, document};
pub use layout::Layout;
pub use reads::{Reads, RuleReads};

#[cfg(test)]
mod tests;
