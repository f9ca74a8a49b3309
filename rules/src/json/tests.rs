use serde_json::{Value as Json, json};

use super::*;
use crate::expr::to_json;
use crate::limits::JSON_DEPTH_MAX;
use crate::schema_check::TriggerSchema;

fn read(text: &str) -> Result<Json, String> {
    let value = parse(text.as_bytes(), &Shape::everything()).map_err(|e| e.to_string())?;
    to_json(value.as_ref()).map_err(|e| e.to_string())
}

fn type_name(text: &str) -> String {
    parse(text.as_bytes(), &Shape::everything()).unwrap().get_type().name().to_owned()
}

#[test]
fn numbers_follow_the_design() {
    let cases = [
        ("0", "int", "0"),
        ("-0", "int", "0"),
        ("-0.0", "double", "-0.0"),
        ("95", "int", "95"),
        ("95.0", "double", "95.0"),
        ("9e1", "double", "90.0"),
        ("9223372036854775807", "int", "9223372036854775807"),
        ("-9223372036854775808", "int", "-9223372036854775808"),
        ("9223372036854775808", "uint", "9223372036854775808"),
        ("18446744073709551615", "uint", "18446744073709551615"),
        ("18446744073709551616", "double", "1.8446744073709552e19"),
        ("-9223372036854775809", "double", "-9.223372036854775808e18"),
        ("5e-324", "double", "5e-324"),
        ("1e-400", "double", "0.0"),
        ("0.1", "double", "0.1"),
    ];
    for (text, kind, value) in cases {
        assert_eq!(type_name(text), kind, "{text}");
        assert_eq!(read(text).unwrap(), serde_json::from_str::<Json>(value).unwrap(), "{text}");
    }
}

#[test]
fn a_path_of_type_number_is_always_a_double() {
    let schema = json!({"properties": {
        "pct": {"type": "number"},
        "nullable": {"type": ["number", "null"]},
        "count": {"type": "integer"},
        "series": {"items": {"type": "number"}},
        "load": {"additionalProperties": {"type": "number"}, "properties": {"cores": {"type": "integer"}}},
    }});
    let shape = Shape { doubles: TriggerSchema::compile(&schema).doubles(), ..Shape::everything() };
    let text =
        r#"{"pct":95,"nullable":18446744073709551615,"count":3,"series":[1,2.5],"load":{"one":1,"cores":8},"x":1}"#;
    let value = parse(text.as_bytes(), &shape).unwrap();
    let expected = json!({
        "pct": 95.0, "nullable": 18446744073709551615.0, "count": 3, "series": [1.0, 2.5],
        "load": {"one": 1.0, "cores": 8}, "x": 1
    });
    assert_eq!(to_json(value.as_ref()).unwrap(), expected);
}

