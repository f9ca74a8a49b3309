//! Patterns of RE2 as those of the crate `regex`.
//!
//! The two differ in what `\d`, `\w`, `\s` and `\b` mean, which in RE2 is ASCII; in brackets, where the crate
//! has classes in classes and operators between them; in `\<` and `\>`, which are borders of words there and
//! characters in RE2; in braces that repeat nothing, in octal escapes, in `\Q…\E`, and in a few flags. What
//! RE2 refuses and the crate does not is refused only where it would mean something else.

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\t\n\f\r ";

/// Flags of the crate that RE2 does not have: spaces that mean nothing, ASCII or not, line ends.
const UNKNOWN_FLAGS: [char; 3] = ['x', 'u', 'R'];

/// An RE2 pattern as one of the crate `regex`.
///
/// # Errors
/// A flag that RE2 does not have, in the crate's words. Other mistakes are left for the crate to find.
pub(super) fn translated(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\\' => escape(rest, &mut out),
            '[' => class(rest, &mut out),
            '{' if !repeats(rest) => push(&rest[1..], r"\{", &mut out),
            '(' if has_unknown_flag(rest) => return Err("error: unrecognized flag"),
            _ => copy(rest, c.len_utf8(), &mut out),
        };
    }
    Ok(out)
}

/// Writes a translation; gives what follows.
fn push<'p>(after: &'p str, text: &str, out: &mut String) -> &'p str {
    out.push_str(text);
    after
}

/// Copies so many bytes; gives what follows them.
fn copy<'p>(rest: &'p str, bytes: usize, out: &mut String) -> &'p str {
    push(&rest[bytes..], &rest[..bytes], out)
}

/// Whether a brace begins a repetition: `{2}`, `{2,}`, `{2,3}`, without zeros in front. Any other one stands
/// for itself.
fn repeats(rest: &str) -> bool {
    let inside = &rest[1..];
    let end = inside.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(inside.len());
    let is_number = |text: &str| text == "0" || !(text.is_empty() || text.starts_with('0'));
    let (least, most) = inside[..end].split_once(',').unwrap_or((&inside[..end], ""));
    inside[end..].starts_with('}') && is_number(least) && !most.contains(',') && (most.is_empty() || is_number(most))
}

/// Whether a group sets a flag that only the crate has.
fn has_unknown_flag(rest: &str) -> bool {
    let flags = rest.strip_prefix("(?").unwrap_or_default();
    flags.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').any(|c| UNKNOWN_FLAGS.contains(&c))
        // `(?P<x>` names a group.
        && !flags.starts_with('P')
}

/// Translates the escape that `rest` begins with; gives what follows it.
fn escape<'p>(rest: &'p str, out: &mut String) -> &'p str {
    let after = rest.get(2..).unwrap_or_default();
    match rest.as_bytes().get(1) {
        Some(b'b') => push(after, r"(?-u:\b)", out),
        Some(b'B') => push(after, r"(?-u:\B)", out),
        Some(b'Q') => {
            let (quoted, after) = after.split_once(r"\E").unwrap_or((after, ""));
            push(after, &regex::escape(quoted), out)
        }
        _ => class_escape(rest, out).unwrap_or_else(|| character(rest, out)),
    }
}

/// Translates an escape that stands for a set of characters, in brackets or not.
fn class_escape<'p>(rest: &'p str, out: &mut String) -> Option<&'p str> {
    let after = rest.get(2..)?;
    let set = match rest.as_bytes()[1] {
        b'd' => format!("[{DIGIT}]"),
        b'w' => format!("[{WORD}]"),
        b's' => format!("[{SPACE}]"),
        b'D' => format!("[^{DIGIT}]"),
        b'W' => format!("[^{WORD}]"),
        b'S' => format!("[^{SPACE}]"),
        letter @ (b'p' | b'P') => {
            let Some((name, after)) = after.strip_prefix('{').and_then(|braced| braced.split_once('}')) else {
                return Some(copy(rest, 2, out));
            };
            // `\p{^Greek}` is `\P{Greek}`.
            let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
            let letter = if (letter == b'P') == negated { 'p' } else { 'P' };
            return Some(push(after, &format!(r"\{letter}{{{name}}}"), out));
        }
        _ => return None,
    };
    Some(push(after, &set, out))
}

/// Translates one character, escaped or not, that stands for itself; gives what follows it.
fn character<'p>(rest: &'p str, out: &mut String) -> &'p str {
    let mut chars = rest.chars();
    let (first, second) = (chars.next().unwrap_or_default(), chars.next());
    if first != '\\' {
        // Operators where they are doubled, brackets and hyphens where they are not.
        if matches!(first, '[' | ']' | '&' | '~' | '-' | '^') {
            out.push('\\');
        }
        return copy(rest, first.len_utf8(), out);
    }
    match second {
        Some('<' | '>') => copy(&rest[1..], 1, out),
        Some('0'..='7') => octal(rest, out),
        // The braces are no repetition.
        Some('x') if rest[2..].starts_with('{') => copy(rest, rest.find('}').map_or(rest.len(), |at| at + 1), out),
        Some(escaped) => copy(rest, 1 + escaped.len_utf8(), out),
        None => copy(rest, 1, out),
    }
}

/// Translates `\101`, an octal number of at most three digits. A single one that is not 0 refers to a group
/// in other languages, and is refused.
fn octal<'p>(rest: &'p str, out: &mut String) -> &'p str {
    let digits = rest[1..].bytes().take(3).take_while(|c| matches!(c, b'0'..=b'7')).count();
    match u32::from_str_radix(&rest[1..=digits], 8) {
        Ok(code) if digits > 1 || code == 0 => push(&rest[1 + digits..], &format!(r"\x{{{code:X}}}"), out),
        _ => copy(rest, 2, out),
    }
}

/// Translates the class in brackets that `rest` begins with; gives what follows it.
fn class<'p>(rest: &'p str, out: &mut String) -> &'p str {
    let mut rest = copy(rest, 1, out);
    if rest.starts_with('^') {
        rest = copy(rest, 1, out);
    }
    let mut first = true;
    // A bracket that closes nothing stands for itself.
    while !rest.is_empty() && (first || !rest.starts_with(']')) {
        first = false;
        rest = if let Some(bytes) = named_class(rest) {
            copy(rest, bytes, out)
        } else if let Some(after) = Some(rest).filter(|r| r.starts_with('\\')).and_then(|r| class_escape(r, out)) {
            after
        } else {
            range(rest, out)
        };
    }
    if rest.is_empty() { rest } else { copy(rest, 1, out) }
}

/// The length of a class like `[:alpha:]`, if one stands here.
fn named_class(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix("[:")?;
    let behind = name.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '^');
    behind.starts_with(":]").then(|| rest.len() - behind.len() + ":]".len())
}

/// Translates one character, or a range of them.
fn range<'p>(rest: &'p str, out: &mut String) -> &'p str {
    let after = character(rest, out);
    match after.strip_prefix('-') {
        Some(end) if !end.is_empty() && !end.starts_with(']') => character(push(end, "-", out), out),
        _ => after,
    }
}
