//! Gates: what executions have to pass before they start, decided in one place for all owners (issue 11, part 3).
//!
//! A gate is one kind of limit of one policy, for one key or for all: so many permits at once, so many starts in a time,
//! a breaker. The machine decides about one message or timer of one gate at a time, over a [`GateStore`] that has one
//! entry for each waiter, so that a decision costs the same with ten of them and with a hundred thousand. The record of
//! decisions 0024 has the protocol between owners and gates.
//!
//! Reading order: `id` (which gate, and the fixed order of gates), `terms` (what a policy allows), `message` (what
//! owners and gates tell each other), `numbers` (how owners stamp what they tell), `time` (the clock of a gate), `head`
//! (what a gate remembers of itself), `bucket` and `breaker` (two of its parts), `store` (what it remembers of others), `keys` (and under
//! which keys),
//! `room` (whether one more may pass), `decision`, `machine` (what it decides), `passage` (the other side: what an
//! execution still has to pass), `record` and `record_head` (all of it as records).

mod breaker;
mod bucket;
mod decision;
mod head;
mod id;
pub mod keys;
mod machine;
mod message;
mod numbers;
mod passage;
pub mod record;
mod record_head;
mod room;
mod store;
mod terms;
#[cfg(test)]
mod tests;
mod time;

pub use breaker::{BREAKER_MEMORY_MS, Breaker};
pub use bucket::Bucket;
pub use decision::{Decided, Decision, Refusal};
pub use head::Head;
pub use id::{GATE_KEY_BYTES_MAX, GateId, GateIdError, Kind, Level};
pub use machine::{
    ASK_HOLDERS_MS, CLOSE_MS_MAX, GATES_MAX, GRANTS_PER_STEP_MAX, Gates, HOLDERS_PER_STEP_MAX, Heard,
    LOOK_DECISIONS_MAX, REVISION_LOOK_MS, REVISIONS_AWAITED_MAX, WAITERS_MAX,
};
pub use message::{About, Answer, GateMessage, InForce, Outcome, Stamp, What};
pub use numbers::Numbers;
pub use passage::{
    ASK_AGAIN_MS, ASK_AGAIN_MS_MAX, OUT_OF_ORDER_MAX, OUT_OF_ORDER_PAUSE_MS, OUT_OF_ORDER_PAUSE_MS_MAX, Passage, Step,
};
pub use record::GateRecordError;
pub use record_head::{head as head_of_record, of_head};
pub use room::{Room, Why};
pub use store::{Charge, GateStore, Hit, Permit, Seat};
pub use terms::{ACTIONS_MAX, Excess, Limit, Policies, Terms};
pub use time::Clock;

pub use petrel_schemas::Class;
