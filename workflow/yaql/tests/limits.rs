//! Whatever an expression says, reading and evaluating it ends within its limits.

use petrel_yaql::{Engine, EvaluationError, Limits, NoHost, Options, Value, Variables};
use proptest::prelude::*;

fn engine(limits: Limits) -> Engine {
    Engine::new(Options { limits, delegates: true, ..Options::default() })
}

fn evaluate(engine: &Engine, text: &str, data: Value) -> Result<Value, EvaluationError> {
    match engine.parse(text) {
        Ok(expression) => expression.evaluate(data, &Variables::default(), &NoHost),
        Err(error) => Err(EvaluationError::new(error.class(), error.message())),
    }
}

/// The name of the limit that an expression ends at.
fn limit(text: &str) -> String {
    let error = evaluate(&engine(Limits::default()), text, Value::Null).expect_err(text);
    assert_eq!(error.class(), EvaluationError::BUDGET, "{text}: {error}");
    let message = error.message().to_owned();
    message.rsplit_once('(').and_then(|(_, limit)| limit.strip_suffix(')')).unwrap_or_default().to_owned()
}

#[test]
fn what_has_no_end_ends_at_the_steps() {
    assert_eq!(limit("sequence().len()"), "steps_max");
    assert_eq!(limit("sequence().where(false)"), "steps_max");
    assert_eq!(limit("1.repeat().sum()"), "steps_max");
    assert_eq!(limit("generate(0, true, $ + 1, decycle => false).last()"), "steps_max");
    assert_eq!(limit("[1].cycle().all(true)"), "steps_max");
}

#[test]
fn what_grows_ends_at_the_memory() {
    assert_eq!(limit("'x' * 1000000000000"), "memory_bytes_max");
    assert_eq!(limit("[1] * 1000000000000"), "memory_bytes_max");
    assert_eq!(limit("range(40).reduce($1 + $1, xxxxxxxx)"), "memory_bytes_max");
    assert_eq!(limit("range(60).reduce([$1, $1], 1)"), "memory_bytes_max");
}

#[test]
fn what_nests_ends_at_the_depth() {
    assert_eq!(limit("range(100000).reduce([$1], 1)"), "value_depth_max");
    assert_eq!(limit("range(100000).reduce($1.select($), [1])"), "value_depth_max");
    assert_eq!(limit("def(f, f($)) -> f(1)"), "call_depth_max");
    assert_eq!(limit("def(f, 1 + f($)) -> f(1)"), "call_depth_max");
    assert_eq!(limit("with(lambda($($))) -> $($)"), "call_depth_max");
    for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("f(", ")"), ("1+", ""), ("{a=>", "}")] {
        assert_eq!(limit(&format!("{}1{}", open.repeat(5_000), close.repeat(5_000))), "nesting_max");
    }
    assert_eq!(limit(&format!("$x{}", ".a".repeat(5_000))), "nesting_max");
    assert_eq!(limit(&format!("$x{}", "[0]".repeat(5_000))), "nesting_max");
}

#[test]
fn a_long_text_is_refused() {
    assert_eq!(limit(&"1 ".repeat(100_000)), "text_bytes_max");
}

#[test]
fn a_large_pattern_is_refused() {
    assert_eq!(limit("regex('(((a{100}){100}){100}){100}')"), "regex_bytes_max");
}

#[test]
fn what_may_nest_at_most_does_not_overflow_the_stack() {
    let limits = Limits::default();
    let deep = format!("{}1{}", "(".repeat(limits.nesting_max - 2), ")".repeat(limits.nesting_max - 2));
    assert_eq!(evaluate(&engine(limits), &deep, Value::Null), Ok(Value::Int(1)));
    let many = vec!["1"; limits.nesting_max - 2].join(" + ");
    assert_eq!(evaluate(&engine(limits), &many, Value::Null), Ok(Value::Int(limits.nesting_max as i128 - 2)));
}

#[test]
fn what_holds_itself_is_freed() {
    let probe = std::sync::Arc::<str>::from("only here and in the values of the evaluation");
    let text = "def(f, $) -> with($data, lambda(f($)), $data.orderBy($)) -> $3.thenBy($3.len())";
    let data = Value::tuple(vec![Value::String(std::sync::Arc::clone(&probe))]);
    let variables: Variables = [("data", data.clone())].into_iter().collect();
    let expression = engine(Limits::default()).parse(text).expect(text);
    let _ = expression.evaluate(data, &variables, &NoHost);
    drop(variables);
    assert_eq!(std::sync::Arc::strong_count(&probe), 1);
}

/// Text made of what the grammar knows.
fn fragments() -> impl Strategy<Value = String> {
    let words = [
        "$",
        "$x",
        "1",
        "2.5",
        "'a'",
        "abc",
        "true",
        "null",
        "+",
        "-",
        "*",
        "/",
        "mod",
        "and",
        "or",
        "not",
        "in",
        "=",
        "<",
        ">=",
        "!=",
        "=~",
        "->",
        "=>",
        ".",
        "?.",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "select(",
        "where(",
        "len(",
        "range(",
        "let(",
        "def(",
        "lambda(",
        "sum(",
        "groupBy(",
        "orderBy(",
        "dict(",
        "set(",
        "str(",
        "regex(",
        "replace(",
        "join(",
        "generate(",
        "sequence(",
        " ",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "\\PC{0,80}") {
        let _ = engine(Limits::default()).parse(&text);
    }

    #[test]
    fn no_expression_breaks_the_evaluation(text in fragments()) {
        let limits = Limits { steps_max: 10_000, memory_bytes_max: 1 << 20, ..Limits::default() };
        let data = Value::tuple(vec![Value::Int(1), Value::string("a"), Value::tuple(vec![Value::Int(2)])]);
        let _ = evaluate(&engine(limits), &text.replace("( ", "("), data);
    }
}
