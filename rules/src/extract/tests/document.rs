//! The grammar, by whole documents and by documents of which nothing is read.

use super::*;
use crate::limits::JSON_DEPTH_MAX;

/// Checks a document without reading anything of it.
fn skip(bytes: &[u8]) -> Result<(), InvalidJson> {
    let layout = Layout::new(&Paths::new(), Doubles::default());
    Extractor::new().extract(&layout, bytes, &Arena::new()).map(drop)
}

#[test]
fn numbers_follow_the_design() {
    let cases = [
        ("0", "int", "0"),
        ("-0", "int", "0"),
        ("-0.0", "double", "-0.0"),
        ("95", "int", "95"),
        ("-95", "int", "-95"),
        ("95.0", "double", "95.0"),
        ("9e1", "double", "90.0"),
        ("-12.5e-1", "double", "-1.25"),
        ("123456789012345678", "int", "123456789012345678"),
        ("9223372036854775807", "int", "9223372036854775807"),
        ("-9223372036854775808", "int", "-9223372036854775808"),
        ("9223372036854775808", "uint", "9223372036854775808"),
        ("18446744073709551615", "uint", "18446744073709551615"),
        ("18446744073709551616", "double", "1.8446744073709552e19"),
        ("-9223372036854775809", "double", "-9.223372036854775808e18"),
        ("5e-324", "double", "5e-324"),
        ("1e-400", "double", "0.0"),
        ("0.1", "double", "0.1"),
        ("0.000000000000000000000000000001", "double", "1e-30"),
        ("9007199254740993.0", "double", "9007199254740992.0"),
    ];
    for (text, kind, value) in cases {
        let arena = Arena::new();
        let built = document(text.as_bytes(), &arena).unwrap();
        assert_eq!(built.type_of().name(), kind, "{text}");
        assert_eq!(to_json(built), serde_json::from_str::<Json>(value).unwrap(), "{text}");
    }
}

