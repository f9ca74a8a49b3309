//! What holds of all languages together.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::limits::*;
use super::*;

/// A workflow with one other task, which has failed.
struct OtherFailed;

impl Tasks for OtherFailed {
    fn status(&self, task: &str, route: usize) -> Option<&str> {
        match (task, route) {
            ("here", 0) => Some("succeeded"),
            ("other", 0) => Some("failed"),
            _ => None,
        }
    }

    fn route(&self, _route: usize) -> &[String] {
        &[]
    }
}

/// A scope in a task that has succeeded with this result.
fn scope(variables: &Json, result: &Json) -> Scope {
    let task = CurrentTask { id: "here".into(), route: 0, result: Some(result.clone().into()) };
    let item = Some(Value::from(json!({"name": "first", "n": 1})));
    let tasks = Arc::new(OtherFailed);
    Scope { tasks, task: Some(task), item, ..Scope::new(Arc::new(Value::from(variables.clone()))) }
}

fn evaluate_as(dialect: Dialect, template: &Json, scope: &Scope) -> Result<Json, String> {
    let template = Template::compile(&Value::from(template.clone()), dialect);
    template.evaluate(scope).map(|value| value.to_json()).map_err(|e| e.to_string())
}

fn evaluate(template: &Json, scope: &Scope) -> Result<Json, String> {
    evaluate_as(Dialect::Orquesta, template, scope)
}

/// Checks what templates yield; `Err` is what the error's text must hold.
fn check(dialect: Dialect, scope: &Scope, cases: &[(Json, Result<Json, &str>)]) {
    for (template, expected) in cases {
        let got = evaluate_as(dialect, template, scope);
        let as_expected = match (&got, expected) {
            (Ok(got), Ok(expected)) => got == expected,
            (Err(got), Err(expected)) => got.contains(expected),
            _ => false,
        };
        assert!(as_expected, "{template} is {got:?} and not {expected:?}");
    }
}

#[test]
fn all_languages_see_the_same_scope() {
    let scope = scope(&json!({"a": {"b": [1, 2]}}), &json!({"stdout": "x"}));
    let yaql = ["ctx().a.b", "result().stdout", "item(name)", "task_status(other)", "succeeded()", "item().n + 1"];
    let jinja = ["ctx().a.b", "result().stdout", "item('name')", "task_status('other')", "succeeded()", "item().n + 1"];
    let cel = ["ctx.a.b", "result.stdout", "item.name", "tasks.other.status", "succeeded()", "item.n + 1"];
    let expected = json!([[1, 2], "x", "first", "failed", true, 2]);
    for (open, sources, close) in [("<% ", yaql, " %>"), ("{{ ", jinja, " }}"), ("${", cel, "}")] {
        let template = json!(sources.map(|source| format!("{open}{source}{close}")));
        assert_eq!(evaluate_as(Dialect::Native, &template, &scope), Ok(expected.clone()), "{template}");
    }
}

