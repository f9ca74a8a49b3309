//! `format`: `%s` any value, `%d` a number, `%f` and `%e` with a fraction, `%b` `%o` `%x` `%X` in another
//! base, `%%` the sign itself. A precision, as in `%.2f`, counts digits behind the point: 6 if it is not
//! written.

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::call::{Answer, invalid};
use crate::functions::out::Out;
use crate::time::Duration;
use crate::value::{List, Map, Value};

const NAME: &str = "format";
const PRECISION_DEFAULT: usize = 6;
const PRECISION_MAX: usize = 100;

/// `text.format(values)`
pub(super) fn format<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::String(text), Value::List(values)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    cx.charge_length(text.len())?;
    let mut out = Out::new(cx, text.len())?;
    let mut values = values.iter();
    let mut rest = *text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push(before)?;
        if let Some(after) = after.strip_prefix('%') {
            out.push("%")?;
            rest = after;
            continue;
        }
        let value = values.next().ok_or_else(|| invalid(NAME, "there are more verbs than values"))?;
        let (precision, after) = precision(after)?;
        let mut chars = after.chars();
        let verb = chars.next().ok_or_else(|| invalid(NAME, "the string ends within a verb"))?;
        out.verb(verb, precision, &value)?;
        rest = chars.as_str();
    }
    out.push(rest)?;
    Ok(out.finish())
}

/// The precision that may stand before a verb, and what follows it.
fn precision<'a>(text: &str) -> Result<(usize, &str), Fault<'a>> {
    let Some(digits) = text.strip_prefix('.') else { return Ok((PRECISION_DEFAULT, text)) };
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    match digits[..digits.len() - rest.len()].parse() {
        Ok(precision) if precision <= PRECISION_MAX => Ok((precision, rest)),
        Ok(_) => Err(invalid(NAME, "the precision is above 100")),
        Err(_) => Err(invalid(NAME, "the precision is no number")),
    }
}