#[test]
fn decimals_are_read_as_the_standard_library_reads_them() {
    let mut checked = 0;
    let digits = "17976931348623157081934506";
    for length in 1..digits.len() {
        for point in 0..=length {
            let (whole, fraction) = digits[..length].split_at(point);
            let whole = if whole.is_empty() { "0" } else { whole };
            for text in [format!("{whole}.{fraction}0"), format!("-{whole}.0{fraction}1"), format!("{whole}.5e3")] {
                let arena = Arena::new();
                let Value::Double(double) = document(text.as_bytes(), &arena).unwrap() else { panic!("{text}") };
                assert_eq!(double.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
                checked += 1;
            }
        }
    }
    assert!(checked > 900);
}

#[test]
fn the_last_duplicate_wins_whole() {
    let cases = [
        (r#"{"a":1,"a":2}"#, json!({"a": 2})),
        (r#"{"a":{"x":1},"a":{"y":2}}"#, json!({"a": {"y": 2}})),
        (r#"{"a":1,"\u0061":"b"}"#, json!({"a": "b"})),
        (r#"{"a":[1],"b":0,"a":null}"#, json!({"a": null, "b": 0})),
        (r#"{"c":1,"b":2,"c":3,"a":4,"b":5,"c":6}"#, json!({"a": 4, "b": 5, "c": 6})),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn maps_are_sorted_by_key() {
    let arena = Arena::new();
    let Value::Map(map) = document(r#"{"b":1,"é":2,"a":3,"":4,"ab":5,"a":6}"#.as_bytes(), &arena).unwrap() else {
        panic!("no map")
    };
    let keys: Vec<Json> = map.iter().map(|(key, _)| to_json(key)).collect();
    assert_eq!(keys, ["", "a", "ab", "b", "é"]);
}

#[test]
fn strings_are_unescaped() {
    let long = "x".repeat(70);
    let cases = [
        (r#""a\"\\\/\b\f\n\r\tz""#.to_owned(), "a\"\\/\u{8}\u{c}\n\r\tz".to_owned()),
        (r#""\u00e9\uD83D\uDC31é🐱""#.to_owned(), "é🐱é🐱".to_owned()),
        (r#""\u0000""#.to_owned(), "\0".to_owned()),
        (r#""""#.to_owned(), String::new()),
        (format!("\"{long}\\n{long}\""), format!("{long}\n{long}")),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&text).unwrap(), json!(expected), "{text}");
    }
}

#[test]
fn strings_end_at_every_length() {
    for length in 0..100 {
        let plain = "é".repeat(length / 3) + &"x".repeat(length);
        let text = format!("[\"{plain}\",\"{plain}\\t\",1]");
        assert_eq!(read(&text).unwrap(), json!([plain, format!("{plain}\t"), 1]));
        assert_eq!(skip(text.as_bytes()), Ok(()));
        let error =
            format!("control character in a string at byte {} (line 1, column {})", plain.len() + 1, plain.len() + 2);
        assert_eq!(read(&format!("\"{plain}\u{1f}\"")).unwrap_err(), error);
        let error = format!("the string does not end at byte {} (line 1, column {})", plain.len() + 1, plain.len() + 2);
        assert_eq!(read(&format!("\"{plain}")).unwrap_err(), error);
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
    ("[1}", "expected , or ] at byte 2 (line 1, column 3)"),
    ("{\"a\":1]", "expected , or } at byte 6 (line 1, column 7)"),
    ("[1\0]", "expected , or ] at byte 2 (line 1, column 3)"),
    ("{} x", "something behind the document at byte 3 (line 1, column 4)"),
    ("{}{}", "something behind the document at byte 2 (line 1, column 3)"),
    ("{}\0", "something behind the document at byte 2 (line 1, column 3)"),
    ("\0", "expected a value at byte 0 (line 1, column 1)"),
    ("01", "a number must not begin with 0 at byte 0 (line 1, column 1)"),
    ("-01.x", "a number must not begin with 0 at byte 0 (line 1, column 1)"),
    ("-", "expected a digit at byte 1 (line 1, column 2)"),
    ("1.", "expected a digit at byte 2 (line 1, column 3)"),
    ("1.e1", "expected a digit at byte 2 (line 1, column 3)"),
    ("1e", "expected a digit at byte 2 (line 1, column 3)"),
    ("1e+", "expected a digit at byte 3 (line 1, column 4)"),
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
    let error = document(b"{\"a\":\"\xff\"}", &Arena::new()).unwrap_err();
    assert_eq!(error.to_string(), "invalid UTF-8 at byte 6 (line 1, column 7)");
}

#[test]
fn what_is_skipped_is_validated_just_as_strictly() {
    for (text, _) in MALFORMED {
        // A document of its own, and a value at a place that nobody reads.
        for text in [(*text).to_owned(), format!("{{\"skip\":[{text}]}}")] {
            let kept = document(text.as_bytes(), &Arena::new()).map(drop);
            assert_eq!(kept, skip(text.as_bytes()), "{text}");
        }
    }
    let long = format!("1{}", "0".repeat(400));
    let cases = [long.clone(), format!("-{long}.5"), format!("{long}e-400"), format!("0.{long}")];
    for text in cases {
        let kept = document(text.as_bytes(), &Arena::new()).map(drop);
        assert_eq!(kept, skip(text.as_bytes()), "{text}");
        assert_eq!(kept.is_ok(), text.parse::<f64>().unwrap().is_finite(), "{text}");
    }
}

#[test]
fn depth_is_limited_in_both_ways() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let build = |text: String| document(text.as_bytes(), &Arena::new()).map(drop);
        for check in [&build, &|text: String| skip(text.as_bytes())] as [&dyn Fn(String) -> Result<(), InvalidJson>; 2]
        {
            assert_eq!(check(nested(JSON_DEPTH_MAX)), Ok(()));
            let error = check(nested(JSON_DEPTH_MAX + 1)).unwrap_err();
            assert_eq!((error.message, error.offset), ("nested too deeply", JSON_DEPTH_MAX * open.len()));
            assert!(check(nested(100_000)).is_err());
        }
    }
}

/// Every prefix and every change of one byte of a document is judged as serde_json judges it.
#[test]
fn agrees_with_serde_json_on_mutations() {
    let document_text =
        r#"{"a":[1,-2.5e+3,true,false,null],"b":{"\u00e9\n":"\ud83d\udc31 é"},"c":-0,"d":[[],{}],"":""}"#;
    let mut compared = 0;
    let mut compare = |bytes: &[u8]| {
        let arena = Arena::new();
        let ours = document(bytes, &arena);
        let theirs = serde_json::from_slice::<Json>(bytes);
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {:?} {:?}", ours.as_ref().err(), theirs.as_ref().err());
        assert_eq!(ours.clone().map(drop), skip(bytes), "{text}");
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            assert_eq!(comparable(to_json(ours)), comparable(theirs), "{text}");
        }
        compared += 1;
    };
    for end in 0..=document_text.len() {
        compare(&document_text.as_bytes()[..end]);
    }
    for at in 0..document_text.len() {
        for byte in [
            b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'0', b'1', b'-', b'.', b'e', b'u', b' ', b'\n', 0, 0x7f,
            0xc3, 0xff,
        ] {
            let mut changed = document_text.as_bytes().to_vec();
            changed[at] = byte;
            compare(&changed);
            changed = document_text.as_bytes().to_vec();
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
