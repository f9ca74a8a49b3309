//! Values that nobody reads: validated, not built.

use super::number::skip_number;
use super::scan::{Fail, byte, colon, deeper, fail, literal, no_value, white};
use super::string::skip_string;

/// Takes a value, white space before it included. `depth` arrays and objects are open around it.
pub(super) fn skip(text: &str, at: usize, depth: usize) -> Result<usize, Fail> {
    let bytes = text.as_bytes();
    // A bit for each array or object that opened here, the innermost last: whether it is an object.
    let mut objects: u128 = 0;
    let mut open = 0;
    let mut at = white(bytes, at);
    loop {
        // At a value.
        match byte(bytes, at) {
            b'"' => at = skip_string(text, at + 1)?,
            b'-' | b'0'..=b'9' => at = skip_number(text, at)?,
            b'{' => {
                open = deeper(depth + open, at)? - depth;
                at = white(bytes, at + 1);
                objects = objects << 1 | 1;
                if byte(bytes, at) != b'}' {
                    at = skip_key(text, at)?;
                    continue;
                }
            }
            b'[' => {
                open = deeper(depth + open, at)? - depth;
                at = white(bytes, at + 1);
                objects <<= 1;
                if byte(bytes, at) != b']' {
                    continue;
                }
            }
            b't' => at = literal(bytes, at, "true")?,
            b'f' => at = literal(bytes, at, "false")?,
            b'n' => at = literal(bytes, at, "null")?,
            _ => return no_value(bytes, at),
        }
        // Behind a value, or at the end of an empty array or object.
        loop {
            if open == 0 {
                return Ok(at);
            }
            at = white(bytes, at);
            let object = objects & 1 == 1;
            match byte(bytes, at) {
                b',' if object => {
                    at = skip_key(text, white(bytes, at + 1))?;
                    break;
                }
                b',' => {
                    at = white(bytes, at + 1);
                    break;
                }
                b'}' if object => at += 1,
                b']' if !object => at += 1,
                _ => return fail(at, if object { "expected , or }" } else { "expected , or ]" }),
            }
            objects >>= 1;
            open -= 1;
        }
    }
}

#[inline(always)]
fn skip_key(text: &str, at: usize) -> Result<usize, Fail> {
    if byte(text.as_bytes(), at) != b'"' {
        return fail(at, "expected a key");
    }
    colon(text.as_bytes(), skip_string(text, at + 1)?)
}
