//! Arithmetic: on numbers of one type only, checked; on strings, bytes, lists, timestamps and durations.

use bumpalo::collections::String as BumpString;

use crate::eval::Cx;
use crate::expr::Arith;
use crate::fault::Fault;
use crate::value::{List, Value};

impl<'a> Cx<'a> {
    /// `left operator right`
    pub(super) fn arith(&mut self, operator: Arith, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        let result = match (left, right) {
            (Value::Int(a), Value::Int(b)) => return ints(operator, a, b),
            (Value::Uint(a), Value::Uint(b)) => return uints(operator, a, b),
            (Value::Double(a), Value::Double(b)) => doubles(operator, a, b),
            _ => match operator {
                Arith::Add => return self.add(left, right),
                Arith::Sub => return subtract(left, right),
                Arith::Mul | Arith::Div | Arith::Rem => None,
            },
        };
        result.ok_or(Fault::binary(symbol(operator), left.type_of(), right.type_of()))
    }

    /// `-operand`
    pub(super) fn negate(&self, operand: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        match operand {
            Value::Int(int) => int.checked_neg().map(Value::Int).ok_or(Fault::Overflow("-")),
            Value::Double(double) => Ok(Value::Double(-double)),
            other => Err(Fault::unary("-", other.type_of())),
        }
    }

    fn add(&mut self, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
        match (left, right) {
            (Value::String(a), Value::String(b)) => Ok(Value::String(self.concat_strings(a, b)?)),
            (Value::Bytes(a), Value::Bytes(b)) => Ok(Value::Bytes(self.concat_bytes(a, b)?)),
            (Value::List(a), Value::List(b)) => Ok(Value::List(self.concat_lists(a, b)?)),
            (Value::Timestamp(at), Value::Duration(by)) | (Value::Duration(by), Value::Timestamp(at)) => {
                at.checked_add(by).map(Value::Timestamp).ok_or(Fault::Overflow("+"))
            }
            (Value::Duration(a), Value::Duration(b)) => {
                a.checked_add(b).map(Value::Duration).ok_or(Fault::Overflow("+"))
            }
            _ => Err(Fault::binary("+", left.type_of(), right.type_of())),
        }
    }

    fn concat_strings(&mut self, a: &'a str, b: &'a str) -> Result<&'a str, Fault<'a>> {
        let length = a.len() + b.len();
        self.charge_length(length)?;
        self.charge_bytes(length)?;
        let mut joined = BumpString::with_capacity_in(length, self.arena.bump());
        joined.push_str(a);
        joined.push_str(b);
        Ok(joined.into_bump_str())
    }

    fn concat_bytes(&mut self, a: &'a [u8], b: &'a [u8]) -> Result<&'a [u8], Fault<'a>> {
        let length = a.len() + b.len();
        self.charge_length(length)?;
        let mut joined = self.vec(length)?;
        joined.extend_from_slice_copy(a);
        joined.extend_from_slice_copy(b);
        Ok(joined.into_bump_slice())
    }

    fn concat_lists(&mut self, a: List<'a>, b: List<'a>) -> Result<List<'a>, Fault<'a>> {
        // Nothing is copied where nothing is added.
        if a.is_empty() {
            return Ok(b);
        }
        if b.is_empty() {
            return Ok(a);
        }
        let length = a.len() + b.len();
        self.charge_length(length)?;
        let mut joined = self.vec(length)?;
        joined.extend(a.iter().chain(b.iter()));
        Ok(List::Values(joined.into_bump_slice()))
    }
}

fn ints<'a>(operator: Arith, a: i64, b: i64) -> Result<Value<'a>, Fault<'a>> {
    let result = match operator {
        Arith::Add => a.checked_add(b),
        Arith::Sub => a.checked_sub(b),
        Arith::Mul => a.checked_mul(b),
        Arith::Div if b == 0 => return Err(Fault::DivideByZero),
        Arith::Div => a.checked_div(b),
        Arith::Rem if b == 0 => return Err(Fault::ModuloByZero),
        Arith::Rem => a.checked_rem(b),
    };
    result.map(Value::Int).ok_or(Fault::Overflow(symbol(operator)))
}

fn uints<'a>(operator: Arith, a: u64, b: u64) -> Result<Value<'a>, Fault<'a>> {
    let result = match operator {
        Arith::Add => a.checked_add(b),
        Arith::Sub => a.checked_sub(b),
        Arith::Mul => a.checked_mul(b),
        Arith::Div if b == 0 => return Err(Fault::DivideByZero),
        Arith::Div => a.checked_div(b),
        Arith::Rem if b == 0 => return Err(Fault::ModuloByZero),
        Arith::Rem => a.checked_rem(b),
    };
    result.map(Value::Uint).ok_or(Fault::Overflow(symbol(operator)))
}

/// Doubles go on to infinity; they have no remainder.
fn doubles<'a>(operator: Arith, a: f64, b: f64) -> Option<Value<'a>> {
    match operator {
        Arith::Add => Some(Value::Double(a + b)),
        Arith::Sub => Some(Value::Double(a - b)),
        Arith::Mul => Some(Value::Double(a * b)),
        Arith::Div => Some(Value::Double(a / b)),
        Arith::Rem => None,
    }
}

fn subtract<'a>(left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault<'a>> {
    let result = match (left, right) {
        (Value::Timestamp(a), Value::Timestamp(b)) => a.since(b).map(Value::Duration),
        (Value::Timestamp(at), Value::Duration(by)) => at.checked_sub(by).map(Value::Timestamp),
        (Value::Duration(a), Value::Duration(b)) => a.checked_sub(b).map(Value::Duration),
        _ => return Err(Fault::binary("-", left.type_of(), right.type_of())),
    };
    result.ok_or(Fault::Overflow("-"))
}

fn symbol(operator: Arith) -> &'static str {
    match operator {
        Arith::Add => "+",
        Arith::Sub => "-",
        Arith::Mul => "*",
        Arith::Div => "/",
        Arith::Rem => "%",
    }
}
