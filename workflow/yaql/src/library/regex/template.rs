//! What replaces a match: text with references to its groups.

use ::regex::{Captures, Regex};

use crate::error::EvaluationError;

/// Text with references to groups, as Python's `re.sub()` takes it.
pub(super) struct Template(Vec<Part>);

enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    /// Reads a template for a pattern, which must have the groups that it names.
    pub(super) fn parse(text: &str, pattern: &Regex) -> Result<Template, EvaluationError> {
        let characters: Vec<char> = text.chars().collect();
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(character) = characters.get(at) {
            if *character != '\\' {
                plain.push(*character);
                at += 1;
                continue;
            }
            let (group, length) = match characters.get(at + 1) {
                None => return Err(wrong("bad escape (end of pattern)", at)),
                Some('g') => named_group(&characters, at, pattern)?,
                Some('0') => {
                    let digits: String = characters[at + 1..].iter().take(3).take_while(|c| c.is_digit(8)).collect();
                    plain.extend(u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32));
                    at += 1 + digits.len();
                    continue;
                }
                Some(digit) if digit.is_ascii_digit() => {
                    let digits: String =
                        characters[at + 1..].iter().take(2).take_while(|c| c.is_ascii_digit()).collect();
                    (numbered_group(&digits, at + 1, pattern)?, 1 + digits.len())
                }
                Some(letter) => {
                    plain.push_str(&escaped(*letter, at)?);
                    at += 2;
                    continue;
                }
            };
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Group(group));
            at += length;
        }
        parts.push(Part::Text(plain));
        Ok(Template(parts))
    }

    /// The text for a match. A group that found nothing is empty.
    pub(super) fn expand(&self, found: &Captures<'_>) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
        });
        parts.collect()
    }
}

fn wrong(what: &str, at: usize) -> EvaluationError {
    EvaluationError::new("error", format!("{what} at position {at}"))
}

fn numbered_group(digits: &str, at: usize, pattern: &Regex) -> Result<usize, EvaluationError> {
    let group = digits.parse().ok().filter(|group| *group < pattern.captures_len());
    group.ok_or_else(|| wrong(&format!("invalid group reference {digits}"), at))
}

/// The group of `\g<name>` or `\g<1>`, and how long that is.
fn named_group(characters: &[char], at: usize, pattern: &Regex) -> Result<(usize, usize), EvaluationError> {
    if characters.get(at + 2) != Some(&'<') {
        return Err(wrong("missing <", at + 2));
    }
    let name: String = characters[at + 3..].iter().take_while(|character| **character != '>').collect();
    let length = 4 + name.chars().count();
    if characters.get(at + length - 1) != Some(&'>') {
        return Err(wrong("missing >, unterminated name", at + 3));
    }
    if name.is_empty() {
        return Err(wrong("missing group name", at + 3));
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((numbered_group(&name, at + 3, pattern)?, length));
    }
    let group = pattern.capture_names().position(|known| known == Some(name.as_str()));
    let unknown = || EvaluationError::new("IndexError", format!("unknown group name '{name}'"));
    Ok((group.ok_or_else(unknown)?, length))
}

/// What a backslash and another character stand for.
fn escaped(letter: char, at: usize) -> Result<String, EvaluationError> {
    Ok(match letter {
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        'r' => "\r".to_owned(),
        'a' => "\x07".to_owned(),
        'b' => "\x08".to_owned(),
        'f' => "\x0c".to_owned(),
        'v' => "\x0b".to_owned(),
        '\\' => "\\".to_owned(),
        letter if letter.is_ascii_alphabetic() => return Err(wrong(&format!("bad escape \\{letter}"), at)),
        other => format!("\\{other}"),
    })
}
