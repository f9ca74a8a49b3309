//! From Python's syntax of regular expressions to that of the crate `regex`.

/// The characters that Python's `re.escape()` puts a backslash before.
const SPECIAL: &str = "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c";

/// A text as a pattern that matches it alone.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if SPECIAL.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The same pattern in the syntax of the crate `regex`, where the two differ.
pub(super) fn translate(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    // Where in a set of characters we are: how many of them it has so far.
    let mut set: Option<usize> = None;
    while let Some(character) = characters.next() {
        match (character, set) {
            ('\\', _) => {
                let escaped = characters.next();
                push_escape(escaped, set.is_some(), &mut translated);
                set = set.map(|count| count + 1);
            }
            ('[', None) => {
                translated.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    translated.push('^');
                }
                set = Some(0);
            }
            // A bracket that stands first closes nothing.
            (']', Some(0)) => {
                translated.push_str("\\]");
                set = Some(1);
            }
            (']', Some(_)) => {
                translated.push(']');
                set = None;
            }
            // In sets of the other syntax these have meanings of their own.
            ('[' | '&' | '~', Some(count)) => {
                translated.push('\\');
                translated.push(character);
                set = Some(count + 1);
            }
            (_, Some(count)) => {
                translated.push(character);
                set = Some(count + 1);
            }
            // `{` is a repetition only if one follows.
            ('{', None) => {
                let ahead: String = characters.clone().take_while(|next| *next != '}').collect();
                let closed = characters.clone().any(|next| next == '}');
                match repetition(&ahead).filter(|_| closed) {
                    Some(repetition) => {
                        translated.push_str(&repetition);
                        characters.by_ref().take(ahead.chars().count() + 1).for_each(drop);
                    }
                    None => translated.push_str("\\{"),
                }
            }
            ('}', None) => translated.push_str("\\}"),
            (character, None) => translated.push(character),
        }
    }
    translated
}

/// `{2}`, `{2,}`, `{2,3}` and `{,3}`, of which the last is not in the other syntax.
fn repetition(inner: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match inner.split_once(',') {
        None if !inner.is_empty() && digits(inner) => Some(format!("{{{inner}}}")),
        Some(("", most)) if digits(most) => Some(format!("{{0,{most}}}")),
        Some((least, most)) if digits(least) && digits(most) => Some(format!("{{{least},{most}}}")),
        _ => None,
    }
}

fn push_escape(escaped: Option<char>, in_set: bool, translated: &mut String) {
    match escaped {
        Some('Z') if !in_set => translated.push_str("\\z"),
        Some('b') if in_set => translated.push_str("\\x08"),
        Some('0') => translated.push_str("\\x00"),
        // Borders of words in the other syntax, but plain characters in Python's.
        Some(plain @ ('<' | '>' | '\'' | '"' | '`' | ' ' | '/' | '%' | '@' | '!' | ',' | ';' | ':' | '=' | '_')) => {
            translated.push(plain);
        }
        Some(other) => {
            translated.push('\\');
            translated.push(other);
        }
        None => translated.push('\\'),
    }
}
