//! Mistakes that are built in on purpose, to see that the checkers find them.

mod gate;
mod offsets;
mod owner;

pub use gate::GullibleGate;
pub use offsets::OffsetsFirst;
pub use owner::GullibleOwner;

/// A mistake that is built in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The rules commit an offset before the outputs that belong to it.
    OffsetBeforeOutputs,
    /// Owners believe results of attempts that were given up.
    StaleResult,
    /// Owners take a request that they have seen before for a new one.
    DuplicateRequest,
    /// Gates forget who has passed, whenever somebody comes.
    ForgottenPermits,
    /// Gates do not hear what comes back.
    LostRelease,
    /// Workers do not hear what is switched off.
    SwitchesUnheard,
    /// Owners keep the workflows that are at hand when the transaction is aborted in which they were told something.
    KeptConductors,
    /// Owners tell a workflow twice that a child of it has ended.
    ToldTwice,
    /// Owners lose a piece of what is stored of a workflow.
    LostPiece,
    /// Owners forget a workflow, and not its pieces.
    ForgottenWithoutPieces,
}
