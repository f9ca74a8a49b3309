//! Lists. `join` is with the strings, `sortBy` is a macro.

use bumpalo::collections::Vec as BumpVec;

use crate::eval::{Cx, compare};
use crate::fault::Fault;
use crate::functions::call::{Answer, global, invalid, member};
use crate::functions::{Function, strings};
use crate::value::{List, Value};

/// `slice` and its kin.
pub(super) const TABLE: &[Function] = &[
    member("distinct", &[0], distinct),
    member("first", &[0], first),
    member("flatten", &[0, 1], flatten),
    member("last", &[0], last),
    global("lists.range", &[1], range),
    member("reverse", &[0], reverse),
    member("slice", &[2], slice),
    member("sort", &[0], sort),
];

/// `list.first()`: an optional.
fn first<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(list)] = arguments else { return Err(Fault::overload("first", arguments)) };
    list.get(0).map_or(Ok(Value::Optional(None)), |element| cx.some(element))
}

/// `list.last()`: an optional.
fn last<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(list)] = arguments else { return Err(Fault::overload("last", arguments)) };
    let last = list.len().checked_sub(1).and_then(|at| list.get(at));
    last.map_or(Ok(Value::Optional(None)), |element| cx.some(element))
}

/// `list.slice(start, end)`: a part of the list itself, not copied.
fn slice<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "slice";
    let [Value::List(list), Value::Int(start), Value::Int(end)] = arguments else {
        return Err(Fault::overload(NAME, arguments));
    };
    let (Ok(start), Ok(end)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return Err(invalid(NAME, "a position is negative"));
    };
    if start > end {
        return Err(invalid(NAME, "the start is behind the end"));
    }
    let part = match list {
        List::Values(values) => values.get(start..end).map(List::Values),
        List::Owned(values) => values.get(start..end).map(List::Owned),
    };
    part.map(Value::List).ok_or_else(|| invalid(NAME, "the end is behind that of the list"))
}

/// `list.flatten()`, `list.flatten(depth)`: the elements of lists in it in their place, one level or several.
fn flatten<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "flatten";
    let (list, depth) = match arguments {
        [Value::List(list)] => (*list, 1),
        [Value::List(list), Value::Int(depth)] => (*list, *depth),
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    let depth = u64::try_from(depth).map_err(|_| invalid(NAME, "the depth is negative"))?;
    let mut flat = cx.vec(0)?;
    flatten_into(cx, &mut flat, list, depth)?;
    Ok(Value::List(List::Values(flat.into_bump_slice())))
}

/// Recurses as deeply as the value is nested, which evaluating or reading it did too.
fn flatten_into<'a>(
    cx: &mut Cx<'a>,
    flat: &mut BumpVec<'a, Value<'a>>,
    list: List<'a>,
    depth: u64,
) -> Result<(), Fault<'a>> {
    // An empty list in many lists costs too.
    cx.charge(1)?;
    cx.charge_length(list.len())?;
    for element in list.iter() {
        match element {
            Value::List(inner) if depth > 0 => flatten_into(cx, flat, inner, depth - 1)?,
            _ => cx.push(flat, element)?,
        }
    }
    Ok(())
}

/// `lists.range(n)`: from 0 to below n, which are none if that is negative.
fn range<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Int(n)] = arguments else { return Err(Fault::overload("lists.range", arguments)) };
    // What exceeds the address space exceeds the budget.
    let length = usize::try_from((*n).max(0)).unwrap_or(usize::MAX);
    cx.charge_length(length)?;
    let mut numbers = cx.vec(length)?;
    numbers.extend((0..*n).map(Value::Int));
    Ok(Value::List(List::Values(numbers.into_bump_slice())))
}

/// `list.reverse()`, `text.reverse()`
fn reverse<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    match arguments {
        [Value::String(text)] => strings::reverse(cx, text),
        [Value::List(list)] => {
            cx.charge_length(list.len())?;
            let mut reversed = cx.vec(list.len())?;
            reversed.extend(list.iter().rev());
            Ok(Value::List(List::Values(reversed.into_bump_slice())))
        }
        _ => Err(Fault::overload("reverse", arguments)),
    }
}

/// `list.sort()`: of elements of one type that has an order.
fn sort<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "sort";
    let [Value::List(list)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    let mut pairs = cx.vec(list.len())?;
    pairs.extend(list.iter().map(|element| (element, Value::Null)));
    cx.sort_pairs(NAME, &mut pairs)?;
    let mut sorted = cx.vec(pairs.len())?;
    sorted.extend(pairs.iter().map(|(element, _)| *element));
    Ok(Value::List(List::Values(sorted.into_bump_slice())))
}

/// `list.distinct()`: the first of equal elements each.
fn distinct<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(list)] = arguments else { return Err(Fault::overload("distinct", arguments)) };
    let mut kept: BumpVec<'a, Value<'a>> = cx.vec(list.len())?;
    if list.iter().all(|element| matches!(element, Value::String(_) | Value::Bool(_) | Value::Int(_))) {
        distinct_keys(cx, &mut kept, *list)?;
        return Ok(Value::List(List::Values(kept.into_bump_slice())));
    }
    for element in list.iter() {
        cx.charge(1)?;
        cx.charge_length(kept.len())?;
        let mut known = false;
        for other in &kept {
            known = known || cx.equal(&element, other)?;
        }
        if !known {
            kept.push(element);
        }
    }
    Ok(Value::List(List::Values(kept.into_bump_slice())))
}

/// Of elements whose order tells exactly which are equal: sorted instead of each compared with each.
fn distinct_keys<'a>(cx: &mut Cx<'a>, kept: &mut BumpVec<'a, Value<'a>>, list: List<'a>) -> Result<(), Fault<'a>> {
    for element in list.iter() {
        cx.charge_length(if let Value::String(text) = element { text.len() } else { 1 })?;
    }
    let depth = list.len().checked_ilog2().unwrap_or(0) as usize;
    cx.charge_length(list.len().saturating_mul(depth))?;
    let mut order = cx.vec::<(Value<'a>, usize)>(list.len())?;
    order.extend(list.iter().enumerate().map(|(number, element)| (element, number)));
    order.sort_unstable_by(|(a, at), (b, other)| compare::key_order(a, b).then(at.cmp(other)));
    order.dedup_by(|(a, _), (b, _)| compare::key_order(a, b).is_eq());
    order.sort_unstable_by_key(|(_, number)| *number);
    kept.extend(order.iter().map(|(element, _)| *element));
    Ok(())
}
