//! Reading fields: of the event's slots, of maps, lists and optionals.

use crate::eval::{Cx, compare};
use crate::fault::Fault;
use crate::paths::SlotId;
use crate::slot::Slot;
use crate::value::{List, Map, Value};

/// How a field is asked for, as faults name it.
const SELECT: &str = ".";
const OPT_SELECT: &str = ".?";
const INDEX: &str = "[]";

impl<'a> Cx<'a> {
    /// The value at a path of the event.
    #[inline]
    pub(super) fn slot(&self, id: SlotId) -> Result<Value<'a>, Fault<'a>> {
        match self.slots.get(id.index()) {
            Some(Slot::Value(value)) => Ok(*value),
            // Nobody reads it whole: only its type is asked for.
            Some(Slot::Object) => Ok(Value::Map(Map::Values(&[]))),
            Some(Slot::Absent) | None => Err(self.absent(id)),
        }
    }

    /// `has()` of a path: whether it is there, a fault where nothing can have fields.
    pub(super) fn has_slot(&self, id: SlotId) -> Result<bool, Fault<'a>> {
        if !self.is_absent(id) {
            return Ok(true);
        }
        let parent = self.paths.get(id).parent;
        match self.slots.get(parent.index()) {
            Some(Slot::Object | Slot::Value(Value::Map(_))) => Ok(false),
            Some(Slot::Value(value)) => has_no_field(*value),
            Some(Slot::Absent) | None => Err(self.absent(parent)),
        }
    }

    /// The optional value at a path: none if a step below `from` is missing.
    pub(super) fn opt_slot(&mut self, id: SlotId, from: SlotId) -> Result<Value<'a>, Fault<'a>> {
        if !self.is_absent(id) {
            let value = self.slot(id)?;
            return self.some(value);
        }
        let mut above = self.paths.get(id).parent;
        while above != from && self.is_absent(above) {
            above = self.paths.get(above).parent;
        }
        match self.slot(above)? {
            Value::Map(_) => Ok(Value::Optional(None)),
            other => Err(Fault::unary(OPT_SELECT, other.type_of())),
        }
    }

    /// Why nothing stands at a path: the first step that is missing, or what has no fields.
    #[cold]
    fn absent(&self, id: SlotId) -> Fault<'a> {
        let mut missing = id;
        loop {
            let parent = self.paths.get(missing).parent;
            match self.slots.get(parent.index()) {
                Some(Slot::Value(value)) if !matches!(value, Value::Map(_)) => {
                    return Fault::unary(SELECT, value.type_of());
                }
                Some(Slot::Absent) | None if parent != missing => missing = parent,
                _ => return Fault::Missing(&self.paths.get(missing).name),
            }
        }
    }

    fn is_absent(&self, id: SlotId) -> bool {
        matches!(self.slots.get(id.index()), Some(Slot::Absent) | None)
    }

    /// `operand.field`
    pub(super) fn select(&mut self, operand: Value<'a>, field: &'a str) -> Result<Value<'a>, Fault<'a>> {
        match operand {
            Value::Map(map) => map.field(field).ok_or(Fault::Missing(field)),
            // Goes on inside, and stays optional.
            Value::Optional(_) => self.opt_select(operand, field),
            other => Err(Fault::unary(SELECT, other.type_of())),
        }
    }

    /// `operand.?field`
    pub(super) fn opt_select(&mut self, operand: Value<'a>, field: &'a str) -> Result<Value<'a>, Fault<'a>> {
        match operand {
            Value::Map(map) => self.found(map.field(field)),
            Value::Optional(None) => Ok(operand),
            Value::Optional(Some(inner)) => self.opt_select(*inner, field),
            other => Err(Fault::unary(OPT_SELECT, other.type_of())),
        }
    }

    /// `has(operand.field)`
    pub(super) fn has(&self, operand: Value<'a>, field: &str) -> Result<bool, Fault<'a>> {
        match operand {
            Value::Map(map) => Ok(map.field(field).is_some()),
            Value::Optional(None) => Ok(false),
            Value::Optional(Some(inner)) => self.has(*inner, field),
            other => has_no_field(other),
        }
    }

    /// `operand[index]`
    pub(super) fn index(&mut self, operand: Value<'a>, index: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        match operand {
            Value::Map(map) => map.get(&index).ok_or(Fault::Missing(match index {
                Value::String(name) => name,
                _ => "",
            })),
            Value::List(list) => element(list, index)?.ok_or(Fault::IndexOutOfBounds),
            Value::Optional(_) => self.opt_index(operand, index),
            other => Err(Fault::binary(INDEX, other.type_of(), index.type_of())),
        }
    }

    /// `operand[?index]`
    pub(super) fn opt_index(&mut self, operand: Value<'a>, index: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        match operand {
            Value::Map(map) => self.found(map.get(&index)),
            Value::List(list) => self.found(element(list, index)?),
            Value::Optional(None) => Ok(operand),
            Value::Optional(Some(inner)) => self.opt_index(*inner, index),
            other => Err(Fault::binary("[?]", other.type_of(), index.type_of())),
        }
    }

    fn found(&mut self, value: Option<Value<'a>>) -> Result<Value<'a>, Fault<'a>> {
        value.map_or(Ok(Value::Optional(None)), |value| self.some(value))
    }
}

/// `has()` of something that is no map: of a list it is a fault, as in cel-go, and else false.
fn has_no_field<'a>(value: Value<'a>) -> Result<bool, Fault<'a>> {
    match value {
        Value::List(_) => Err(Fault::unary("has", value.type_of())),
        _ => Ok(false),
    }
}

/// An element by any kind of number that is whole, if the list is long enough.
fn element<'a>(list: List<'a>, index: Value<'a>) -> Result<Option<Value<'a>>, Fault<'a>> {
    let whole = match index {
        Value::Double(double) => compare::whole(double),
        _ => Some(index),
    };
    let at = match whole {
        Some(Value::Int(int)) => usize::try_from(int),
        Some(Value::Uint(uint)) => usize::try_from(uint),
        Some(other) => return Err(Fault::binary(INDEX, crate::value::Type::List, other.type_of())),
        None => return Err(Fault::InvalidArgument { function: INDEX, why: "the index is not whole" }),
    };
    Ok(at.ok().and_then(|at| list.get(at)))
}
