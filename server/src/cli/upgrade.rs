//! `petrel upgrade status|finish`.

use serde_json::{Value, json};

use super::args::{Output, UpgradeCommand};
use super::http::Client;
use super::{Failure, output};

pub fn run(command: UpgradeCommand, client: &Client, format: Output) -> Result<(), Failure> {
    let answer = match command {
        UpgradeCommand::Status => client.get(&["v1", "upgrade"], &[])?,
        UpgradeCommand::Finish => client.post(&["v1", "upgrade", "finish"], &json!({}))?,
    };
    if format == Output::Json {
        output::json(&answer);
        return Ok(());
    }
    match command {
        UpgradeCommand::Status => status(&answer),
        UpgradeCommand::Finish => output::line(&finished(&answer)),
    }
    Ok(())
}

fn status(answer: &Value) {
    summary(answer).iter().for_each(|line| output::line(line));
    output::line("");
    let columns = [
        ("instance", "instance"),
        ("release", "release"),
        ("roles", "roles"),
        ("format", "writes"),
        ("format_newest", "can write"),
        ("told_at", "seen"),
    ];
    super::rule::show(answer, "processes", Output::Table, &columns);
}

/// How things stand, and what is to be done.
fn summary(answer: &Value) -> Vec<String> {
    let (format, newest) = (&answer["format"], &answer["format_newest"]);
    let release = answer["release"].as_str().unwrap_or("-");
    let mut lines = vec![
        format!("in force  format {format}"),
        format!("release   {release}, can write formats {} to {newest}", answer["format_oldest"]),
    ];
    let too_old: Vec<&str> = answer["too_old"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    lines.push(if answer["finished"] == json!(true) {
        "nothing is to be finished".to_owned()
    } else if too_old.is_empty() {
        format!("`petrel upgrade finish` puts format {newest} into force; until then the release before can come back")
    } else {
        format!("not to be finished yet: {} cannot write format {newest}", too_old.join(", "))
    });
    lines
}

fn finished(answer: &Value) -> String {
    let how = if answer["changed"] == json!(true) { "is in force now" } else { "was in force already" };
    format!("format {} {how}", answer["format"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_is_to_be_done() {
        let check = |finished: bool, too_old: &[&str], wanted: &str| {
            let answer = json!({
                "format": 1, "format_oldest": 1, "format_newest": 2, "release": "0.2.0",
                "finished": finished, "too_old": too_old,
            });
            let lines = summary(&answer);
            assert_eq!(lines[0], "in force  format 1");
            assert_eq!(lines[1], "release   0.2.0, can write formats 1 to 2");
            assert!(lines[2].contains(wanted), "{lines:?}");
        };
        check(true, &[], "nothing is to be finished");
        check(false, &[], "`petrel upgrade finish` puts format 2 into force");
        check(false, &["worker-1", "rules-2"], "worker-1, rules-2 cannot write format 2");
        assert_eq!(finished(&json!({ "format": 2, "changed": true })), "format 2 is in force now");
    }
}
