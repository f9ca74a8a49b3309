//! The forms in which programs write a secret, line ends left out of each. Escapes are none: they are undone before
//! anything is looked for.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shortest form, and shortest line of a secret of several, that is looked for, in bytes.
const FORM_BYTES_MIN: usize = 8;

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
    let (mut lower, mut upper) = (String::new(), String::new());
    for byte in secret.bytes() {
        // Writing to a text does not fail.
        let _ = (write!(lower, "{byte:02x}"), write!(upper, "{byte:02X}"));
    }
    add(&lower);
    add(&upper);
    // Within quotes of a shell.
    add(&secret.replace('\'', "'\\''"));
    add(&secret.replace('\'', "'\"'\"'"));
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
