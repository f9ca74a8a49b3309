//! Every type that crosses a process or outlives a release: ids, references and stored records.
//!
//! A stored record is Avro in *single-object encoding* (Avro specification 1.11, "Single-object
//! encoding"): two marker bytes, the CRC-64-AVRO fingerprint of the schema that wrote it, the datum.
//! The fingerprint is the record's version: [`decode`] finds the writer's schema among all that were
//! ever shipped (`registry.rs`) and resolves it to today's. So one topic can carry several kinds of
//! record, told apart by [`kind_of`], and an old record stays readable for ever. Which version is
//! written is said by the [`Format`] in force.
//!
//! Pure: no clock, no I/O, no random numbers.

mod class;
mod codec;
mod format;
mod ids;
#[cfg(debug_assertions)]
mod next;
mod object_ref;
mod records;
mod registry;
mod secret_ref;
mod streams;
mod topics;

pub use class::Class;
pub use codec::{DecodeError, Stored, decode, encode, fingerprint, kind_of};
pub use format::{Format, NoSuchKind, NotWritable};
pub use ids::{EventId, ExecutionId, IdError, cause_depth_max, child_depth_max, end_cause_depth, event_id_bytes_max};
#[cfg(debug_assertions)]
pub use next::be_the_next_release;
pub use object_ref::{OBJECTS_KEY, ObjectRef};
pub use records::*;
pub use secret_ref::{EXECUTION_SPACE, SHARED_SPACE, SecretRef};
pub use streams::{AuditRecord, ExecutionsRecord, RequestsRecord, ResultsRecord};
pub use topics::{Cleanup, OwnTopic, Topics};
