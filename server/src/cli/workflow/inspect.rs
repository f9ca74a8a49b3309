//! `petrel workflow inspect`: what a workflow is made of, and what is wrong with it.

use petrel_catalog::known_variables;
use petrel_workflow::{inspect, outline};
use serde_json::{Value, json};

use super::super::args::{Output, WorkflowFile};
use super::super::{EXIT_FAILED, Failure, output};
use super::file::SourceFile;
use super::names;

pub fn run(file: &WorkflowFile, format: Output) -> Result<(), Failure> {
    let file = SourceFile::read(&file.path, file.runner)?;
    let spec = file.spec()?;
    let inspection = inspect(&spec, known_variables(file.language()));
    let mut shown = outline::json(&spec.outline());
    shown["errors"] = inspection.to_json();
    match format {
        Output::Json => output::json(&shown),
        Output::Table => {
            lines(&shown).iter().for_each(|line| output::line(line));
            let problems = file.problems();
            if problems.is_empty() {
                output::line("nothing is wrong");
            } else {
                output::line(&problems.to_string());
            }
        }
    }
    if inspection.is_clean() { Ok(()) } else { Err(Failure::new(EXIT_FAILED, "")) }
}

/// What a workflow is made of, for people.
fn lines(shown: &Value) -> Vec<String> {
    let list = |field: &str| shown[field].as_array().cloned().unwrap_or_default();
    let input = |input: &Value| match &input["default"] {
        _ if input["required"] == json!(true) => input["name"].as_str().unwrap_or_default().to_owned(),
        default => format!("{} ({default})", input["name"].as_str().unwrap_or_default()),
    };
    let inputs: Vec<String> = list("inputs").iter().map(input).collect();
    let tasks = list("tasks");
    let of = |flag: &str| {
        let marked = |task: &&Value| !matches!(task[flag], Value::Null | Value::Bool(false));
        let named: Vec<&str> = tasks.iter().filter(marked).filter_map(|task| task["name"].as_str()).collect();
        named.join(", ")
    };
    let cycles: Vec<String> = list("cycles").iter().map(names).collect();
    let transitions: usize = tasks.iter().map(|task| task["next"].as_array().map_or(0, Vec::len)).sum();
    let all = [
        ("inputs", inputs.join(", ")),
        ("tasks", tasks.len().to_string()),
        ("transitions", transitions.to_string()),
        ("begins with", of("start")),
        ("joins", of("join")),
        ("splits", of("split")),
        ("cycles", cycles.join("; ")),
        ("with items", of("items")),
        ("tried again", of("retry")),
        ("output", names(&shown["output"])),
    ];
    let shown = all.into_iter().filter(|(_, value)| !value.is_empty());
    shown.map(|(name, value)| format!("{name:<12} {value}")).collect()
}

#[cfg(test)]
mod tests {
    use petrel_workflow::WorkflowSpec;
    use petrel_workflow::expression::Dialect;

    use super::*;

    #[test]
    fn people_are_told_what_it_is_made_of() {
        let text = "version: 1.0\ninput: [host, {age: 7d}]\ntasks:\n  a: {next: [{do: [b, c]}]}\n  b: {next: [{do: d}]}\n  \
                    c: {with: <% ctx().host %>, action: x.y, next: [{do: d}, {when: <% failed() %>, do: retry}]}\n  \
                    d: {join: all}\noutput: [{x: 1}]\n";
        let spec = WorkflowSpec::read(text, Dialect::Orquesta).unwrap();
        assert_eq!(
            lines(&outline::json(&spec.outline())),
            [
                "inputs       host, age (\"7d\")",
                "tasks        4",
                "transitions  4",
                "begins with  a",
                "joins        d",
                "with items   c",
                "tried again  c",
                "output       x",
            ]
        );
    }
}
