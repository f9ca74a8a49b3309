//! Masking: what an action writes, without the secrets that it was given.
//!
//! A secret is looked for in every form in which programs commonly write it (`forms`), in the stream as it is and as
//! whoever undoes escapes reads it (`escapes`, `reading`): in how many ways a character can be escaped, and within what,
//! cannot be listed. Line ends are looked through, so that a folded one is found too. A stream is masked chunk by chunk
//! (`stream`), and it is the same wherever it is cut: what may be the beginning of a secret is held back until it is
//! known.

mod escapes;
mod forms;
mod reading;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use serde_json::{Map, Value};

use crate::parts;
use crate::value::SecretValue;
use escapes::Escapes;
use reading::READINGS;

pub use stream::{MaskStream, OwnMaskStream};

/// What stands in a secret's place.
pub const MASK: &str = "********";

/// Most bytes in which one byte of a secret is commonly written, line ends and several escapes counted.
const WRITTEN_BYTES_MAX: usize = 16;
/// Bytes until an escape that is cut off misleads nobody any more.
const ESCAPE_BYTES_MAX: usize = 64;

/// Masks some secrets. One without any changes nothing and costs nothing. What finds them takes a while to make, and far
/// more memory than they: it is made when something is to be masked.
#[derive(Debug)]
pub struct Mask(Option<Secrets>);

#[derive(Debug)]
struct Secrets {
    values: Vec<SecretValue>,
    search: OnceLock<Search>,
}

/// The automaton that finds all forms of all secrets.
struct Search {
    automaton: NFA,
    /// How many of the latest bytes are the beginning of a form, by state.
    depths: Vec<u32>,
    /// Most line ends in a row that are looked through.
    line_ends_max: usize,
    /// The readings that each byte wakes, a bit for each.
    wakes: [u16; 256],
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").field("forms", &self.automaton.patterns_len()).finish_non_exhaustive()
    }
}

impl Mask {
    /// Masks nothing.
    pub const NOTHING: Self = Self(None);

