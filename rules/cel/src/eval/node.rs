//! Every kind of node.

use crate::eval::{Cx, compare};
use crate::expr::{Element, Entry, Expr, Kind, Relation};
use crate::fault::Fault;
use crate::functions::{self, Function};
use crate::value::{List, Map, Value};

impl<'a> Cx<'a> {
    /// A node's value.
    pub(super) fn node(&mut self, kind: &'a Kind) -> Result<Value<'a>, Fault<'a>> {
        match kind {
            Kind::Const(value) => Ok(value.value()),
            Kind::Slot(id) => self.slot(*id),
            Kind::HasSlot(id) => self.has_slot(*id).map(Value::Bool),
            Kind::OptSlot { slot, from } => self.opt_slot(*slot, *from),
            Kind::Var(number) => Ok(self.vars[*number]),
            Kind::Local(place) => self.locals[*place],
            Kind::Select(operand, field) => {
                let operand = self.eval(operand)?;
                self.select(operand, field)
            }
            Kind::Has(operand, field) => {
                let operand = self.eval(operand)?;
                self.has(operand, field).map(Value::Bool)
            }
            Kind::OptSelect(operand, field) => {
                let operand = self.eval(operand)?;
                self.opt_select(operand, field)
            }
            Kind::Index(operands) => {
                let [operand, index] = self.pair(operands)?;
                self.index(operand, index)
            }
            Kind::OptIndex(operands) => {
                let [operand, index] = self.pair(operands)?;
                self.opt_index(operand, index)
            }
            Kind::Not(operand) => match self.eval(operand)? {
                Value::Bool(bool) => Ok(Value::Bool(!bool)),
                other => Err(Fault::unary("!", other.type_of())),
            },
            Kind::And(operands) => self.decide(operands, false, "&&"),
            Kind::Or(operands) => self.decide(operands, true, "||"),
            Kind::Cond(branches) => match self.eval(&branches[0])? {
                Value::Bool(true) => self.eval(&branches[1]),
                Value::Bool(false) => self.eval(&branches[2]),
                other => Err(Fault::unary("?:", other.type_of())),
            },
            Kind::Negate(operand) => {
                let operand = self.eval(operand)?;
                self.negate(operand)
            }
            Kind::Compare(relation, operands) => {
                let [left, right] = self.pair(operands)?;
                self.relation(*relation, left, right).map(Value::Bool)
            }
            Kind::Arith(operator, operands) => {
                let [left, right] = self.pair(operands)?;
                self.arith(*operator, left, right)
            }
            Kind::Matches(operand, regex) => match self.eval(operand)? {
                Value::String(text) => {
                    self.charge_length(text.len())?;
                    Ok(Value::Bool(regex.is_match(text)))
                }
                other => Err(Fault::unary("matches", other.type_of())),
            },
            Kind::InSet(operand, set) => {
                let operand = self.eval(operand)?;
                Ok(Value::Bool(compare::in_set(&operand, set)))
            }
            Kind::List(elements) => self.list_literal(elements),
            Kind::Map(entries) => self.map_literal(entries),
            Kind::Call(function, arguments) => self.call(function, arguments),
            Kind::Loop(of) => self.run(of),
            Kind::Bind(operands) => self.bind(operands),
            Kind::OptMap(operands) => match self.opt_body("optMap", operands)? {
                Some(value) => self.some(value),
                None => Ok(Value::Optional(None)),
            },
            Kind::OptFlatMap(operands) => match self.opt_body("optFlatMap", operands)? {
                Some(value @ Value::Optional(_)) => Ok(value),
                Some(other) => Err(Fault::unary("optFlatMap", other.type_of())),
                None => Ok(Value::Optional(None)),
            },
        }
    }

