use serde_json::json;

use super::super::{PackFiles, RunnerSpec, SpecError};
use super::*;

struct NoFiles;

impl PackFiles for NoFiles {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

fn parse(extract: &Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let keys = json!({ "command": ["x"], "output": { "extract": extract } });
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse("command", &keys, &NoFiles)
}

fn shape(extract: &Value) -> Shape {
    parse(extract).unwrap().shape().unwrap().clone()
}

#[test]
fn values_are_taken_of_a_result_with_their_types() {
    let shape = shape(&json!({
        "first": "result.hosts[0].name",
        "full": "result.hosts.filter(h, h.used_pct > 90.0).map(h, h.name)",
        "count": "size(result.hosts)",
        "all": "{'ok': result.?missing.orValue(true)}",
    }));
    let result = json!({ "hosts": [{ "name": "a", "used_pct": 95.5 }, { "name": "b", "used_pct": 5.0 }] });
    let (taken, error) = shape.extracted(&result);
    let expected = json!({ "first": "a", "full": ["a"], "count": 2, "all": { "ok": true } });
    assert_eq!((Value::Object(taken), error), (expected, None));
}

#[test]
fn what_has_no_value_is_named_and_the_others_are_taken() {
    let shape = shape(&json!({ "a": "result.a", "b": "result.b.c", "d": "result.d" }));
    let (taken, error) = shape.extracted(&json!({ "a": 1, "d": 2 }));
    assert_eq!(Value::Object(taken), json!({ "a": 1, "d": 2 }));
    let error = error.unwrap().to_string();
    assert!(error.starts_with("output.extract.b: "), "{error}");
}

#[test]
fn what_is_taken_is_small_and_costs_little() {
    let all = shape(&json!({ "all": "result", "id": "result.id" }));
    let (taken, error) = all.extracted(&json!({ "id": 1, "text": "x".repeat(EXTRACTED_BYTES_MAX) }));
    let error = error.unwrap();
    assert_eq!(taken, Map::new());
    assert!(matches!(&error, ExtractError::TooLarge { largest, .. } if largest == "all"), "{error}");

    let slow = shape(&json!({ "n": "result.map(a, result.map(b, a + b)).size()" }));
    let many: Vec<u32> = (0..5_000).collect();
    let (_, error) = slow.extracted(&json!(many));
    assert!(matches!(&error, Some(ExtractError::NoValue { name, .. }) if name == "n"), "{error:?}");
}

#[test]
fn mistakes_are_told_with_their_places() {
    let cases = [
        (json!([]), "/output/extract: \"extract\" must be a mapping of names and expressions, found a list"),
        (
            json!({ "A": "result" }),
            "/output/extract/A: \"A\" is no name: it begins with a letter, and has a-z, 0-9 and _ alone",
        ),
        (json!({ "a": 5 }), "/output/extract/a: \"a\" must be an expression over \"result\", found a number"),
        (
            json!({ "a": "${result.id}" }),
            "/output/extract/a: \"a\" is an expression already: write it without ${…}, such as result.id",
        ),
    ];
    for (extract, expected) in cases {
        let errors = parse(&extract).unwrap_err();
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
    // Owners do not see results of others, and no expression here sees anything but its own.
    for source in ["parameters.x", "secret.demo.token", "stdout", "result.", "execution.id"] {
        let errors = parse(&json!({ "a": source })).unwrap_err();
        assert!(errors.iter().all(|error| error.at == "/output/extract/a"), "{source}: {errors:?}");
    }
    let many: Map<String, Value> = (0..=EXTRACTED_MAX).map(|n| (format!("n{n}"), json!("result"))).collect();
    assert!(parse(&Value::Object(many)).unwrap_err()[0].message.contains("more than the limit of 32"));
}
