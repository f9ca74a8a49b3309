//! Strict reading of JSON that comes from outside.
//!
//! Petrel's own rules, whatever a library's defaults are: one value and nothing behind it, UTF-8, a
//! named depth limit, the last of duplicate keys wins, and no key with a meaning of its own to the
//! parser (`serde_json` gives one to `$serde_json::private::RawValue` once any crate of the binary asks
//! for raw values, and a client could then show the validator another document than the rules).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deepest nesting that can be configured; the parser itself ends at 128.
pub const JSON_DEPTH_CEILING: usize = 126;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not one JSON value.
    #[error("not valid JSON: {0}")]
    Malformed(String),
    /// Nested deeper than allowed.
    #[error("nested deeper than {depth_max} levels")]
    TooDeep {
        /// The limit.
        depth_max: usize,
    },
}

/// Marks a depth error on its way through the parser.
const TOO_DEEP: &str = "petrel: too deep";

/// Reads one JSON value; an object or array within `depth_max` others is refused.
///
/// # Errors
/// See [`JsonError`].
pub fn parse(text: &[u8], depth_max: usize) -> Result<Value, JsonError> {
    let depth_max = depth_max.min(JSON_DEPTH_CEILING);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value =
        Strict { depth_left: depth_max }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let message = error.to_string();
        if message.starts_with(TOO_DEEP) { JsonError::TooDeep { depth_max } } else { JsonError::Malformed(message) }
    })
}

#[derive(Clone, Copy)]
struct Strict {
    depth_left: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom(TOO_DEEP))?;
        Ok(Self { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.deeper::<A::Error>()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.deeper::<A::Error>()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inside)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The elements of a JSON array as slices of its text, without looking into them: each is to be parsed
/// on its own, so that an error concerns that element. Stops with an error behind `items_max`.
///
/// # Errors
/// [`SplitError`]; a text whose elements are no JSON at all may still split.
pub fn split_array(text: &[u8], items_max: usize) -> Result<Vec<&[u8]>, SplitError> {
    let text = text.trim_ascii();
    let inner = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).ok_or(SplitError::NotAnArray)?;
    if inner.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    let (mut start, mut depth, mut in_string, mut escaped) = (0, 0_usize, false, false);
    for (at, byte) in inner.iter().enumerate() {
        if in_string {
            (in_string, escaped) = (escaped || *byte != b'"', !escaped && *byte == b'\\');
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1).ok_or(SplitError::NotAnArray)?,
            b',' if depth == 0 => {
                push(&mut items, &inner[start..at], items_max)?;
                start = at + 1;
            }
            _ => {}
        }
    }
    push(&mut items, &inner[start..], items_max)?;
    Ok(items)
}

/// The lines of a text that are not blank.
///
/// # Errors
/// [`SplitError::TooMany`].
pub fn split_lines(text: &[u8], items_max: usize) -> Result<Vec<&[u8]>, SplitError> {
    let mut items = Vec::new();
    for line in text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        if !line.trim_ascii().is_empty() {
            push(&mut items, line, items_max)?;
        }
    }
    Ok(items)
}

/// Why a batch cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Not `[…]`.
    #[error("a batch is a JSON array of objects, or one object a line")]
    NotAnArray,
    /// More elements than allowed.
    #[error("more than {items_max} elements")]
    TooMany {
        /// The limit.
        items_max: usize,
    },
}