impl<'a> Out<'_, 'a> {
    fn verb(&mut self, verb: char, precision: usize, value: &Value<'a>) -> Result<(), Fault<'a>> {
        match verb {
            's' => self.any(value),
            'd' => match value {
                Value::Int(_) | Value::Uint(_) | Value::Double(_) => self.any(value),
                _ => Err(invalid(NAME, "%d takes an int, a uint or a double")),
            },
            'f' => {
                let double = number(value).ok_or_else(|| invalid(NAME, "%f takes an int, a uint or a double"))?;
                if !double.is_finite() {
                    return self.push(unusual(double));
                }
                self.write(format_args!("{double:.precision$}"))
            }
            'e' => {
                let double = number(value).ok_or_else(|| invalid(NAME, "%e takes an int, a uint or a double"))?;
                self.scientific(double, precision)
            }
            'b' => match value {
                Value::Bool(bool) => self.push(if *bool { "1" } else { "0" }),
                Value::Int(int) => self.write(format_args!("{}{:b}", sign(*int), int.unsigned_abs())),
                Value::Uint(uint) => self.write(format_args!("{uint:b}")),
                _ => Err(invalid(NAME, "%b takes an int, a uint or a bool")),
            },
            'o' => match value {
                Value::Int(int) => self.write(format_args!("{}{:o}", sign(*int), int.unsigned_abs())),
                Value::Uint(uint) => self.write(format_args!("{uint:o}")),
                _ => Err(invalid(NAME, "%o takes an int or a uint")),
            },
            'x' => self.hex(value, false),
            'X' => self.hex(value, true),
            _ => Err(invalid(NAME, "an unknown verb: known are s, d, f, e, b, o, x, X and %")),
        }
    }

    /// `1.5e+03`: a sign, and at least two digits in the exponent.
    fn scientific(&mut self, double: f64, precision: usize) -> Result<(), Fault<'a>> {
        if !double.is_finite() {
            return self.push(unusual(double));
        }
        let start = self.text.len();
        self.write(format_args!("{double:.precision$e}"))?;
        // The standard library writes `1.5e3` and `1.5e-3`.
        let exponent = self.text[start..].rsplit('e').next().and_then(|digits| digits.parse::<i32>().ok());
        let end = self.text[start..].rfind('e').map_or(self.text.len(), |at| start + at);
        self.text.truncate(end);
        let exponent = exponent.unwrap_or_default();
        let sign = if exponent < 0 { '-' } else { '+' };
        self.write(format_args!("e{sign}{:02}", exponent.unsigned_abs()))
    }

    fn hex(&mut self, value: &Value<'a>, upper: bool) -> Result<(), Fault<'a>> {
        let bytes = match value {
            Value::String(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
            Value::Int(int) if upper => return self.write(format_args!("{}{:X}", sign(*int), int.unsigned_abs())),
            Value::Int(int) => return self.write(format_args!("{}{:x}", sign(*int), int.unsigned_abs())),
            Value::Uint(uint) if upper => return self.write(format_args!("{uint:X}")),
            Value::Uint(uint) => return self.write(format_args!("{uint:x}")),
            _ => return Err(invalid(NAME, "%x takes an int, a uint, a string or bytes")),
        };
        self.cx.charge_length(bytes.len().saturating_mul(2))?;
        for byte in bytes {
            if upper { self.write(format_args!("{byte:02X}"))? } else { self.write(format_args!("{byte:02x}"))? }
        }
        Ok(())
    }

    /// `%s`
    fn any(&mut self, value: &Value<'a>) -> Result<(), Fault<'a>> {
        self.cx.charge(1)?;
        match value {
            Value::Null => self.push("null"),
            Value::Bool(bool) => self.push(if *bool { "true" } else { "false" }),
            Value::Int(int) => self.write(format_args!("{int}")),
            Value::Uint(uint) => self.write(format_args!("{uint}")),
            Value::Double(double) if !double.is_finite() => self.push(unusual(*double)),
            Value::Double(double) => self.write(format_args!("{double}")),
            Value::String(text) => self.push(text),
            Value::Bytes(bytes) => match str::from_utf8(bytes) {
                Ok(text) => self.push(text),
                Err(_) => Err(invalid(NAME, "the bytes are no UTF-8")),
            },
            Value::List(list) => self.list(*list),
            Value::Map(map) => self.map(*map),
            Value::Timestamp(timestamp) => self.write(format_args!("{timestamp}")),
            Value::Duration(duration) => self.duration(*duration),
            Value::Type(of) => self.push(of.name()),
            Value::Optional(_) | Value::Ip(_) | Value::Cidr(_) | Value::Semver(_) => {
                Err(invalid(NAME, "%s does not take such a value; convert it with string()"))
            }
        }
    }

    fn list(&mut self, list: List<'a>) -> Result<(), Fault<'a>> {
        self.push("[")?;
        for (number, element) in list.iter().enumerate() {
            if number > 0 {
                self.push(", ")?;
            }
            self.any(&element)?;
        }
        self.push("]")
    }

    /// The entries in the order of their keys' texts, which is not that of the keys.
    fn map(&mut self, map: Map<'a>) -> Result<(), Fault<'a>> {
        let mut entries = self.cx.vec(map.len())?;
        for (key, value) in map.iter() {
            let mut text = Out::new(self.cx, 0)?;
            text.any(&key)?;
            entries.push((text.text.into_bump_str(), entries.len(), value));
        }
        // The number keeps those of equal texts in their order.
        entries.sort_unstable_by_key(|(key, number, _)| (*key, *number));
        self.push("{")?;
        for (number, (key, _, value)) in entries.iter().enumerate() {
            if number > 0 {
                self.push(", ")?;
            }
            self.push(key)?;
            self.push(": ")?;
            self.any(value)?;
        }
        self.push("}")
    }

    /// Seconds, with a fraction if there is one.
    #[allow(clippy::cast_precision_loss)] // As cel-go has it.
    fn duration(&mut self, duration: Duration) -> Result<(), Fault<'a>> {
        let whole = (duration.nanos / 1_000_000_000) as f64;
        let fraction = (duration.nanos % 1_000_000_000) as f64 / 1e9;
        self.write(format_args!("{}s", whole + fraction))
    }
}

fn sign(int: i64) -> &'static str {
    if int < 0 { "-" } else { "" }
}

/// A number as a double.
#[allow(clippy::cast_precision_loss)] // Rounded, as cel-go does.
fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Uint(uint) => Some(*uint as f64),
        Value::Double(double) => Some(*double),
        _ => None,
    }
}

/// A double that is no number or no finite one.
fn unusual(double: f64) -> &'static str {
    match double {
        double if double.is_nan() => "NaN",
        double if double < 0.0 => "-Infinity",
        _ => "Infinity",
    }
}
