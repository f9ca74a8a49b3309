use super::*;

fn json(text: &str) -> serde_json::Value {
    parse(text).unwrap().value.to_json()
}

#[test]
fn plain_scalars_are_those_of_yaml_1_1() {
    for (text, value) in [
        ("yes", "true"),
        ("Off", "false"),
        ("~", "null"),
        ("017", "15"),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("1_000", "1000"),
        ("1:30", "90"),
        ("-12", "-12"),
        ("1.0", "1.0"),
        (".5", "0.5"),
        ("1e3", "\"1e3\""),
        ("1.5e+3", "1500.0"),
        ("0o17", "\"0o17\""),
        ("08", "\"08\""),
        ("1.2.3", "\"1.2.3\""),
        ("2020-01-01", "\"2020-01-01\""),
        ("'yes'", "\"yes\""),
        ("!!str 5", "\"5\""),
        ("y", "\"y\""),
    ] {
        assert_eq!(json(&format!("v: {text}"))["v"].to_string(), value, "{text}");
    }
}

#[test]
fn aliases_repeat_what_they_name() {
    assert_eq!(json("a: &x {b: 1}\nc: *x"), serde_json::json!({"a": {"b": 1}, "c": {"b": 1}}));
}

#[test]
fn what_cannot_be_read_is_located() {
    for (text, line, column, message) in [
        ("a: 1\nb: 2\na: 3", 3, 1, "found duplicate key \"a\""),
        ("a: 1\n<<: {b: 1}", 2, 1, "merge keys are not supported"),
        ("a: 1\n? [x]\n: 2", 2, 3, "a key must be text"),
        ("a: 1\n---\nb: 2", 2, 1, "the text holds more than one document"),
        ("a: 99999999999999999999", 1, 4, "99999999999999999999 does not fit 64 bits"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (At { line, column }, message), "{text}");
    }
}

#[test]
fn what_nests_or_repeats_too_much_names_the_limit() {
    let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
    assert!(parse(&deep).unwrap_err().message.contains("DEFINITION_DEPTH_MAX"));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let below = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", "));
    }
    assert!(parse(&bomb).unwrap_err().message.contains("DEFINITION_NODES_MAX"));
    let long = format!("a: {}", "x".repeat(DEFINITION_BYTES_MAX));
    assert!(parse(&long).unwrap_err().message.contains("DEFINITION_BYTES_MAX"));
}

#[test]
fn places_are_found_by_paths() {
    let places = parse("tasks:\n  t1:\n    next:\n      - do: t2\n").unwrap().places;
    assert_eq!(places.of("tasks.t1.next[0].do"), At { line: 4, column: 9 });
    assert_eq!(places.of("tasks.t1.with.items"), At { line: 2, column: 3 });
}
