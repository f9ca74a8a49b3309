//! Masking: what an action writes, without the secrets that it was given.
//!
//! A secret is looked for in every form in which programs commonly write it (`forms`). Line ends are looked through,
//! so that a folded one is found too. A stream is masked chunk by chunk, and it is the same wherever it is cut: what may
//! be the beginning of a secret is held back until it is known.

mod forms;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use serde_json::{Map, Value};

use crate::parts;
use crate::value::SecretValue;

pub use stream::MaskStream;

/// What stands in a secret's place.
pub const MASK: &str = "********";

/// Masks some secrets. One without any changes nothing and costs nothing.
#[derive(Debug)]
pub struct Mask(Option<Search>);

/// The automaton that finds all forms of all secrets.
struct Search {
    automaton: NFA,
    forms: Vec<Vec<u8>>,
    /// Length of the longest form, in bytes.
    longest: usize,
    /// Most line ends in a row that are looked through.
    line_ends_max: usize,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").field("forms", &self.forms.len()).finish_non_exhaustive()
    }
}

impl Mask {
    /// Masks nothing.
    pub const NOTHING: Self = Self(None);

    /// Masks these.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s SecretValue>) -> Self {
        let (mut all, mut line_ends_max) = (BTreeSet::new(), 2);
        for secret in secrets {
            let parts = parts::of_text(secret.expose());
            for text in parts.iter().chain([secret]).map(SecretValue::expose) {
                forms::of(text, &mut all);
                line_ends_max = line_ends_max.max(forms::line_ends(text));
            }
        }
        let forms: Vec<Vec<u8>> = all.into_iter().collect();
        let Some(longest) = forms.iter().map(Vec::len).max() else { return Self::NOTHING };
        // It fails beyond some two thousand million states; forms are counted in thousands of bytes.
        #[allow(clippy::expect_used)]
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(&forms).expect("the forms are few");
        Self(Some(Search { automaton, forms, longest, line_ends_max }))
    }

    /// A stream that has not begun.
    pub fn stream(&self) -> MaskStream<'_> {
        MaskStream::new(self.0.as_ref())
    }

    /// Masks the whole of a stream. Where it was cut off, a secret's beginning at its end is masked, too.
    pub fn bytes(&self, bytes: Vec<u8>, truncated: bool) -> Vec<u8> {
        if self.0.is_none() {
            return bytes;
        }
        let (mut stream, mut masked) = (self.stream(), Vec::with_capacity(bytes.len()));
        stream.push(&bytes, &mut masked);
        stream.finish(truncated, &mut masked);
        masked
    }

    /// Masks a text.
    pub fn text(&self, text: String) -> String {
        match self.finds(&text) {
            // Masked bytes may leave half a character of what surrounded them only where a form ends inside one.
            true => String::from_utf8_lossy(&self.bytes(text.into_bytes(), false)).into_owned(),
            false => text,
        }
    }

    /// Masks the texts, names and numbers of a JSON value; a number that is one becomes a text.
    pub fn json(&self, value: Value) -> Value {
        if self.0.is_none() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) => match self.finds(&number.to_string()) {
                true => Value::String(self.text(number.to_string())),
                false => Value::Number(number),
            },
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(members) => {
                let masked = members.into_iter().map(|(name, value)| (self.text(name), self.json(value)));
                Value::Object(masked.collect::<Map<_, _>>())
            }
            plain => plain,
        }
    }

    fn finds(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|search| search.finds(text.as_bytes()))
    }
}

impl Search {
    fn start(&self) -> aho_corasick::automaton::StateID {
        // Every automaton of this kind has one.
        #[allow(clippy::expect_used)]
        self.automaton.start_state(Anchored::No).expect("a search begins anywhere")
    }

    fn finds(&self, bytes: &[u8]) -> bool {
        let mut stream = MaskStream::new(Some(self));
        stream.push(bytes, &mut Vec::new());
        stream.has_masked()
    }
}
