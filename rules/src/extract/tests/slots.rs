//! What stands in slots.

use super::*;

/// Checks which slots a document fills.
fn check(paths: &Paths, text: &str, expected: Json) {
    let layout = Layout::new(paths, Doubles::default());
    assert_eq!(filled(paths, &layout, text).unwrap(), expected, "{text}");
}

#[test]
fn only_what_is_read_is_filled() {
    let paths = paths(&["a.b", "w"], &["c", "w.x.y", "w.z"]);
    let cases = [
        (
            r#"{"a":{"b":[1,{"x":2}],"z":1},"c":{"d":1},"e":1}"#,
            json!({"": "{}", "a": "{}", "a.b": [1, {"x": 2}], "c": "{}"}),
        ),
        (r#"{"a":[{"b":1}]}"#, json!({"": "{}", "a": []})),
        (r#"{"a":"b","c":null}"#, json!({"": "{}", "a": "b", "c": null})),
        (r#"{"a":{},"c":[1]}"#, json!({"": "{}", "a": "{}", "c": []})),
        (
            r#"{"w":{"z":[{}],"x":{"y":1,"o":2}}}"#,
            json!({
                "": "{}", "w": {"x": {"y": 1, "o": 2}, "z": [{}]}, "w.x": "{}", "w.x.y": 1, "w.z": [{}]
            }),
        ),
        (r#" { "w" : [ 1 ] } "#, json!({"": "{}", "w": [1]})),
        ("[1]", json!({"": []})),
        ("7", json!({"": 7})),
    ];
    for (text, expected) in cases {
        check(&paths, text, expected);
    }
}

#[test]
fn the_root_can_be_read_whole() {
    let paths = paths(&["", "a.b"], &[]);
    check(&paths, r#"{"a":{"b":1},"c":2}"#, json!({"": {"a": {"b": 1}, "c": 2}, "a": "{}", "a.b": 1}));
    check(&paths, "[1]", json!({"": [1]}));
}

#[test]
fn the_last_duplicate_wins_with_all_below() {
    let paths = paths(&["a.b.c", "a.d", "w.x"], &["w"]);
    let cases = [
        (r#"{"a":{"b":{"c":1},"d":2},"a":{"d":3}}"#, json!({"": "{}", "a": "{}", "a.d": 3})),
        (r#"{"a":{"b":{"c":1}},"\u0061":7}"#, json!({"": "{}", "a": 7})),
        (r#"{"a":{"b":{"c":1},"\u0062":{}}}"#, json!({"": "{}", "a": "{}", "a.b": "{}"})),
        (r#"{"a":1,"a":{"d":1,"d":2}}"#, json!({"": "{}", "a": "{}", "a.d": 2})),
        (r#"{"a":{"d":1},"z":0,"a":[]}"#, json!({"": "{}", "a": []})),
        (r#"{"w":{"x":1},"w":{"y":1}}"#, json!({"": "{}", "w": "{}"})),
    ];
    for (text, expected) in cases {
        check(&paths, text, expected);
    }
}

#[test]
fn a_path_of_type_number_is_always_a_double() {
    let schema = TriggerSchema::compile(&json!({"properties": {
        "pct": {"type": "number"},
        "nullable": {"type": ["number", "null"]},
        "count": {"type": "integer"},
        "series": {"items": {"type": "number"}},
        "load": {"additionalProperties": {"type": "number"}, "properties": {"cores": {"type": "integer"}}},
    }}));
    let text =
        r#"{"pct":95,"nullable":18446744073709551615,"count":3,"series":[1,2.5],"load":{"one":1,"cores":8},"x":-0}"#;
    let expected = json!({
        "pct": 95.0, "nullable": 18446744073709551615.0, "count": 3, "series": [1.0, 2.5],
        "load": {"one": 1.0, "cores": 8}, "x": 0
    });
    let whole = paths(&[""], &[]);
    let slots = filled(&whole, &Layout::new(&whole, Doubles::new(&schema)), text).unwrap();
    assert_eq!(slots[""], expected);
    let single = paths(&["pct", "nullable", "count", "series", "load.one", "load.cores", "x"], &[]);
    let slots = filled(&single, &Layout::new(&single, Doubles::new(&schema)), text).unwrap();
    for path in ["pct", "nullable", "count", "series", "x"] {
        assert_eq!(slots[path], expected[path], "{path}");
    }
    assert_eq!((&slots["load.one"], &slots["load.cores"]), (&json!(1.0), &json!(8)));
    // `-0` and `-0.0` are the same there, the sign included, which equality does not tell.
    let zeros = r#"{"pct":-0,"nullable":-0.0,"series":[-0]}"#;
    for paths in [whole, single] {
        let slots = filled(&paths, &Layout::new(&paths, Doubles::new(&schema)), zeros).unwrap().to_string();
        assert_eq!(slots.matches("-0.0").count(), 3, "{slots}");
    }
}

#[test]
fn texts_are_borrowed_unless_escaped() {
    let text = r#"{"a":"plain","b":"esc\n"}"#;
    let paths = paths(&["a", "b"], &[]);
    let arena = Arena::new();
    let layout = Layout::new(&paths, Doubles::default());
    let slots = Extractor::new().extract(&layout, text.as_bytes(), &arena).unwrap();
    let inside = |slot: &Slot<'_>| match slot {
        Slot::Value(Value::String(found)) => text.as_bytes().as_ptr_range().contains(&found.as_ptr()),
        other => panic!("{other:?}"),
    };
    assert_eq!((inside(&slots[1]), inside(&slots[2])), (true, false));
}