#[test]
fn cel_names_the_scope_its_own_way() {
    let scope = scope(&json!({"n": 1, "list": [1, 2.0], "t": true}), &json!({"code": 0}));
    check(
        Dialect::Native,
        &scope,
        &[
            (json!("${task.id + task.status}"), Ok(json!("heresucceeded"))),
            (json!("${task.route}"), Ok(json!(0))),
            (
                json!("n is ${ctx.n}, t is ${ctx.t}, list is ${ctx.list}"),
                Ok(json!("n is 1, t is true, list is [1,2.0]")),
            ),
            (json!("${has(ctx.x) ? ctx.x : 'none'}"), Ok(json!("none"))),
            (json!("${size(ctx)}"), Ok(json!(3))),
            (json!("${ctx['n']}"), Ok(json!(1))),
            (json!("${failed() || completed()}"), Ok(json!(true))),
            (json!("$${ctx.n}"), Ok(json!("${ctx.n}"))),
            (json!("${result.code == 0 && ctx.list.exists(x, x > 1)}"), Ok(json!(true))),
            (json!({"${'k' + string(ctx.n)}": ["${ctx.n}"]}), Ok(json!({"k1": [1]}))),
            (json!("${ctx.missing}"), Err("CelEvaluationException: Unable to evaluate expression '${ctx.missing}'.")),
            (json!("${ctx.n +}"), Err("SyntaxError")),
            (json!("${nothing}"), Err("unknown variable `nothing`")),
            (json!("${ctx.n"), Err("has no `}`")),
            (json!("${ctx.n} {{ ctx().n }}"), Err("Expression with multiple types is not supported.")),
        ],
    );
    assert_eq!(evaluate(&json!("${ctx.n}"), &scope), Ok(json!("${ctx.n}")), "Orquesta has no CEL");
    let template = Template::compile(&Value::text("${ctx.a} ${ctx.b + ctx.a}"), Dialect::Native);
    let names: Vec<String> = template.variables().into_iter().map(|variable| variable.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn data_that_looks_like_an_expression_stays_data() {
    for injected in ["<% ctx().secret %>", "{{ ctx().secret }}", "${ctx.secret}", "{% raw %}{{ x }}{% endraw %}"] {
        let data = json!({"text": injected, "list": [injected], "map": {injected: injected}});
        let variables = json!({"v": data, "secret": "told"});
        let mut scope = scope(&variables, &data);
        scope.item = Some(data.clone().into());
        for (whole, text, map) in [
            ("<% ctx().v.text %>", "<% result().text %> and <% item().text %>", "<% item() %>"),
            ("<% ctx().v.text + '' %>", "<% result().list[0] %> and <% item(text) %>", "<% ctx().v %>"),
            ("{{ ctx().v.text }}", "{{ result().text }} and {{ item().text }}", "{{ item() }}"),
            ("{{ ctx().v.text ~ '' }}", "{{ result().list[0] }} and {{ item('text') }}", "{{ ctx().v }}"),
            ("${ctx.v.text}", "${result.text} and ${item.text}", "${item}"),
            (
                "{% set x = ctx().v.text %}{{ x }}",
                "{% if true %}{{ result().text }}{% endif %} and {{ item().text }}",
                "{{ result() }}",
            ),
            (
                "{{ result().list | first }}",
                "{{ result().list | join }} and {{ item().map.values() | first }}",
                "{{ item() }}",
            ),
        ] {
            let got = evaluate_as(Dialect::Native, &json!([whole, text, map]), &scope);
            assert_eq!(got, Ok(json!([injected, format!("{injected} and {injected}"), data])), "{whole} {text} {map}");
        }
        let got = evaluate(&json!({"{{ ctx().v.text }}": "<% ctx().v.text %>"}), &scope);
        assert_eq!(got, Ok(json!({injected: injected})), "a key");
    }
}

#[test]
fn conditions_hold_as_in_python() {
    let scope = scope(&json!({"zero": 0, "empty": [], "text": "no"}), &json!(null));
    for (template, expected) in [
        ("<% ctx().zero %>", false),
        ("{{ ctx().empty }}", false),
        ("<% ctx().text %>", true),
        ("<% succeeded() and result() = null %>", true),
        ("<% failed() %>", false),
        ("plain", true),
    ] {
        let template = Template::compile(&Value::text(template), Dialect::Orquesta);
        assert_eq!(template.is_true(&scope), Ok(expected), "{template:?}");
    }
}

#[test]
fn what_cannot_be_answered_here_is_told() {
    let scope = scope(&json!({}), &json!(null));
    for expression in ["st2kv('system.key')", "decrypt_kv('x')", "task('other')"] {
        for template in [format!("<% {expression} %>"), format!("{{{{ {expression} }}}}")] {
            let error = evaluate(&json!(template), &scope).unwrap_err();
            assert!(error.contains("not supported") || error.contains("Unable to find task"), "{template}: {error}");
        }
    }
    // Without the time of the step nobody makes one up.
    assert!(evaluate(&json!("<% now() %>"), &scope).is_err());
}

#[test]
fn bombs_end_at_a_limit_that_is_named() {
    let scope = scope(&json!({"list": (0..1000).collect::<Vec<_>>()}), &json!(null));
    let steps = format!("{EXPRESSION_STEPS_MAX} steps");
    let cases = [
        ("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", &*steps),
        ("{{ 'x' * 999999999 }}", &steps),
        (
            "{{ range(99999) | map('string') | join | length + (range(99999) | list | length) * 99 }}{{ 'x' * 99999999 }}",
            &steps,
        ),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
        ("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", &steps),
    ];
    for (template, limit) in cases {
        let error = evaluate(&json!(template), &scope).unwrap_err();
        assert!(error.contains(limit), "{template}: {error}");
    }
    for template in [
        "<% range(99999999).sum() %>",
        "<% ctx().list.select(ctx().list.select($ * 2).sum()).sum() %>",
        "<% 'x' * 999999999 %>",
        "${ctx.list.map(a, ctx.list.map(b, ctx.list))}",
    ] {
        assert!(evaluate_as(Dialect::Native, &json!(template), &scope).is_err(), "{template}");
    }
}

#[test]
fn texts_and_results_have_a_length() {
    let scope = scope(&json!({"mega": "x".repeat(1 << 20)}), &json!(null));
    let long = format!("{{{{ ctx().mega }}}}{}", " ".repeat(EXPRESSION_TEXT_BYTES_MAX));
    let error = evaluate(&json!(long), &scope).unwrap_err();
    assert!(
        error.contains(&format!("longer than {EXPRESSION_TEXT_BYTES_MAX} bytes")),
        "{}",
        &error[error.len() - 100..]
    );
    for one in ["{{ ctx().mega }}", "<% ctx().mega %>", "${ctx.mega}"] {
        let error = evaluate_as(Dialect::Native, &json!(one.repeat(17)), &scope).unwrap_err();
        assert!(error.contains(&format!("longer than {EXPRESSION_OUTPUT_BYTES_MAX} bytes")), "{error}");
    }
}

#[test]
fn deep_texts_are_mistakes_and_not_a_full_stack() {
    let nested = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let run = move || {
        let scope = scope(&json!({"a": 1}), &json!(null));
        let sources = [
            nested("(", "1", ")", 5000),
            nested("[", "1", "]", 5000),
            nested("-", "1", "", 5000),
            nested("not ", "1", "", 5000),
            nested("a(", "1", ")", 5000),
            nested("1 + ", "1", "", 20_000),
            nested("", "ctx().a", ".a", 20_000),
            nested("", "ctx().a", "|abs", 20_000),
            nested("", "ctx().a", "[0]", 20_000),
        ];
        for source in sources {
            for template in
                [format!("{{{{ {source} }}}}"), format!("<% {source} %>"), format!("{{% if {source} %}}{{% endif %}}")]
            {
                let template = Template::compile(&Value::text(template), Dialect::Orquesta);
                assert!(template.problems().len() <= 2 && template.evaluate(&scope).is_err(), "{}", &source[..20]);
            }
        }
        let blocks = nested("{% if true %}", "x", "{% endif %}", 3000);
        assert!(evaluate(&json!(blocks), &scope).is_err());
    };
    // The stack that a thread has by default.
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn what_is_just_within_the_limits_is_evaluated() {
    let run = || {
        let scope = scope(&json!({"a": {"a": 1}}), &json!(null));
        let nested = |open: &str, middle: &str, close: &str, times: usize| {
            format!("{}{middle}{}", open.repeat(times), close.repeat(times))
        };
        let wide = nested("", "1", " + 1", JINJA_OPERATORS_MAX);
        for source in
            [nested("(", "1", ")", JINJA_NESTING_MAX - 2), wide, nested("", "[1]", "|list", JINJA_OPERATORS_MAX / 2)]
        {
            let got = evaluate(&json!(format!("{{{{ {source} }}}}")), &scope);
            assert!(got.is_ok(), "{got:?}");
        }
        let yaql = nested("", "1", " + 1", YAQL_NESTING_MAX / 2);
        assert_eq!(evaluate(&json!(format!("<% {yaql} %>")), &scope), Ok(json!(YAQL_NESTING_MAX / 2 + 1)));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn the_document_has_the_limits_of_the_code() {
    let document = include_str!("../../../docs/EXPRESSIONS.md");
    for (name, value) in [
        ("EXPRESSION_STEPS_MAX", EXPRESSION_STEPS_MAX),
        ("EXPRESSION_TEXT_BYTES_MAX", EXPRESSION_TEXT_BYTES_MAX as u64),
        ("EXPRESSION_OUTPUT_BYTES_MAX", EXPRESSION_OUTPUT_BYTES_MAX as u64),
        ("RESULT_NESTING_MAX", RESULT_NESTING_MAX as u64),
        ("REGEX_BYTES_MAX", REGEX_BYTES_MAX as u64),
        ("JINJA_NESTING_MAX", JINJA_NESTING_MAX as u64),
        ("JINJA_OPERATORS_MAX", JINJA_OPERATORS_MAX as u64),
        ("JINJA_RECURSION_MAX", JINJA_RECURSION_MAX as u64),
        ("YAQL_NESTING_MAX", YAQL_NESTING_MAX as u64),
        ("YAQL_MEMORY_BYTES_MAX", YAQL_MEMORY_BYTES_MAX),
    ] {
        let line = document.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).expect(name);
        let digits: String = line.split('|').nth(2).unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        assert_eq!(digits, value.to_string(), "{line}");
    }
}

#[test]
fn every_function_is_in_the_document() {
    let document = include_str!("../../../docs/EXPRESSIONS.md");
    for function in functions::all() {
        let name = function.name;
        assert!(document.contains(&format!("`{name}")), "{name}");
    }
}

#[test]
fn values_are_shared_and_not_copied() {
    let scope = scope(&json!({"big": [[1, 2], [3]]}), &json!(null));
    let held = scope.variables.get("big").unwrap();
    for template in ["<% ctx().big %>", "{{ ctx().big }}", "{{ ctx('big') }}", "<% ctx(big) %>", "{{ [ctx().big][0] }}"]
    {
        let template = Template::compile(&Value::text(template), Dialect::Orquesta);
        let got = template.evaluate(&scope).unwrap();
        assert!(std::ptr::eq(got.as_list().unwrap(), held.as_list().unwrap()), "{template:?}");
    }
}

#[test]
fn what_holds_no_expression_is_itself() {
    for source in [json!(null), json!(1.0), json!("text"), json!({"a": ["b", {"c": "{{ d"}]}), json!("5 %> 4 }}")] {
        let template = Template::compile(&Value::from(source.clone()), Dialect::Native);
        assert!(!template.has_expressions() && template.problems().is_empty() && template.variables().is_empty());
        assert_eq!(template.evaluate(&Scope::new(Arc::new(Value::Null))).map(|value| value.to_json()), Ok(source));
    }
}