    /// Two operands, from left to right.
    fn pair(&mut self, operands: &'a [Expr; 2]) -> Result<[Value<'a>; 2], Fault<'a>> {
        Ok([self.eval(&operands[0])?, self.eval(&operands[1])?])
    }

    /// `&&` and `||`: the first operand that decides does so whatever stands before it; else the first fault
    /// stays.
    fn decide(&mut self, operands: &'a [Expr], decisive: bool, operator: &'static str) -> Result<Value<'a>, Fault<'a>> {
        let mut fault = None;
        for operand in operands {
            let value = self.eval(operand);
            if absorb(value, operator, &mut fault)? == Some(decisive) {
                return Ok(Value::Bool(decisive));
            }
        }
        fault.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn relation(&mut self, relation: Relation, left: Value<'a>, right: Value<'a>) -> Result<bool, Fault<'a>> {
        match relation {
            Relation::Eq => self.equal(&left, &right),
            Relation::Ne => Ok(!self.equal(&left, &right)?),
            Relation::Lt => Ok(self.order("<", left, right)?.is_lt()),
            Relation::Le => Ok(self.order("<=", left, right)?.is_le()),
            Relation::Gt => Ok(self.order(">", left, right)?.is_gt()),
            Relation::Ge => Ok(self.order(">=", left, right)?.is_ge()),
            Relation::In => match right {
                Value::List(list) => self.contains(list, &left),
                Value::Map(map) => Ok(map.get(&left).is_some()),
                other => Err(Fault::binary("in", left.type_of(), other.type_of())),
            },
        }
    }

    fn order(
        &mut self,
        operator: &'static str,
        left: Value<'a>,
        right: Value<'a>,
    ) -> Result<core::cmp::Ordering, Fault<'a>> {
        if let (Value::String(a), Value::String(b)) = (left, right) {
            self.charge_length(a.len().min(b.len()))?;
        }
        compare::order(&left, &right).ok_or(Fault::binary(operator, left.type_of(), right.type_of()))
    }

    fn list_literal(&mut self, elements: &'a [Element]) -> Result<Value<'a>, Fault<'a>> {
        let mut values = self.vec(elements.len())?;
        for element in elements {
            let value = self.eval(&element.value)?;
            values.extend(if element.optional { optional("[?]", value)? } else { Some(value) });
        }
        Ok(Value::List(List::Values(values.into_bump_slice())))
    }

    fn map_literal(&mut self, entries: &'a [Entry]) -> Result<Value<'a>, Fault<'a>> {
        let mut pairs = self.vec(entries.len())?;
        for entry in entries {
            let key = self.eval(&entry.key)?;
            let value = self.eval(&entry.value)?;
            let value = if entry.optional { optional("{?:}", value)? } else { Some(value) };
            pairs.extend(value.map(|value| (key, value)));
        }
        self.check_entries(&mut pairs)?;
        Ok(Value::Map(Map::Values(pairs.into_bump_slice())))
    }

    fn call(&mut self, function: &'static Function, arguments: &'a [Expr]) -> Result<Value<'a>, Fault<'a>> {
        // Nearly all have at most three: no memory is needed for them.
        match arguments {
            [] => (function.call)(self, &[]),
            [a] => {
                let a = self.eval(a)?;
                (function.call)(self, &[a])
            }
            [a, b] => {
                let a = self.eval(a)?;
                if let Some(answer) = functions::answered_by(function, a) {
                    return Ok(answer);
                }
                let arguments = [a, self.eval(b)?];
                (function.call)(self, &arguments)
            }
            [a, b, c] => {
                let arguments = [self.eval(a)?, self.eval(b)?, self.eval(c)?];
                (function.call)(self, &arguments)
            }
            _ => {
                let mut values = self.vec(arguments.len())?;
                for argument in arguments {
                    values.push(self.eval(argument)?);
                }
                (function.call)(self, &values)
            }
        }
    }

    fn bind(&mut self, operands: &'a [Expr; 2]) -> Result<Value<'a>, Fault<'a>> {
        let value = self.eval(&operands[0]);
        if let Err(fault) = value
            && fault.is_final()
        {
            return Err(fault);
        }
        self.locals.push(value);
        let body = self.eval(&operands[1]);
        self.locals.pop();
        body
    }

    /// The body's value, if the optional has one.
    fn opt_body(&mut self, macro_name: &'static str, operands: &'a [Expr; 2]) -> Result<Option<Value<'a>>, Fault<'a>> {
        let operand = self.eval(&operands[0])?;
        let Some(value) = optional(macro_name, operand)? else { return Ok(None) };
        self.locals.push(Ok(value));
        let body = self.eval(&operands[1]);
        self.locals.pop();
        body.map(Some)
    }
}

/// What `&&`, `||`, `all` and `exists` make of an operand: its bool, or nothing if that is a fault, of which
/// the first is kept. Only a final fault goes on.
pub(super) fn absorb<'a>(
    value: Result<Value<'a>, Fault<'a>>,
    operator: &'static str,
    first: &mut Option<Fault<'a>>,
) -> Result<Option<bool>, Fault<'a>> {
    let fault = match value {
        Ok(Value::Bool(bool)) => return Ok(Some(bool)),
        Ok(other) => Fault::unary(operator, other.type_of()),
        Err(fault) if fault.is_final() => return Err(fault),
        Err(fault) => fault,
    };
    first.get_or_insert(fault);
    Ok(None)
}

/// What an optional holds; anything else is a fault of `function`.
fn optional<'a>(function: &'static str, value: Value<'a>) -> Result<Option<Value<'a>>, Fault<'a>> {
    match value {
        Value::Optional(value) => Ok(value.copied()),
        other => Err(Fault::unary(function, other.type_of())),
    }
}
