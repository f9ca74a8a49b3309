//! Gates: what executions have to pass before they start, decided in one place for all owners (issue 11, part 3).
//!
//! A gate is one key of one policy: so many permits at once, so many starts in a time, a breaker. The machine
//! decides about one message or timer of one gate at a time, over a [`GateStore`] that has one entry for each
//! waiter, so that a decision costs the same with ten of them and with a hundred thousand.
//!
//! Reading order: `id` (which gate, and the fixed order of gates), `terms` (what a policy allows), `message` (what
//! owners tell a gate), `head` (what a gate remembers of itself), `bucket` and `breaker` (two of its parts),
//! `store` (what it remembers of others), `machine` (what it decides), `passage` (the other side: what an execution
//! still has to pass).

mod breaker;
mod bucket;
mod head;
mod id;
mod machine;
mod message;
mod passage;
mod room;
mod store;
mod terms;
#[cfg(test)]
mod tests;

pub use breaker::Breaker;
pub use bucket::Bucket;
pub use head::Head;
pub use id::{GateId, GateIdError, Level};
pub use machine::{Decided, Decision, GRANTS_PER_STEP_MAX, Gates, Refusal, WAITERS_MAX};
pub use message::{Class, GateMessage, Outcome, Place, What};
pub use passage::{Passage, Step};
pub use room::Room;
pub use store::{GateStore, Hit, Permit, Waiter};
pub use terms::{Excess, Limit, Terms};
