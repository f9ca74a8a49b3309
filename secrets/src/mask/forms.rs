//! The forms in which programs write a secret, line ends left out of each.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shortest form, and shortest line of a secret of several, that is looked for, in bytes.
const FORM_BYTES_MIN: usize = 8;

/// What encoders leave as it is beside letters and digits: the strict ones, those for paths, those of browsers.
const LEFT_BY_ENCODERS: [&str; 4] = ["-._~", "-._~/", "-._~!*'()", "-._*"];

/// Adds the forms of a secret.
pub(super) fn of(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let mut add = |form: &str| {
        let solid: Vec<u8> = form.bytes().filter(|byte| !is_line_end(*byte)).collect();
        if solid.len() >= FORM_BYTES_MIN {
            forms.insert(solid);
        }
    };
    add(secret);
    // Programs print such secrets line by line.
    secret.lines().map(str::trim).for_each(&mut add);
    base64(secret.as_bytes(), &mut add);
    url(secret, &mut add);
    json(secret, &mut add);
    let (mut lower, mut upper) = (String::new(), String::new());
    for byte in secret.bytes() {
        // Writing to a text does not fail.
        let _ = (write!(lower, "{byte:02x}"), write!(upper, "{byte:02X}"));
    }
    add(&lower);
    add(&upper);
    // Within quotes of a shell.
    add(&secret.replace('\'', "'\\''"));
}

/// Most line ends in a row within the secret, each perhaps of two characters.
pub(super) fn line_ends(secret: &str) -> usize {
    let runs = secret.split(|c| !matches!(c, '\r' | '\n')).map(str::len);
    runs.max().unwrap_or(0) * 2
}

pub(super) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// What of its base64 depends on the secret alone, whatever stands before and behind it.
fn base64(secret: &[u8], add: &mut impl FnMut(&str)) {
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret);
        // Characters that hold bits of what stands before, and characters that are whole.
        let (first, whole) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            add(&engine.encode(&bytes)[first..whole]);
        }
    }
}

fn url(secret: &str, add: &mut impl FnMut(&str)) {
    for left in LEFT_BY_ENCODERS {
        for space in ["%20", "+"] {
            let (mut upper, mut lower) = (String::new(), String::new());
            for byte in secret.bytes() {
                let c = char::from(byte);
                // Writing to a text does not fail.
                let _ = match c {
                    ' ' => (upper.write_str(space), lower.write_str(space)),
                    _ if c.is_ascii_alphanumeric() || left.contains(c) => (upper.write_char(c), lower.write_char(c)),
                    _ => (write!(upper, "%{byte:02X}"), write!(lower, "%{byte:02x}")),
                };
            }
            add(&upper);
            add(&lower);
        }
    }
}

/// Inside a JSON text, as several libraries escape it, and as JSON within JSON.
fn json(secret: &str, add: &mut impl FnMut(&str)) {
    let once = escaped(secret);
    for form in [&once, &escaped(&once)] {
        let slashes = form.replace('/', "\\/");
        let html = ["<", ">", "&", "'"]
            .iter()
            .fold(form.clone(), |text, c| text.replace(c, &format!("\\u{:04x}", u32::from(c.as_bytes()[0]))));
        for text in [form, &slashes, &html] {
            add(text);
            add(&ascii(text, false));
            add(&ascii(text, true));
        }
    }
}

fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// With everything beyond ASCII as `\u….`.
fn ascii(text: &str, upper: bool) -> String {
    let (mut ascii, mut units) = (String::with_capacity(text.len()), [0; 2]);
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            // Writing to a text does not fail.
            let _ = if upper { write!(ascii, "\\u{unit:04X}") } else { write!(ascii, "\\u{unit:04x}") };
        }
    }
    ascii
}
