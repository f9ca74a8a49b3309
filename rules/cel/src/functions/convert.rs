//! Conversions between types, by the name of the type that comes out.

use core::fmt;
use std::io::Write as _;

use crate::eval::{Cx, compare};
use crate::fault::Fault;
use crate::functions::Function;
use crate::time::{Duration, Timestamp};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    Function { name: "int", global: &[1], member: &[], call: int },
    Function { name: "uint", global: &[1], member: &[], call: uint },
    Function { name: "double", global: &[1], member: &[], call: double },
    Function { name: "bool", global: &[1], member: &[], call: bool },
    Function { name: "string", global: &[1], member: &[], call: string },
    Function { name: "bytes", global: &[1], member: &[], call: bytes },
    Function { name: "timestamp", global: &[1], member: &[], call: timestamp },
    Function { name: "duration", global: &[1], member: &[], call: duration },
];

fn int<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let int = match arguments {
        [Value::Int(int)] => Some(*int),
        [Value::Uint(uint)] => i64::try_from(*uint).ok(),
        [Value::Double(double)] => compare::int_of(*double),
        [Value::Timestamp(timestamp)] => Some(timestamp.seconds),
        [Value::Duration(duration)] => Some(duration.nanos),
        [Value::String(text)] => {
            cx.charge_length(text.len())?;
            Some(text.parse().map_err(|_| invalid("int", "not an int in decimal"))?)
        }
        _ => return Err(Fault::overload("int", arguments)),
    };
    int.map(Value::Int).ok_or(Fault::Overflow("int"))
}

fn uint<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let uint = match arguments {
        [Value::Uint(uint)] => Some(*uint),
        [Value::Int(int)] => u64::try_from(*int).ok(),
        [Value::Double(double)] => compare::uint_of(*double),
        [Value::String(text)] => {
            cx.charge_length(text.len())?;
            // The standard library takes a plus, the language takes none.
            let digits = (!text.starts_with('+')).then_some(text);
            Some(digits.and_then(|text| text.parse().ok()).ok_or(invalid("uint", "not a uint in decimal"))?)
        }
        _ => return Err(Fault::overload("uint", arguments)),
    };
    uint.map(Value::Uint).ok_or(Fault::Overflow("uint"))
}

#[allow(clippy::cast_precision_loss)] // To the nearest, as the language has it.
fn double<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    match arguments {
        [value @ Value::Double(_)] => Ok(*value),
        [Value::Int(int)] => Ok(Value::Double(*int as f64)),
        [Value::Uint(uint)] => Ok(Value::Double(*uint as f64)),
        [Value::String(text)] => {
            cx.charge_length(text.len())?;
            // The standard library takes a sign before `nan`, the language takes none.
            let double: f64 = text.parse().map_err(|_| invalid("double", "not a number"))?;
            if double.is_nan() && text.starts_with(['+', '-']) {
                return Err(invalid("double", "not a number"));
            }
            // Only what was written as infinite is.
            if double.is_infinite() && text.bytes().any(|c| c.is_ascii_digit()) {
                return Err(Fault::Overflow("double"));
            }
            Ok(Value::Double(double))
        }
        _ => Err(Fault::overload("double", arguments)),
    }
}

fn bool<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    match arguments {
        [value @ Value::Bool(_)] => Ok(*value),
        [Value::String("1" | "t" | "T" | "true" | "TRUE" | "True")] => Ok(Value::Bool(true)),
        [Value::String("0" | "f" | "F" | "false" | "FALSE" | "False")] => Ok(Value::Bool(false)),
        [Value::String(_)] => Err(invalid("bool", "neither true nor false")),
        _ => Err(Fault::overload("bool", arguments)),
    }
}

fn string<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    match arguments {
        [value @ Value::String(_)] => Ok(*value),
        [Value::Bool(bool)] => Ok(Value::String(if *bool { "true" } else { "false" })),
        [Value::Int(int)] => cx.display(int),
        [Value::Uint(uint)] => cx.display(uint),
        [Value::Double(double)] => cx.display(&Shortest(*double)),
        [Value::Timestamp(timestamp)] => cx.display(timestamp),
        [Value::Duration(duration)] => cx.display(duration),
        [Value::Ip(ip)] => cx.display(ip),
        [Value::Cidr(cidr)] => cx.display(&format_args!("{}/{}", cidr.address, cidr.prefix)),
        [Value::Semver(version)] => Ok(Value::String(version.as_str())),
        [Value::Bytes(bytes)] => {
            cx.charge_length(bytes.len())?;
            core::str::from_utf8(bytes).map(Value::String).map_err(|_| invalid("string", "the bytes are no UTF-8"))
        }
        _ => Err(Fault::overload("string", arguments)),
    }
}

fn bytes<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    match arguments {
        [value @ Value::Bytes(_)] => Ok(*value),
        [Value::String(text)] => Ok(Value::Bytes(text.as_bytes())),
        _ => Err(Fault::overload("bytes", arguments)),
    }
}

fn timestamp<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let timestamp = match arguments {
        [Value::Timestamp(timestamp)] => Some(*timestamp),
        [Value::Int(seconds)] => Some(Timestamp::new(*seconds, 0).ok_or(Fault::Overflow("timestamp"))?),
        [Value::String(text)] => {
            cx.charge_length(text.len())?;
            Timestamp::parse(text)
        }
        _ => return Err(Fault::overload("timestamp", arguments)),
    };
    timestamp.map(Value::Timestamp).ok_or(invalid("timestamp", "no RFC 3339 with an offset, of the years 1 to 9999"))
}

fn duration<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault<'a>> {
    let duration = match arguments {
        [Value::Duration(duration)] => Some(*duration),
        [Value::String(text)] => {
            cx.charge_length(text.len())?;
            Duration::parse(text)
        }
        _ => return Err(Fault::overload("duration", arguments)),
    };
    duration
        .map(Value::Duration)
        .ok_or(invalid("duration", "no duration like 1h30m, of h, m, s, ms, us, ns, or too long"))
}

fn invalid<'a>(function: &'static str, why: &'static str) -> Fault<'a> {
    Fault::InvalidArgument { function, why }
}

/// A double with the fewest digits that tell it apart, with an exponent if it is below 10⁻⁴ or from 10⁶ on
/// (Go's `%g`).
pub(crate) struct Shortest(pub f64);

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let double = self.0;
        if !double.is_finite() {
            return f.write_str(if double.is_nan() {
                "NaN"
            } else if double > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            });
        }
        // A sign, 17 digits, a point, `e` and four more at most.
        let mut buffer = [0; 32];
        let mut rest = &mut buffer[..];
        write!(rest, "{double:e}").map_err(|_| fmt::Error)?;
        let left = rest.len();
        let text = core::str::from_utf8(&buffer[..buffer.len() - left]).map_err(|_| fmt::Error)?;
        let (digits, exponent) = text.split_once('e').ok_or(fmt::Error)?;
        let exponent: i32 = exponent.parse().map_err(|_| fmt::Error)?;
        if (-4..6).contains(&exponent) {
            write!(f, "{double}")
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(f, "{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}