    /// Masks these.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s SecretValue>) -> Self {
        let values: Vec<SecretValue> = secrets.into_iter().cloned().collect();
        Self((!values.is_empty()).then(|| Secrets { values, search: OnceLock::new() }))
    }

    /// Masks these, too. Two masks one after the other would each cut what the other one looks for.
    #[must_use]
    pub fn with(&self, more: &[SecretValue]) -> Self {
        Self::new(self.0.iter().flat_map(|secrets| &secrets.values).chain(more))
    }

    fn search(&self) -> Option<&Search> {
        let Secrets { values, search } = self.0.as_ref()?;
        Some(search.get_or_init(|| Search::of(values)))
    }

    /// Whether it masks nothing.
    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// A stream that has not begun.
    pub fn stream(&self) -> MaskStream<'_> {
        MaskStream::new(self.search(), 0)
    }

    /// How much of a stream has to be known before a place, in bytes, so that what stands there can be masked: the end of
    /// a secret is found only with its beginning.
    pub fn lead_bytes(&self) -> usize {
        let longest = self.0.iter().flat_map(|secrets| &secrets.values).map(|value| value.expose().len()).max();
        longest.map_or(0, |bytes| bytes * WRITTEN_BYTES_MAX + ESCAPE_BYTES_MAX)
    }

    /// Masks both ends of a stream of which the middle was left out. `lead` stood before `tail`, and is all that was left
    /// out if `is_whole_middle`. Neither the beginning nor the end of a secret stays at the cut. `is_cut_off` as for
    /// [`Mask::bytes`], for the end of the tail.
    pub fn ends(
        &self,
        head: Vec<u8>,
        lead: &[u8],
        tail: Vec<u8>,
        is_whole_middle: bool,
        is_cut_off: bool,
    ) -> (Vec<u8>, Vec<u8>) {
        let Some(search) = self.search() else { return (head, tail) };
        let before: &[u8] = if is_whole_middle { &head } else { &[] };
        let mut stream = MaskStream::new(Some(search), before.len() + lead.len());
        let mut masked = Vec::with_capacity(tail.len());
        [before, lead, &tail].into_iter().for_each(|part| stream.push(part, &mut masked));
        stream.finish(is_cut_off, &mut masked);
        (self.bytes(head, true), masked)
    }

    /// Masks the whole of a stream. Where it was cut off, a secret's beginning at its end is masked, too.
    pub fn bytes(&self, bytes: Vec<u8>, truncated: bool) -> Vec<u8> {
        self.masked(&bytes, truncated).unwrap_or(bytes)
    }

    /// Masks a text.
    pub fn text(&self, text: String) -> String {
        // Masked bytes may leave half a character of what surrounded them only where a form ends inside one.
        self.masked(text.as_bytes(), false).map_or(text, |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Nothing if there is no secret in it.
    fn masked(&self, bytes: &[u8], truncated: bool) -> Option<Vec<u8>> {
        self.0.as_ref()?;
        let (mut stream, mut masked) = (self.stream(), Vec::with_capacity(bytes.len()));
        stream.push(bytes, &mut masked);
        stream.finish(truncated, &mut masked).then_some(masked)
    }

    /// Masks the texts, names and numbers of a JSON value; a number that is one becomes a text.
    pub fn json(&self, value: Value) -> Value {
        self.json_of(value, false)
    }

    /// The same of a value that was made of a stream that was cut off: a secret's beginning at the end of any of its texts
    /// is masked, too.
    pub fn json_cut(&self, value: Value) -> Value {
        self.json_of(value, true)
    }

    fn json_of(&self, value: Value, is_cut: bool) -> Value {
        if self.0.is_none() {
            return value;
        }
        let text = |text: String| match self.masked(text.as_bytes(), is_cut) {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => text,
        };
        match value {
            Value::String(value) => Value::String(text(value)),
            Value::Number(number) => match self.masked(number.to_string().as_bytes(), is_cut) {
                Some(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
                None => Value::Number(number),
            },
            Value::Array(items) => items.into_iter().map(|item| self.json_of(item, is_cut)).collect(),
            Value::Object(members) => {
                let masked = members.into_iter().map(|(name, value)| (text(name), self.json_of(value, is_cut)));
                Value::Object(masked.collect::<Map<_, _>>())
            }
            plain => plain,
        }
    }
}

impl Search {
    fn of(secrets: &[SecretValue]) -> Self {
        let (mut all, mut line_ends_max) = (BTreeSet::new(), 2);
        for secret in secrets {
            let parts = parts::of_text(secret.expose());
            for text in parts.iter().chain([secret]).map(SecretValue::expose) {
                forms::of(text, &mut all);
                line_ends_max = line_ends_max.max(forms::line_ends(text));
            }
        }
        Self::new(&all, line_ends_max)
    }

    fn new(forms: &BTreeSet<Vec<u8>>, line_ends_max: usize) -> Self {
        // It fails beyond some two thousand million states; forms are counted in thousands of bytes.
        #[allow(clippy::expect_used)]
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(forms).expect("the forms are few");
        let mut search = Self { automaton, depths: Vec::new(), line_ends_max, wakes: [0; 256] };
        for form in forms {
            let (mut state, mut depth) = (search.start(), 0);
            for byte in form {
                state = search.automaton.next_state(Anchored::No, state, *byte);
                depth += 1;
                let index = state.as_usize();
                search.depths.resize(search.depths.len().max(index + 1), 0);
                search.depths[index] = depth;
            }
        }
        for (byte, wakes) in (0..=u8::MAX).zip(&mut search.wakes) {
            let begins = |escapes: &&[Escapes]| escapes.iter().any(|escapes| escapes.begin_with(byte));
            *wakes = READINGS.iter().rev().fold(0, |bits, escapes| bits << 1 | u16::from(begins(escapes)));
        }
        search
    }

    fn start(&self) -> StateID {
        // Every automaton of this kind has one.
        #[allow(clippy::expect_used)]
        self.automaton.start_state(Anchored::No).expect("a search begins anywhere")
    }

    /// How many of the latest bytes are the beginning of a form: the longest one that there is.
    fn depth(&self, state: StateID) -> usize {
        self.depths.get(state.as_usize()).map_or(0, |depth| *depth as usize)
    }

    /// Length of the longest form that ends here.
    fn found(&self, state: StateID) -> Option<usize> {
        if !self.automaton.is_match(state) {
            return None;
        }
        let automaton = &self.automaton;
        (0..automaton.match_len(state)).map(|index| automaton.pattern_len(automaton.match_pattern(state, index))).max()
    }

    /// The readings that a byte wakes.
    fn wakes(&self, byte: u8) -> u16 {
        self.wakes[usize::from(byte)]
    }
}
