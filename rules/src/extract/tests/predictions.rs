//! What was extracted before never changes a result.

use proptest::prelude::*;

use super::random::{SPACES, check, documents, numbered, path_sets};
use super::*;

/// What an extractor says of a document.
fn extract(extractor: &mut Extractor, layout: &Layout, text: &[u8]) -> Result<Vec<Option<Json>>, InvalidJson> {
    let arena = Arena::new();
    let slots = extractor.extract(layout, text, &arena)?;
    Ok(slots.iter().map(|slot| slot_json(*slot)).collect())
}

proptest! {
    /// One extractor sees all the documents, twice, with two layouts in turn.
    #[test]
    fn a_warm_extractor_finds_the_same(
        docs in prop::collection::vec((documents(), prop::sample::select(SPACES)), 1..12),
        sets in (path_sets(), path_sets()),
    ) {
        let paths = [numbered(&sets.0), numbered(&sets.1)];
        let layouts = [0, 1].map(|i: usize| Layout::new(&paths[i], Doubles::default()));
        let mut extractor = Extractor::new();
        for (doc, space) in docs.iter().chain(&docs) {
            for (layout, paths) in layouts.iter().zip(&paths) {
                check(&mut extractor, layout, paths, doc, space);
            }
        }
    }
}

#[test]
fn near_misses_are_told_apart() {
    let paths = paths(&["host", "ho", "hosts", "labels.host", "a"], &[]);
    let layout = Layout::new(&paths, Doubles::default());
    let texts = [
        r#"{"host":"x","labels":{"host":1},"a":2}"#,
        r#"{"hos\u0074":"y","labels":{"host":1},"a":2}"#,
        r#"{"hosts":"z","labels":{"ho":1},"a":2}"#,
        r#"{"ho":"z","labels":{"hosts":1},"a":2}"#,
        r#"{"hos":"z","label":{"host":1},"a":2}"#,
        r#"{"Host":"z","labels":{"host" :1},"a":2}"#,
        r#"{ "host":"z","labels":{ "host":1},"a":2}"#,
        r#"{"host" :"z", "labels":{"host": 1},"a":2}"#,
        r#"{"host":"z"}"#,
        r#"{}"#,
        r#"{"labels":{"host":1},"host":"z"}"#,
        r#"{"host":"x","labels":{"host":1},"host":{"host":1}}"#,
        r#"{"host":"x","labels":{"host":1},"a":2,"labels":{}}"#,
        r#"{"labels":{"labels":{"host":1}},"a":{"host":3}}"#,
        // None of these is a document.
        r#"{,"host":"x"}"#,
        r#"{"host":"x",}"#,
        r#"{"host":"x","labels":{"host":1},"a":2"#,
        r#"{"host":"x","labels":{"host":1}"#,
        r#"{"host":"x""labels":{"host":1},"a":2}"#,
        r#"{"host":"x"]"#,
        r#"{"host":"#,
        r#"{"host":"x","labels":{"host":1},"a":2}}"#,
    ];
    for first in texts {
        for second in texts {
            let mut warm = Extractor::new();
            for text in [first, first, second, first] {
                let fresh = extract(&mut Extractor::new(), &layout, text.as_bytes());
                assert_eq!(extract(&mut warm, &layout, text.as_bytes()), fresh, "{text} after {first}");
            }
        }
    }
}

#[test]
fn a_warm_extractor_judges_every_mutation_the_same() {
    let text = r#"{"host":"db-1","labels":{ "dc":"eu","team":"x" },"n":[1,2.5],"cpu":1.25}"#;
    let paths = paths(&["host", "labels.dc", "n", "cpu"], &[]);
    let layout = Layout::new(&paths, Doubles::default());
    let mut warm = Extractor::new();
    let mut compared = 0;
    for at in 0..text.len() {
        for byte in b"\"\\{}[],: 0x\xff" {
            extract(&mut warm, &layout, text.as_bytes()).unwrap();
            let mut changed = text.as_bytes().to_vec();
            changed[at] = *byte;
            let fresh = extract(&mut Extractor::new(), &layout, &changed);
            assert_eq!(extract(&mut warm, &layout, &changed), fresh, "{}", String::from_utf8_lossy(&changed));
            compared += 1;
        }
        let fresh = extract(&mut Extractor::new(), &layout, &text.as_bytes()[..at]);
        assert_eq!(extract(&mut warm, &layout, &text.as_bytes()[..at]), fresh, "{}", &text[..at]);
    }
    assert_eq!(compared, text.len() * 12);
}

#[test]
fn any_number_of_keys_and_of_layouts_can_be_seen() {
    let mut extractor = Extractor::new();
    let paths = paths(&["last", "m.last"], &[]);
    let layouts: Vec<Layout> = (0..100).map(|_| Layout::new(&paths, Doubles::default())).collect();
    for round in 0..3000 {
        let text = format!(r#"{{"k{round}":1,"m":{{"k{round}":2,"last":{round}}},"z{round}":[],"last":{round}}}"#);
        let layout = &layouts[if round < 1500 { 0 } else { round % 100 }];
        let slots = extract(&mut extractor, layout, text.as_bytes()).unwrap();
        assert_eq!(slots[1..], [Some(json!(round)), Some(json!("{}")), Some(json!(round))]);
    }
}
