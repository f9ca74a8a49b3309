//! Values as they are shown: whatever JSON has no form for has one here, and a long value is cut.

use petrel_cel::{Fault, Value};
use serde_json::{Map, Value as Json, json};

use super::{Outcome, Shown};
use petrel_cel::EvalError;
use petrel_cel::{key_text, to_json};

/// Longest value that is shown whole, in bytes of its JSON, about.
const VALUE_BYTES_MAX: usize = 4096;

/// What stands for a value that was evaluated.
pub(super) fn outcome(value: Result<Value<'_>, Fault<'_>>) -> Outcome {
    let value = value.map_err(EvalError::from)?;
    let mut room = Room { bytes: VALUE_BYTES_MAX, cut: false };
    let json = room.show(value);
    Ok(Shown { type_name: value.type_of().name(), json, cut: room.cut })
}

/// What may still be shown.
struct Room {
    bytes: usize,
    cut: bool,
}

impl Room {
    /// Whether there was room for so many bytes; it is taken.
    fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.bytes;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.cut |= !fits;
        fits
    }

    fn show(&mut self, value: Value<'_>) -> Json {
        match value {
            Value::String(text) => {
                let end = text.floor_char_boundary(self.bytes);
                self.take(text.len());
                Json::from(&text[..end])
            }
            // Base64 of whole groups, so that the beginning can be decoded.
            Value::Bytes(bytes) => {
                let end = bytes.len().min(self.bytes / 4 * 3);
                self.take(bytes.len().div_ceil(3) * 4);
                self.plain(Value::Bytes(&bytes[..end]))
            }
            Value::List(list) => {
                let mut shown = Vec::new();
                for element in list.iter() {
                    if !self.take(2) {
                        break;
                    }
                    shown.push(self.show(element));
                }
                Json::Array(shown)
            }
            Value::Map(map) => {
                let mut shown = Map::new();
                for (key, value) in map.iter() {
                    let key = key_text(key);
                    if !self.take(key.len() + 4) {
                        break;
                    }
                    shown.insert(key, self.show(value));
                }
                Json::Object(shown)
            }
            Value::Optional(of) => of.iter().map(|value| self.show(**value)).collect(),
            other => {
                self.take(8);
                self.plain(other)
            }
        }
    }

    fn plain(&self, value: Value<'_>) -> Json {
        match value {
            Value::Type(of) => json!(of.name()),
            Value::Double(double) if !double.is_finite() => json!(if double.is_nan() {
                "NaN"
            } else if double > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
            other => to_json(other).unwrap_or(Json::Null),
        }
    }
}