#[test]
fn the_last_duplicate_wins_whole() {
    let cases = [
        (r#"{"a":1,"a":2}"#, json!({"a": 2})),
        (r#"{"a":{"x":1},"a":{"y":2}}"#, json!({"a": {"y": 2}})),
        (r#"{"a":1,"\u0061":"b"}"#, json!({"a": "b"})),
        (r#"{"a":[1],"b":0,"a":null}"#, json!({"a": null, "b": 0})),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn strings_are_unescaped() {
    let cases = [
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
        (r#""\u00e9\uD83D\uDC31é🐱""#, "é🐱é🐱"),
        (r#""\u0000""#, "\0"),
        (r#""""#, ""),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap(), json!(expected), "{text}");
    }
}

/// Documents that are not JSON, with what is said of them.
const MALFORMED: &[(&str, &str)] = &[
    ("", "the document ends too early at byte 0 (line 1, column 1)"),
    (" \n ", "the document ends too early at byte 3 (line 2, column 2)"),
    ("{", "expected a key at byte 1 (line 1, column 2)"),
    ("{\"a\":1", "expected , or } at byte 6 (line 1, column 7)"),
    ("{\"a\":1,}", "expected a key at byte 7 (line 1, column 8)"),
    ("{\"a\" 1}", "expected : at byte 5 (line 1, column 6)"),
    ("{\n \"a\": nul }", "expected a value at byte 8 (line 2, column 7)"),
    ("[1 2]", "expected , or ] at byte 3 (line 1, column 4)"),
    ("[1,]", "expected a value at byte 3 (line 1, column 4)"),
    ("{} x", "something behind the document at byte 3 (line 1, column 4)"),
    ("{}{}", "something behind the document at byte 2 (line 1, column 3)"),
    ("01", "a number must not begin with 0 at byte 0 (line 1, column 1)"),
    ("-", "expected a digit at byte 1 (line 1, column 2)"),
    ("1.", "expected a digit at byte 2 (line 1, column 3)"),
    ("1e", "expected a digit at byte 2 (line 1, column 3)"),
    ("+1", "expected a value at byte 0 (line 1, column 1)"),
    ("NaN", "expected a value at byte 0 (line 1, column 1)"),
    ("1e999", "number out of range at byte 0 (line 1, column 1)"),
    ("\"a", "the string does not end at byte 2 (line 1, column 3)"),
    ("\"\\x\"", "invalid escape at byte 1 (line 1, column 2)"),
    ("\"\\u12g4\"", "expected a hexadecimal digit at byte 5 (line 1, column 6)"),
    ("\"\\ud800\"", "half of a surrogate pair at byte 1 (line 1, column 2)"),
    ("\"\\udc00\"", "half of a surrogate pair at byte 1 (line 1, column 2)"),
    ("\"\\ud800\\u0041\"", "half of a surrogate pair at byte 1 (line 1, column 2)"),
    ("\"a\nb\"", "control character in a string at byte 2 (line 1, column 3)"),
    ("'a'", "expected a value at byte 0 (line 1, column 1)"),
    ("\"\\", "invalid escape at byte 1 (line 1, column 2)"),
    ("\u{feff}{}", "expected a value at byte 0 (line 1, column 1)"),
];

#[test]
fn malformed_documents_are_located() {
    for (text, message) in MALFORMED {
        assert_eq!(read(text).unwrap_err(), *message, "{text}");
    }
    let error = parse(b"{\"a\":\"\xff\"}", &Shape::everything()).unwrap_err();
    assert_eq!(error.to_string(), "invalid UTF-8 at byte 6 (line 1, column 7)");
}

#[test]
fn what_is_skipped_is_validated_just_as_strictly() {
    let nothing = Shape::default();
    for (text, _) in MALFORMED {
        // A document of its own, and a value at a place that nobody reads.
        for text in [(*text).to_owned(), format!("{{\"skip\":[{text}]}}")] {
            let kept = parse(text.as_bytes(), &Shape::everything()).map(drop);
            let skipped = parse(text.as_bytes(), &nothing).map(drop);
            assert_eq!(kept, skipped, "{text}");
        }
    }
}

#[test]
fn only_what_is_wanted_is_built() {
    let mut shape = Shape::default();
    shape.keep.add(&["a".into(), "b".into()]);
    shape.keep.add_presence(&["c".into()]);
    let value = parse(br#"{"a":{"b":[1,{"x":2}],"z":1},"c":{"d":1},"e":1}"#, &shape).unwrap();
    assert_eq!(to_json(value.as_ref()).unwrap(), json!({"a": {"b": [1, {"x": 2}]}, "c": {}}));
    let value = parse(br#"{"a":[{"b":1}]}"#, &shape).unwrap();
    assert_eq!(to_json(value.as_ref()).unwrap(), json!({"a": []}));
}

#[test]
fn depth_is_limited_in_both_ways() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        for shape in [Shape::everything(), Shape::default()] {
            assert!(parse(nested(JSON_DEPTH_MAX).as_bytes(), &shape).is_ok());
            let error = parse(nested(JSON_DEPTH_MAX + 1).as_bytes(), &shape).unwrap_err();
            assert_eq!(error.message, "nested too deeply");
            assert!(parse(nested(100_000).as_bytes(), &shape).is_err());
        }
    }
}

/// Every prefix and every change of one byte of a document is judged as serde_json judges it.
#[test]
fn agrees_with_serde_json_on_mutations() {
    let document = r#"{"a":[1,-2.5e+3,true,false,null],"b":{"\u00e9\n":"\ud83d\udc31 é"},"c":-0,"d":[[],{}],"":""}"#;
    let mut compared = 0;
    let mut compare = |bytes: &[u8]| {
        let ours = parse(bytes, &Shape::everything());
        let theirs = serde_json::from_slice::<Json>(bytes);
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {:?} {:?}", ours.as_ref().err(), theirs.as_ref().err());
        assert_eq!(ours.is_ok(), parse(bytes, &Shape::default()).is_ok(), "{text}");
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            assert_eq!(comparable(to_json(ours.as_ref()).unwrap()), comparable(theirs), "{text}");
        }
        compared += 1;
    };
    for end in 0..=document.len() {
        compare(&document.as_bytes()[..end]);
    }
    for at in 0..document.len() {
        for byte in [
            b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'0', b'1', b'-', b'.', b'e', b'u', b' ', b'\n', 0, 0x7f,
            0xc3, 0xff,
        ] {
            let mut changed = document.as_bytes().to_vec();
            changed[at] = byte;
            compare(&changed);
            changed = document.as_bytes().to_vec();
            changed.insert(at, byte);
            compare(&changed);
        }
    }
    assert!(compared > 3000);
}

/// serde_json reads -0 as a double, which is why it does not read for us.
fn comparable(json: Json) -> Json {
    match json {
        Json::Object(map) => Json::Object(map.into_iter().map(|(k, v)| (k, comparable(v))).collect()),
        Json::Array(list) => Json::Array(list.into_iter().map(comparable).collect()),
        Json::Number(number) if number.as_f64() == Some(0.0) => json!(0),
        other => other,
    }
}
