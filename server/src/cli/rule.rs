//! `petrel rule list|match|explain|lint` and `petrel status`.

use serde_json::Value;

use super::args::{Output, RuleCommand};
use super::http::Client;
use super::{Failure, explain, lint, matching, output};

pub fn run(command: RuleCommand, client: &impl Fn() -> Result<Client, Failure>, format: Output) -> Result<(), Failure> {
    match command {
        RuleCommand::List => list(&client()?, format),
        RuleCommand::Match(args) => matching::run(&args, format),
        RuleCommand::Explain(args) => explain::run(&args, client, format),
        RuleCommand::Lint(args) => lint::run(&args, format),
    }
}

fn list(client: &Client, format: Output) -> Result<(), Failure> {
    let answer = client.get(&["v1", "rules"], &[])?;
    let columns = [
        ("rule", "rule"),
        ("trigger", "trigger"),
        ("enabled", "enabled"),
        ("actions", "actions"),
        ("description", "description"),
    ];
    show(&answer, "rules", format, &columns);
    Ok(())
}

pub fn status(client: &Client, format: Output) -> Result<(), Failure> {
    let answer = client.get(&["v1", "status"], &[])?;
    if format == Output::Json {
        output::json(&answer);
        return Ok(());
    }
    overview(&answer).iter().for_each(|line| output::line(line));
    Ok(())
}

/// The process at a glance, for people.
fn overview(status: &Value) -> Vec<String> {
    let text = |name: &str| status[name].as_str().unwrap_or("-");
    let mut lines: Vec<String> =
        ["instance", "bus", "revision", "dispatch"].map(|name| format!("{name:8}  {}", text(name))).into();
    if let (Some(bytes), Some(bytes_max)) = (status["log"]["bytes"].as_u64(), status["log"]["bytes_max"].as_u64()) {
        lines.push(format!("log       {} of {} MiB", bytes >> 20, bytes_max >> 20));
    }
    lines.push(String::new());
    let columns = ["stage", "ready", "partitions", "records", "commits", "lag", "problems"].map(|name| (name, name));
    lines.extend(output::table_lines(&items(&status["stages"]), &columns));
    lines.extend(queues(&items(&status["queues"])));
    lines.extend(waiting(status));
    lines
}

/// What waits for workers, if anything does.
fn queues(queues: &[Value]) -> Vec<String> {
    let mut waiting: Vec<Value> = queues.iter().filter(|queue| queue["length"] != 0).cloned().collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    for queue in &mut waiting {
        queue["oldest"] = format!("{:.1} s", queue["oldest_age_ms"].as_f64().unwrap_or_default() / 1e3).into();
    }
    let columns = [("pool", "pool"), ("class", "class"), ("length", "waiting"), ("oldest", "oldest for")];
    let table = output::table_lines(&waiting, &columns);
    std::iter::once(String::new()).chain(table).collect()
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// What is wrong with the process, which partitions wait for what, and what else each stage says, one a line.
fn waiting(status: &Value) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for problem in items(&status["problems"]) {
        lines.push(format!("problem: {}", problem.as_str().unwrap_or_default()));
    }
    for stage in items(&status["stages"]) {
        for blocked in items(&stage["blocked"]) {
            let text = |name: &str| blocked[name].as_str().unwrap_or("-").to_owned();
            lines.push(format!(
                "waiting: {} {}/{} at offset {} since {}: {}",
                stage["stage"].as_str().unwrap_or("-"),
                text("topic"),
                blocked["partition"],
                blocked["offset"],
                text("since"),
                text("reason"),
            ));
        }
        for warning in items(&stage["warnings"]) {
            lines.push(format!("warning: {}", warning.as_str().unwrap_or_default()));
        }
    }
    lines
}

/// The rows of a list, which the API answers as `{"<name>": [...]}`.
pub(super) fn show(answer: &Value, name: &str, format: Output, columns: &[(&str, &str)]) {
    match format {
        Output::Json => output::json(&answer[name]),
        Output::Table => output::table(answer[name].as_array().map_or(&[], Vec::as_slice), columns),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_tells_what_waits_for_what() {
        let blocked = json!({
            "topic": "petrel.requests", "partition": 3, "offset": 17, "reason": "why", "since": "2026-01-01T00:00:00Z",
        });
        let stages = json!([{ "stage": "owner-0", "blocked": [blocked] }, { "stage": "match-0", "blocked": [], "warnings": ["match-0: x"] }]);
        let lines = waiting(&json!({ "problems": ["catalog: broken"], "stages": stages }));
        let wanted = "waiting: owner-0 petrel.requests/3 at offset 17 since 2026-01-01T00:00:00Z: why";
        assert_eq!(lines, ["problem: catalog: broken", wanted, "warning: match-0: x"]);
        assert_eq!(waiting(&json!({})), [""; 0]);
    }
    #[test]
    fn status_tells_each_problem_once() {
        let stage = |name: &str, problems: &str| {
            json!({
                "stage": name, "ready": problems.is_empty(), "partitions": 4, "records": 17, "commits": 3, "lag": null,
                "problems": problems,
            })
        };
        let status = json!({
            "instance": "one", "bus": "local", "revision": "r1", "dispatch": "running",
            "log": { "bytes": 5 << 20, "bytes_max": 64 << 20 },
            "stages": [stage("match-0", ""), stage("audit", "audit: ClickHouse is away")],
            "problems": ["catalog: broken"],
        });
        let wanted = [
            "instance  one",
            "bus       local",
            "revision  r1",
            "dispatch  running",
            "log       5 of 64 MiB",
            "",
            "STAGE    READY  PARTITIONS  RECORDS  COMMITS  LAG  PROBLEMS",
            "match-0  true   4           17       3        -",
            "audit    false  4           17       3        -    audit: ClickHouse is away",
            "problem: catalog: broken",
        ];
        assert_eq!(overview(&status), wanted);
    }
}
