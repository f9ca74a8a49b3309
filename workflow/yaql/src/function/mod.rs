//! Functions: what parameters they have, which one a call means, and what it gets.

mod binding;
mod definition;
mod kind;
mod mapping;
mod registry;
mod signature;

pub(crate) use binding::{Bound, Invocation, Slots, bind};
pub(crate) use definition::{Definition, Payload};
pub(crate) use kind::is_iterable;
pub(crate) use mapping::{Mapping, map_arguments};
pub(crate) use registry::{Layer, Native, Register};
pub(crate) use signature::Signature;
pub use signature::SignatureError;
