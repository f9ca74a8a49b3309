//! Expressions of YAQL alone, without anything of workflows.

use anyhow::{Context, Result, bail};
use petrel_yaql::{Dialect, Engine, Host, Options, Value as Data, Variables};
use serde_json::{Value, json};

use petrel_workflow::rehearsal::compare::{difference, difference_of_sets};

/// The time and the chance that expressions are given. What depends on them is not recorded.
struct Fixed;

impl Host for Fixed {
    fn now(&self) -> Option<i64> {
        Some(1_600_000_000_000_000)
    }

    fn random(&self) -> Option<u64> {
        Some(0x5bd1_e995_9e37_79b9)
    }
}

/// Evaluates an expression, and says where its value differs. Where it is recorded, with Orquesta's settings, too.
pub(crate) fn run(row: &Value) -> Result<Option<String>> {
    let options = options(row)?;
    if let Some(problem) = problem(row, &evaluate(row, options)?, row) {
        return Ok(Some(problem));
    }
    let by_default = match row.get("default_engine") {
        None => return Ok(None),
        Some(Value::String(same)) if same == "same" => row,
        Some(Value::String(_)) => return Ok(None),
        Some(outcome) => outcome,
    };
    let got = evaluate(row, Options::default())?;
    Ok(problem(by_default, &got, row).map(|problem| format!("with Orquesta's settings: {problem}")))
}

fn options(row: &Value) -> Result<Options> {
    let given = &row["options"];
    let dialect = match row["engine"].as_str().context("no engine")? {
        "standard" | "default" => Dialect::Standard,
        "legacy" => Dialect::Legacy,
        "standard+legacy-context" => Dialect::StandardWithLegacyLibrary,
        other => bail!("unknown engine {other}"),
    };
    let base = if dialect == Dialect::Legacy { Options::legacy() } else { Options { dialect, ..Options::default() } };
    let flag = |name: &str, default: bool| given[name].as_bool().unwrap_or(default);
    Ok(Options {
        delegates: row["delegates"] == true,
        iterator_items_max: given["yaql.limitIterators"].as_u64().map(usize::try_from).transpose()?,
        memory_quota_bytes: given["yaql.memoryQuota"].as_u64(),
        convert_tuples_to_lists: flag("yaql.convertTuplesToLists", base.convert_tuples_to_lists),
        convert_sets_to_lists: flag("yaql.convertSetsToLists", base.convert_sets_to_lists),
        convert_output_data: flag("yaql.convertOutputData", base.convert_output_data),
        iterable_dicts: flag("yaql.iterableDicts", base.iterable_dicts),
        ..base
    })
}

/// The outcome in the form of a row: `result`, `error` or `result_not_json`.
fn evaluate(row: &Value, options: Options) -> Result<Value> {
    let text = row["expression"].as_str().context("no expression")?;
    let failed = |class: &str, message: &str| json!({"error": {"type": class, "message": message}});
    let expression = match Engine::new(options).parse(text) {
        Ok(expression) => expression,
        Err(error) => return Ok(failed(error.class(), error.message())),
    };
    let variables = row["context"].as_object().into_iter().flatten();
    let variables: Variables = variables.map(|(name, value)| (name.as_str(), Data::from(value))).collect();
    Ok(match expression.evaluate(Data::from(&row["data"]), &variables, &Fixed) {
        Ok(value) => match value.to_json() {
            Ok(json) => json!({ "result": json }),
            Err(not_json) => json!({ "result_not_json": not_json.kind }),
        },
        Err(error) => failed(error.class(), error.message()),
    })
}

fn problem(expected: &Value, got: &Value, row: &Value) -> Option<String> {
    for field in ["error", "result_not_json"] {
        if let Some(expected) = expected.get(field) {
            return difference(expected, &got[field]).map(|_| format!("expected {field} {expected} and got {got}"));
        }
    }
    let (Some(expected), Some(result)) = (expected.get("result"), got.get("result")) else {
        return Some(format!("expected {} and got {got}", expected["result"]));
    };
    if row["unordered"] == true { difference_of_sets(expected, result) } else { difference(expected, result) }
}
