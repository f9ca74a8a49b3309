//! Equality of everything, and the place of null in the order of everything: before all else.

use crate::function::{Native, Register};
use crate::value::Value;

pub(super) fn register(library: &mut Register<'_>) {
    library.function("*equal", "left: any?, right: any?", |call| {
        call.evaluator.equal(&call.value(0), &call.value(1)).map(Value::Bool)
    });
    library.function("*not_equal", "left: any?, right: any?", |call| {
        call.evaluator.equal(&call.value(0), &call.value(1)).map(|equal| Value::Bool(!equal))
    });
    let yes: Native = |_| Ok(Value::Bool(true));
    let no: Native = |_| Ok(Value::Bool(false));
    for (signature, less, less_or_equal, greater, greater_or_equal) in [
        ("left: any, right: null", no, no, yes, yes),
        ("left: null, right: any", yes, yes, no, no),
        ("left: null, right: null", no, yes, no, yes),
    ] {
        library.function("#operator_<", signature, less);
        library.function("#operator_<=", signature, less_or_equal);
        library.function("#operator_>", signature, greater);
        library.function("#operator_>=", signature, greater_or_equal);
    }
}