fn push<'a>(items: &mut Vec<&'a [u8]>, item: &'a [u8], items_max: usize) -> Result<(), SplitError> {
    if items.len() == items_max {
        return Err(SplitError::TooMany { items_max });
    }
    items.push(item.trim_ascii());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            (-1e300..1e300).prop_map(|x: f64| Value::from(x)),
            "[a\\[\\]{},:\"\\\\ é\n]{0,8}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[a\"\\\\,\\]}]{0,3}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_is_json(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes(), 8), Ok(value));
        }

        /// Whatever stands in the elements: an array comes apart where it was put together.
        #[test]
        fn arrays_come_apart(values in prop::collection::vec(any_json(), 0..5), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&values) } else { serde_json::to_string(&values) };
            let text = text.unwrap();
            let items: Vec<Value> = split_array(text.as_bytes(), 5).unwrap().iter().map(|i| parse(i, 8).unwrap()).collect();
            prop_assert_eq!(items, values);
        }

        /// Any bytes at all are answered, and what splits and parses is what the whole says.
        #[test]
        fn bytes_are_answered(bytes in prop::collection::vec(prop::sample::select(b"[]{},:\"\\1ae \n\xff".to_vec()), 0..24)) {
            let whole = parse(&bytes, 9);
            let items = split_array(&bytes, 30).ok();
            let parsed = items.and_then(|items| items.iter().map(|i| parse(i, 8).ok()).collect::<Option<Vec<_>>>());
            // Duplicates aside, which both sides resolve alike, an array of good elements is a good array.
            if let Some(parsed) = parsed {
                prop_assert_eq!(whole, Ok(Value::Array(parsed)));
            } else {
                prop_assert!(!matches!(whole, Ok(Value::Array(_))));
            }
        }
    }

    fn read(text: &str) -> Result<Value, JsonError> {
        parse(text.as_bytes(), 8)
    }

    #[test]
    fn values() {
        let cases = [
            (r#"{"a":1,"b":[1.5,-2,true,null,"x\u00e9"]}"#, json!({"a": 1, "b": [1.5, -2, true, null, "xé"]})),
            (r#"{"a":1,"b":2,"a":{"c":3}}"#, json!({"a": {"c": 3}, "b": 2})),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            (" \n{}\t ", json!({})),
        ];
        for (text, value) in cases {
            assert_eq!(read(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_key_of_the_parser_is_a_key() {
        let text = r#"{"$serde_json::private::RawValue":"{\"x\":1}"}"#;
        assert_eq!(read(text), Ok(json!({"$serde_json::private::RawValue": "{\"x\":1}"})));
        let text = r#"{"$serde_json::private::Number":"12"}"#;
        assert_eq!(read(text), Ok(json!({"$serde_json::private::Number": "12"})));
    }

    #[test]
    fn malformed() {
        let texts: [&[u8]; 14] = [
            b"",
            b"{",
            b"{}x",
            b"{} {}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"[1,]",
            b"01",
            b"NaN",
            b"1e999",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"\"a\nb\"",
            b"\xef\xbb\xbf{}",
        ];
        for text in texts {
            let found = parse(text, 8);
            assert!(matches!(found, Err(JsonError::Malformed(_))), "{}: {found:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn depth() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(read(&nested(8)).is_ok());
        assert_eq!(read(&nested(9)), Err(JsonError::TooDeep { depth_max: 8 }));
        assert_eq!(read(&r#"{"a":"#.repeat(100_000)), Err(JsonError::TooDeep { depth_max: 8 }));
        assert!(parse(nested(JSON_DEPTH_CEILING).as_bytes(), usize::MAX).is_ok());
        let beyond = parse(nested(JSON_DEPTH_CEILING + 1).as_bytes(), usize::MAX);
        assert_eq!(beyond, Err(JsonError::TooDeep { depth_max: JSON_DEPTH_CEILING }));
    }

    #[test]
    fn arrays_split() {
        let split = |text: &'static str| {
            split_array(text.as_bytes(), 3)
                .map(|items| items.into_iter().map(|i| String::from_utf8_lossy(i).into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(split(" [ ] "), Ok(vec![]));
        assert_eq!(split(r#"[{"a":[1,2]}, {"b":",]\"}"} ,3]"#).unwrap(), [r#"{"a":[1,2]}"#, r#"{"b":",]\"}"}"#, "3"]);
        assert_eq!(split(r#"["\\",1]"#).unwrap(), [r#""\\""#, "1"]);
        assert_eq!(split("[1,,2]").unwrap(), ["1", "", "2"]);
        assert_eq!(split("[1,2,3,4]"), Err(SplitError::TooMany { items_max: 3 }));
        for text in ["", "{}", "[1", "1]", "[1]]", "[1],[2]"] {
            assert_eq!(split(text), Err(SplitError::NotAnArray), "{text}");
        }
    }

    #[test]
    fn lines_split() {
        assert_eq!(split_lines(b"{}\r\n\n {\"a\":1}\n", 2).unwrap(), [&b"{}"[..], b"{\"a\":1}"]);
        assert_eq!(split_lines(b"1\n2\n3", 2), Err(SplitError::TooMany { items_max: 2 }));
    }
}
