//! Random documents and random paths, against a naive reading of the same document.

use proptest::prelude::*;

use super::*;

/// A document, with the duplicate keys and the other ways of writing the same that text has.
#[derive(Debug, Clone)]
pub(super) enum Doc {
    Scalar(&'static str),
    List(Vec<Doc>),
    /// Members: how the key is written, and the value.
    Object(Vec<(&'static str, Doc)>),
}

/// Keys as they are written, near misses and two ways of writing one among them.
const KEYS: &[&str] =
    &["a", "b", "ab", "\\u0061", "a\\u0062", "", "é", "\\u00e9", "a key that is longer than any glue"];

const SCALARS: &[&str] = &[
    "0",
    "-0",
    "7",
    "-12",
    "1.5",
    "-0.25",
    "1e3",
    "1E-2",
    "123456789012345678",
    "1234567890123456789",
    "18446744073709551615",
    "18446744073709551616",
    "true",
    "false",
    "null",
    "\"\"",
    "\"text\"",
    "\"a\\nb\"",
    "\"caf\\u00e9 é\"",
    "\"sixteen bytes and then some more\"",
];

/// White space between tokens.
pub(super) const SPACES: &[&str] = &["", " ", "\n", "  \t"];

pub(super) fn documents() -> impl Strategy<Value = Doc> {
    let leaf = prop::sample::select(SCALARS).prop_map(Doc::Scalar);
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Doc::List),
            4 => prop::collection::vec((prop::sample::select(KEYS), inner), 0..7).prop_map(Doc::Object),
        ]
    })
}

/// Steps and whether the path is read whole.
pub(super) fn path_sets() -> impl Strategy<Value = Vec<(Vec<String>, bool)>> {
    let step = prop::sample::select(KEYS).prop_map(unescaped);
    prop::collection::vec((prop::collection::vec(step, 0..4), prop::bool::weighted(0.6)), 0..8)
}

pub(super) fn numbered(set: &[(Vec<String>, bool)]) -> Paths {
    let mut paths = Paths::new();
    for (steps, whole) in set {
        let id = steps.iter().fold(SlotId::ROOT, |id, step| paths.child(id, step));
        if *whole {
            paths.read_whole(id);
        }
    }
    paths
}

impl Doc {
    pub fn write(&self, space: &str) -> String {
        match self {
            Self::Scalar(text) => format!("{space}{text}{space}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.write(space)).collect();
                format!("{space}[{space}{}]{space}", items.join(","))
            }
            Self::Object(members) => {
                let member = |(key, value): &(&str, Doc)| format!("{space}\"{key}\"{space}:{}", value.write(space));
                let members: Vec<String> = members.iter().map(member).collect();
                format!("{space}{{{}{space}}}{space}", members.join(","))
            }
        }
    }

    /// The member of that name, of equal ones the last.
    fn member(&self, name: &str) -> Option<&Doc> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(key, _)| unescaped(key) == name).map(|(_, value)| value)
    }

    fn json(&self) -> Json {
        match self {
            // serde_json reads -0 as a double.
            Self::Scalar("-0") => json!(0),
            Self::Scalar(text) => serde_json::from_str(text).unwrap(),
            Self::List(items) => items.iter().map(Doc::json).collect(),
            Self::Object(members) => members.iter().map(|(key, value)| (unescaped(key), value.json())).collect(),
        }
    }

    /// What should stand in a slot.
    fn slot(&self, steps: &[&str], whole: bool) -> Option<Json> {
        let found = steps.iter().try_fold(self, |doc, step| doc.member(step))?;
        Some(match found {
            Self::List(_) if !whole => json!([]),
            Self::Object(_) if !whole => json!("{}"),
            _ => found.json(),
        })
    }
}

fn unescaped(key: &str) -> String {
    serde_json::from_str(&format!("\"{key}\"")).unwrap()
}

/// What an extractor finds, against what should be found. Below something read whole, a list that is not
/// read whole itself may be there all the same.
pub(super) fn check(extractor: &mut Extractor, layout: &Layout, paths: &Paths, doc: &Doc, space: &str) {
    let text = doc.write(space);
    let arena = Arena::new();
    let slots = extractor.extract(layout, text.as_bytes(), &arena).unwrap();
    for ((id, path), slot) in paths.iter().zip(slots) {
        let steps = paths.steps(id);
        let inside = (0..steps.len()).any(|n| {
            let above = steps[..n].iter().try_fold(SlotId::ROOT, |id, step| paths.find(id, step));
            above.is_some_and(|id| paths.get(id).whole)
        });
        let found = slot_json(*slot);
        let expected = doc.slot(&steps, path.whole);
        let list = inside && matches!(found, Some(Json::Array(_)));
        assert!(
            found == expected || list && found == doc.slot(&steps, true),
            "{steps:?} of {text}: {found:?} {expected:?}"
        );
    }
}

proptest! {
    #[test]
    fn slots_are_what_a_naive_reader_finds(doc in documents(), set in path_sets(), space in prop::sample::select(SPACES)) {
        let paths = numbered(&set);
        let layout = Layout::new(&paths, Doubles::default());
        check(&mut Extractor::new(), &layout, &paths, &doc, space);
        prop_assert_eq!(read(&doc.write(space)).unwrap(), doc.json());
    }
}
