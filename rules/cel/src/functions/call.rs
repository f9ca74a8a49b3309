//! What the tables of functions share: their making, and the faults of wrong arguments.

use crate::fault::Fault;
use crate::functions::{Call, Function};
use crate::value::{Type, Value};

/// What a function answers.
pub(super) type Answer<'a> = Result<Value<'a>, Fault<'a>>;

/// A function called as `f(a, b)`.
pub(super) const fn global(name: &'static str, takes: &'static [usize], call: Call) -> Function {
    Function { name, global: takes, member: &[], call }
}

/// A function called as `a.f(b)`; the receiver is not counted.
pub(super) const fn member(name: &'static str, takes: &'static [usize], call: Call) -> Function {
    Function { name, global: &[], member: takes, call }
}

/// A list with an element that the function does not take.
pub(super) fn bad_element<'a>(function: &'static str, element: &Value<'a>) -> Fault<'a> {
    Fault::binary(function, Type::List, element.type_of())
}

/// A value that the function refuses.
pub(super) fn invalid<'a>(function: &'static str, why: &'static str) -> Fault<'a> {
    Fault::InvalidArgument { function, why }
}
