//! The order of elements.

use super::super::{Outcome, to_list};
use crate::evaluate::iterator;
use crate::function::{Invocation, Register};
use crate::value::{Field, Ordering, Value};

pub(super) fn register(library: &mut Register<'_>) {
    library.method("orderBy", "collection: iterable, selector: lambda", |call| order_by(call, true));
    library.method("orderByDescending", "collection: iterable, selector: lambda", |call| order_by(call, false));
    library.method("thenBy", "collection: ordering, selector: lambda", |call| then_by(call, true));
    library.method("thenByDescending", "collection: ordering, selector: lambda", |call| then_by(call, false));
    library.method("reverse", "collection: iterable", reverse);
}

fn order_by(call: &mut Invocation<'_, '_>, ascending: bool) -> Outcome {
    let field = Field { selector: call.lambda(1)?, ascending };
    Ok(call.evaluator.ordering(Ordering::new(call.value(0), field)))
}

fn then_by(call: &mut Invocation<'_, '_>, ascending: bool) -> Outcome {
    let collection = call.value(0);
    if let Value::Ordering(ordering) = &collection {
        ordering.then(Field { selector: call.lambda(1)?, ascending });
    }
    Ok(collection)
}

fn reverse(call: &mut Invocation<'_, '_>) -> Outcome {
    let list = to_list(call.evaluator, call.value(0))?;
    let depth = list.extent().depth;
    let Value::List(list) = list else { return Ok(Value::Null) };
    let mut left = list.items().len();
    Ok(iterator("reversed", depth, move |_| {
        let Some(next) = left.checked_sub(1) else { return Ok(None) };
        left = next;
        Ok(list.items().get(left).cloned())
    }))
}
