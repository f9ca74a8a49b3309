//! The index across all rules of a trigger: from an event's slots to the few rules that may match it.

mod literal;
