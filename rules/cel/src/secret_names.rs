//! Which secrets an expression names. They are fetched before it is evaluated, so each is named in full.

use crate::compile::{Mistake, outside_strings};
use crate::names::SECRET;

/// Something that an expression says about secrets.
pub(crate) enum Named {
    /// It names this one, `space.name`.
    Secret(String),
    /// It says `secret` where that cannot be.
    Mistake(Mistake),
}

/// The secrets that an expression names; where there are none for it, naming one is a mistake.
pub(crate) fn of(source: &str, has_secrets: bool) -> Vec<Named> {
    let mut named = Vec::new();
    if !source.contains(SECRET) {
        return named;
    }
    // Byte offsets of what stands outside strings and comments; these part words as an operator does.
    let outside: Vec<(usize, char)> = outside_strings(source).collect();
    let mut index = 0;
    while index < outside.len() {
        let (start, first) = outside[index];
        if !is_name(first) {
            index += 1;
            continue;
        }
        let behind = word_end(&outside, index);
        let word = &source[start..outside[behind - 1].0 + 1];
        if word == SECRET && !is_member(&outside, index) {
            let offset = source[..start].chars().count();
            let found = if has_secrets { path(source, &outside, behind) } else { None };
            named.push(match found {
                Some(name) => Named::Secret(name),
                None if has_secrets => {
                    mistake(offset, "write `secret.<pack>.<name>`, or `secret.shared.<name>`, in full")
                }
                None => mistake(
                    offset,
                    "a secret is the whole value of a parameter that its action marks `secret: true`, as \
                     `${secret.<pack>.<name>}`; nothing is computed with it here",
                ),
            });
        }
        index = behind;
    }
    named
}

fn mistake(offset: usize, message: &str) -> Named {
    Named::Mistake(Mistake { offset, message: message.into() })
}

/// Names of CEL are ASCII; other characters part words.
pub(crate) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Behind the word that begins there.
pub(crate) fn word_end(outside: &[(usize, char)], from: usize) -> usize {
    let mut end = from + 1;
    while end < outside.len() && outside[end].0 == outside[end - 1].0 + 1 && is_name(outside[end].1) {
        end += 1;
    }
    end
}

/// Whether a dot stands before a word: then it is a field of something else.
pub(crate) fn is_member(outside: &[(usize, char)], index: usize) -> bool {
    outside[..index].iter().rev().find(|(_, c)| !c.is_whitespace()).is_some_and(|(_, c)| *c == '.')
}

/// `.space.name`, and no further step.
fn path(source: &str, outside: &[(usize, char)], mut index: usize) -> Option<String> {
    let mut words = Vec::new();
    for _ in 0..2 {
        let at = outside.get(index).filter(|(at, c)| *c == '.' && *at == outside[index - 1].0 + 1)?.0;
        let first = outside.get(index + 1).filter(|(next, c)| is_name(*c) && *next == at + 1)?.0;
        let behind = word_end(outside, index + 1);
        words.push(&source[first..outside[behind - 1].0 + 1]);
        index = behind;
    }
    let next = outside[index..].iter().find(|(_, c)| !c.is_whitespace());
    let goes_on = next.is_some_and(|(_, c)| matches!(c, '.' | '[' | '('));
    let is_part = |part: &&str| !part.bytes().any(|b| b.is_ascii_uppercase());
    (!goes_on && words.iter().all(is_part)).then(|| words.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(source: &str, has_secrets: bool) -> Vec<String> {
        let text = |named| match named {
            Named::Secret(name) => name,
            Named::Mistake(mistake) => format!("!{}", mistake.offset),
        };
        of(source, has_secrets).into_iter().map(text).collect()
    }

    #[test]
    fn every_secret_is_named_in_full() {
        let cases: [(&str, &[&str]); 12] = [
            ("secret.disk.token", &["disk.token"]),
            ("'Bearer ' + secret.disk.token + secret.shared.b", &["disk.token", "shared.b"]),
            ("base64.encode(bytes(secret.disk.token))", &["disk.token"]),
            ("parameters.secret.a.b", &[]),
            ("parameters . secret", &[]),
            ("'secret.disk.token'", &[]),
            ("secrets.a.b + my_secret", &[]),
            ("secret", &["!0"]),
            ("1 + secret[parameters.a]", &["!4"]),
            ("secret.disk", &["!0"]),
            ("secret.disk.token.size()", &["!0"]),
            ("secret.disk[\"x\"]", &["!0"]),
        ];
        for (source, wanted) in cases {
            assert_eq!(said(source, true), wanted, "{source}");
        }
        assert_eq!(said("trigger.a + secret.disk.token", false), ["!12"]);
    }
}
