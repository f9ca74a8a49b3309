//! How large a value is: for the budget, and as Python counts for YAQL's own quota.

use super::Evaluator;
use crate::error::EvaluationError;
use crate::value::{ListKind, Value};

impl Evaluator<'_> {
    /// Counts what a function gives: it may be no deeper and no larger than values may be.
    pub(crate) fn admit(&self, value: &Value) -> Result<(), EvaluationError> {
        self.check_quota(1, value)?;
        let extent = value.extent();
        let limits = self.budget.limits();
        if extent.depth > limits.value_depth_max {
            let message = format!("a value nests more than {} deep (value_depth_max)", limits.value_depth_max);
            return Err(EvaluationError::budget(message));
        }
        if extent.weight.saturating_mul(16) > limits.memory_bytes_max {
            let message = format!("a value takes more than {} bytes (memory_bytes_max)", limits.memory_bytes_max);
            return Err(EvaluationError::budget(message));
        }
        self.use_memory(own_bytes(value))
    }

    /// YAQL's own quota: `count` values like this may take no more than it. It knows only how much a value takes by
    /// itself, without what it holds.
    pub(crate) fn check_quota(&self, count: i128, value: &Value) -> Result<(), EvaluationError> {
        self.check_quotas(&[(count, value)])
    }

    /// The same for several together.
    pub(crate) fn check_quotas(&self, values: &[(i128, &Value)]) -> Result<(), EvaluationError> {
        let Some(quota) = self.options().memory_quota_bytes.filter(|quota| *quota > 0) else { return Ok(()) };
        let mut total = 0_i128;
        for (count, value) in values {
            total = total.saturating_add(count.saturating_mul(python_bytes(value)));
            if total > i128::from(quota) {
                let message = "Expression consumed too much memory";
                return Err(EvaluationError::new("MemoryQuotaExceededException", message));
            }
        }
        Ok(())
    }
}

/// The bytes that a value takes by itself.
fn own_bytes(value: &Value) -> u64 {
    let items = match value {
        Value::String(text) => return text.len() as u64,
        Value::List(list) => list.items().len(),
        Value::Dict(dict) => dict.len() * 3,
        Value::Set(set) => set.len() * 2,
        _ => 1,
    };
    (items * size_of::<Value>()) as u64
}

/// What `sys.getsizeof()` gives in Python 3.11 on 64 bits.
fn python_bytes(value: &Value) -> i128 {
    let length = |length: usize| length as i128;
    match value {
        Value::Null => 16,
        Value::Bool(false) | Value::Int(0) | Value::Float(_) => 24,
        Value::Bool(true) => 28,
        Value::Int(value) => {
            let bits = 128 - value.unsigned_abs().leading_zeros();
            24 + 4 * i128::from(bits.div_ceil(30))
        }
        Value::String(text) => {
            let characters = length(text.chars().count());
            match text.chars().max().map_or(0, u32::from) {
                0..=0x7f => 49 + characters,
                0x80..=0xff => 73 + characters,
                0x100..=0xffff => 74 + 2 * characters,
                _ => 76 + 4 * characters,
            }
        }
        Value::List(list) => match list.kind() {
            ListKind::Tuple => 40 + 8 * length(list.items().len()),
            ListKind::List => 56 + 8 * length(list.items().len()),
            ListKind::Range => 48,
        },
        Value::Dict(dict) if !dict.frozen() => dict_bytes(dict.len()),
        Value::Set(set) if set.frozen().is_some() => set_bytes(set.len()),
        Value::Timespan(_) => 40,
        Value::DateTime(_) => 48,
        Value::Iterator(_) => 112,
        _ => 56,
    }
}

/// A dictionary's table doubles when it is two thirds full.
fn dict_bytes(length: usize) -> i128 {
    if length == 0 {
        return 64;
    }
    let mut slots = 8_usize;
    while slots * 2 / 3 < length {
        slots *= 2;
    }
    let index_bytes = match slots {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    };
    (104 + slots * index_bytes + slots * 2 / 3 * 24) as i128
}

/// A set's table quadruples when it is three fifths full.
fn set_bytes(length: usize) -> i128 {
    let mut slots = 8_usize;
    while length * 5 >= slots * 3 {
        slots *= 4;
    }
    (if slots == 8 { 216 } else { 216 + slots * 16 }) as i128
}
