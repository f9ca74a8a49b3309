use serde_json::{Value as Json, json};

use super::*;
use crate::extract::document;
use crate::kv::Kv;

const EVENT: &[u8] = br#"{"host":"db-1","pct":95.0,"n":3,"big":18446744073709551615,"tags":["a","b"],
    "o":{"z":1,"a":[1.5,null]},"nothing":null,"quote":"a'b}","ok":true}"#;

fn render(template: &Json) -> Result<Json, EvalError> {
    let template = Template::rule(template).unwrap_or_else(|e| panic!("{template}: {}", e[0]));
    let arena = Arena::new();
    let event = document(EVENT, &arena).unwrap();
    let kv = Kv::new([("limit", "5")]).unwrap();
    template.render(&Scope::rule(event, 1_795_000_000_500, &kv))
}

#[test]
fn values_keep_their_types_and_texts_are_interpolated() {
    let cases = [
        (json!("${trigger.host}"), json!("db-1")),
        (json!("${trigger.pct}"), json!(95.0)),
        (json!("${trigger.n}"), json!(3)),
        (json!("${trigger.big}"), json!(18446744073709551615_u64)),
        (json!("${trigger.tags}"), json!(["a", "b"])),
        (json!("${trigger.nothing}"), json!(null)),
        (json!("${trigger.ok}"), json!(true)),
        (json!("${ trigger.n + kv.limit }"), json!(8)),
        (json!("${now}"), json!("2026-11-18T11:06:40.5Z")),
        (json!("${duration('10s')}"), json!("10s")),
        (json!("${duration('-1500ms')}"), json!("-1.5s")),
        (json!("${b'ab'}"), json!("YWI=")),
        (json!("${timestamp('2026-01-02T03:04:05+01:00')}"), json!("2026-01-02T02:04:05Z")),
        (json!("${{'b': 1, 'a': {'x': '}'}}}"), json!({"a": {"x": "}"}, "b": 1})),
        (json!("${{1: 'i', true: 'b'}}"), json!({"1": "i", "true": "b"})),
        (json!("host ${trigger.host}: ${trigger.pct}%"), json!("host db-1: 95%")),
        (json!("${trigger.n}${trigger.n}"), json!("33")),
        (json!("${1e300} ${-0.5} ${0.0}"), json!("1e+300 -0.5 0")),
        (json!(" ${trigger.n}"), json!(" 3")),
        (json!("${trigger.tags} ${trigger.nothing} ${trigger.ok}"), json!("[\"a\",\"b\"] null true")),
        (json!("$${trigger.host} costs $5 {x} }"), json!("${trigger.host} costs $5 {x} }")),
        (json!("${'}'}${\"${\"}"), json!("}${")),
        (json!("ä${trigger.host}ö"), json!("ädb-1ö")),
        (json!(""), json!("")),
        (
            json!({"a": ["${trigger.n}", 1, null, {"b": "x"}], "c": 1.5}),
            json!({"a": [3, 1, null, {"b": "x"}], "c": 1.5}),
        ),
    ];
    for (template, expected) in cases {
        assert_eq!(render(&template).unwrap_or_else(|e| panic!("{template}: {e}")), expected, "{template}");
    }
}

#[test]
fn maps_are_written_in_one_order() {
    let expected = r#"{"a":[1.5,null],"z":1}"#;
    for _ in 0..20 {
        assert_eq!(render(&json!("${trigger.o}")).unwrap().to_string(), expected);
        assert_eq!(render(&json!("o: ${trigger.o}")).unwrap(), json!(format!("o: {expected}")));
        assert_eq!(render(&json!("${trigger.o.map(k, k)}")).unwrap(), json!(["a", "z"]));
    }
}

#[test]
fn what_cannot_be_rendered_has_a_code() {
    let cases = [
        ("${trigger.absent}", "missing_field"),
        ("x ${trigger.o.absent}", "missing_field"),
        ("${trigger.n / 0}", "divide_by_zero"),
        ("${trigger.pct / 0.0}", "not_json"),
        ("${0.0 / 0.0}", "not_json"),
        ("${[1.0, 0.0 / 0.0]}", "not_json"),
        ("${type(trigger.n)}", "not_json"),
    ];
    for (template, code) in cases {
        assert_eq!(render(&json!(template)).unwrap_err().code, code, "{template}");
    }
}

#[test]
fn mistakes_are_located_by_pointer_and_column() {
    let template = json!({
        "ok": "${trigger.host}",
        "jinja": "x {{ trigger.body }}",
        "a/b": ["ä ${triger.host}", "${trigger.a +}"],
        "open": "a ${trigger.host",
        "empty": "${}",
        "statement": "{% if x %}",
        "wrong": "${parameters.host}",
        "${trigger.key}": 1,
    });
    let errors = Template::rule(&template).unwrap_err();
    let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        "/jinja:1:3: Jinja (`{{ … }}`) is not supported in this version; use `${…}`",
        "/a~1b/0:1:5: unknown variable `triger`; did you mean `trigger`?",
        "/a~1b/1:1:14: syntax error: unexpected end of the expression",
        "/open:1:3: `${` without its `}`",
        "/empty:1:3: the expression is empty",
        "/statement:1:1: Jinja (`{{ … }}`) is not supported in this version; use `${…}`",
        "/wrong:1:3: unknown variable `parameters`; there are `trigger`, `now`, `kv`",
        ":1:1: expressions in keys are not supported in this version",
    ];
    assert_eq!(found, expected);
}

#[test]
fn actions_see_parameters_and_execution() {
    let parameters = json!({"host": "db-1", "n": 7, "x": 1.5, "list": [1, "a"], "flag": false});
    let scope = Scope::action(&parameters, &json!({"disk": {"token": "t0k3n"}}), "e1", 2);
    let cases = [
        ("${parameters.host}", "db-1"),
        ("--n=${parameters.n}", "--n=7"),
        ("${parameters.n}", "7"),
        ("${parameters.x}", "1.5"),
        ("${parameters.list}", "[1,\"a\"]"),
        ("${parameters.flag}", "false"),
        ("${execution.id}/${execution.attempt}", "e1/2"),
        ("${parameters.host}; rm -rf /", "db-1; rm -rf /"),
        ("Bearer ${secret.disk.token}", "Bearer t0k3n"),
        ("./clean.sh", "./clean.sh"),
    ];
    for (template, expected) in cases {
        let template = Template::action(&json!(template)).unwrap();
        assert_eq!(template.render_text(&scope).unwrap(), expected);
    }
    assert!(Template::action(&json!("${trigger.host}")).is_err());
}
