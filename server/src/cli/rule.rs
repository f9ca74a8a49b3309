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
    let text = |name: &str| answer[name].as_str().unwrap_or("-").to_owned();
    output::line(&format!("instance  {}", text("instance")));
    output::line(&format!("bus       {}", text("bus")));
    output::line(&format!("revision  {}", text("revision")));
    output::line(&format!("dispatch  {}", text("dispatch")));
    if let (Some(bytes), Some(bytes_max)) = (answer["log"]["bytes"].as_u64(), answer["log"]["bytes_max"].as_u64()) {
        output::line(&format!("log       {} of {} MiB", bytes >> 20, bytes_max >> 20));
    }
    for problem in answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::line(&format!("problem   {problem}"));
    }
    output::line("");
    let columns = [
        ("stage", "stage"),
        ("ready", "ready"),
        ("partitions", "partitions"),
        ("records", "records"),
        ("commits", "commits"),
        ("lag", "lag"),
        ("problems", "problems"),
    ];
    show(&answer, "stages", Output::Table, &columns);
    waiting(&answer).iter().for_each(|line| output::line(line));
    Ok(())
}

/// What is wrong with the process, which partitions wait for what, and what else each stage says, one a line.
fn waiting(status: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    for problem in list(&status["problems"]) {
        lines.push(format!("problem: {}", problem.as_str().unwrap_or_default()));
    }
    for stage in list(&status["stages"]) {
        for blocked in list(&stage["blocked"]) {
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
        for warning in list(&stage["warnings"]) {
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
}
