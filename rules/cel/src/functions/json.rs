//! JSON of a value, byte for byte as cel-go writes it.

use base64::display::Base64Display;

use super::encoders::PADDED;
use super::out::Out;
use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, global, invalid};
use crate::value::{List, Map, Value};

/// `json.encode`.
pub(super) const TABLE: &[Function] = &[global(NAME, &[1], encode)];

const NAME: &str = "json.encode";
/// The largest whole number that a double has exactly, as its neighbours: larger ones become strings.
const WHOLE_MAX: u64 = (1 << 53) - 1;

/// `json.encode(value)`: without spaces, members in the order of their names.
fn encode<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [value] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    let mut out = Out::new(cx, 0)?;
    out.json(value)?;
    Ok(out.finish())
}

impl<'a> Out<'_, 'a> {
    fn json(&mut self, value: &Value<'a>) -> Result<(), Fault<'a>> {
        self.cx.charge(1)?;
        match value {
            Value::Null => self.push("null"),
            Value::Bool(bool) => self.push(if *bool { "true" } else { "false" }),
            Value::Int(int) if int.unsigned_abs() <= WHOLE_MAX => self.write(format_args!("{int}")),
            Value::Int(int) => self.write(format_args!("\"{int}\"")),
            Value::Uint(uint) if *uint <= WHOLE_MAX => self.write(format_args!("{uint}")),
            Value::Uint(uint) => self.write(format_args!("\"{uint}\"")),
            Value::Double(double) => self.json_double(*double),
            Value::String(text) => self.json_string(text),
            Value::Bytes(bytes) => self.write(format_args!("\"{}\"", Base64Display::new(bytes, &PADDED))),
            Value::List(list) => self.json_list(*list),
            Value::Map(map) => self.json_map(*map),
            Value::Timestamp(timestamp) => self.write(format_args!("\"{timestamp}\"")),
            Value::Duration(duration) => self.write(format_args!("\"{duration}\"")),
            Value::Optional(Some(value)) => self.json(value),
            Value::Optional(None) => Err(invalid(NAME, "the optional has no value")),
            Value::Type(_) | Value::Ip(_) | Value::Cidr(_) | Value::Semver(_) => {
                Err(Fault::unary(NAME, value.type_of()))
            }
        }
    }

    /// With an exponent where JavaScript writes one.
    fn json_double(&mut self, double: f64) -> Result<(), Fault<'a>> {
        let size = double.abs();
        if !size.is_finite() {
            return Err(invalid(NAME, "JSON has no NaN and no infinity"));
        }
        if size == 0.0 || (1e-6..1e21).contains(&size) {
            return self.write(format_args!("{double}"));
        }
        // `1e21` and `1e-7`, of which the former wants a sign.
        let start = self.text.len();
        // The space is the room for it.
        self.write(format_args!("{double:e} "))?;
        self.text.pop();
        if size >= 1.0
            && let Some(at) = self.text[start..].find('e')
        {
            self.text.insert(start + at + 1, '+');
        }
        Ok(())
    }

    fn json_string(&mut self, text: &str) -> Result<(), Fault<'a>> {
        // The pieces between escapes may be too short to cost anything.
        self.cx.charge_length(text.len())?;
        self.push("\"")?;
        let mut rest = text;
        while let Some(at) = rest.find(is_escaped) {
            self.push(&rest[..at])?;
            let mut chars = rest[at..].chars();
            match chars.next().unwrap_or_default() {
                '"' => self.push("\\\"")?,
                '\\' => self.push("\\\\")?,
                '\n' => self.push("\\n")?,
                '\r' => self.push("\\r")?,
                '\t' => self.push("\\t")?,
                '\x08' => self.push("\\b")?,
                '\x0c' => self.push("\\f")?,
                other => self.write(format_args!("\\u{:04x}", u32::from(other)))?,
            }
            rest = chars.as_str();
        }
        self.push(rest)?;
        self.push("\"")
    }

    fn json_list(&mut self, list: List<'a>) -> Result<(), Fault<'a>> {
        self.push("[")?;
        for (number, element) in list.iter().enumerate() {
            if number > 0 {
                self.push(",")?;
            }
            self.json(&element)?;
        }
        self.push("]")
    }

    fn json_map(&mut self, map: Map<'a>) -> Result<(), Fault<'a>> {
        self.push("{")?;
        for (number, (key, value)) in map.iter().enumerate() {
            let Value::String(name) = key else { return Err(invalid(NAME, "the key of a map is no string")) };
            if number > 0 {
                self.push(",")?;
            }
            self.json_string(name)?;
            self.push(":")?;
            self.json(&value)?;
        }
        self.push("}")
    }
}

/// What cannot stand in a string of JSON, or is escaped so that the text can stand in HTML and JavaScript.
fn is_escaped(c: char) -> bool {
    c < ' ' || matches!(c, '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}
