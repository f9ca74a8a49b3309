//! What every value passes on its way to the log.

use std::fmt::Debug;

/// Makes of a value as this release has it the value that the installation writes; see docs/adr/0014. The driver
/// asks for every output and every value of the state, so that a stage, which makes values as its release has
/// them, need not know.
pub trait Outgoing: Debug + Send + Sync {
    /// The value as it is written; none longer than the one given.
    fn written(&self, value: Vec<u8>) -> Vec<u8>;
}
