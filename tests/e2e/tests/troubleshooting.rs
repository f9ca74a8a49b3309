//! `petrel demo troubleshooting`, as somebody types it who sees Petrel for the first time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Played, processes_naming, topics_of};
use petrel_testkit::{Proc, engine_library, kafka_or_skip, petrel_binary, shared_kafka, wait_until};
use serde_json::Value;

/// How long a step may take on a busy machine.
const SOON: Duration = Duration::from_secs(120);
/// Repetitions of the alert.
const REPEATS: usize = 12;

/// Runs it to its end.
fn play(dir: &Path, more: &[&str]) -> Result<Played> {
    Played::of(dir, "troubleshooting", &[&["--repeats", &REPEATS.to_string()], more].concat())
}

/// What one of them got, which took it each time.
fn all<'a>(received: &'a [Value], service: &str, status: u64) -> Result<Vec<&'a Value>> {
    let of: Vec<&Value> = received.iter().filter(|asked| asked["service"] == service).collect();
    ensure!(of.iter().all(|asked| asked["status"] == status), "{of:?}");
    Ok(of.iter().map(|asked| &asked["body"]).collect())
}

/// The only request that one of them got.
fn only<'a>(received: &'a [Value], service: &str, status: u64) -> Result<&'a Value> {
    let of = all(received, service, status)?;
    ensure!(of.len() == 1, "{service} was asked {} times: {of:?}", of.len());
    Ok(of[0])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One message in the shape of `chat.postMessage` and one ticket in that of `POST /rest/api/3/issue`, each with all that
/// was found.
fn check_messages(received: &[Value]) -> Result<()> {
    only(received, "Compute Engine", 200)?;
    let slack = only(received, "Slack", 200)?;
    assert_eq!(slack["channel"], "#ops");
    assert_eq!(slack["text"], "checkout on checkout-1: CRITICAL: http://localhost:8080/health: connection refused");
    let kinds: Vec<&str> = slack["blocks"].as_array().context("no blocks")?.iter().map(|b| text(&b["type"])).collect();
    assert_eq!(kinds, ["header", "section", "section", "section"]);
    let field = |n: usize| text(&slack["blocks"][2]["fields"][n]["text"]);
    let (ping, service, cloud) = (field(0), field(1), field(2));
    let log = text(&slack["blocks"][3]["text"]["text"]);
    assert!(ping.starts_with("*Ping*\nanswers "), "{ping}");
    assert_eq!(service, "*Service*\nResult=oom-kill, NRestarts=3, ActiveState=failed, SubState=failed");
    assert_eq!(cloud, "*Cloud*\ninstance checkout-1 is RUNNING, started 2026-01-12T07:31:07.221-08:00");
    assert!(log.contains("checkout.service: Failed with result 'oom-kill'."), "{log}");
    // What stands in a log calls nobody, and marks nothing up.
    assert!(log.contains("&lt;unpaid&gt;") && !log.contains('<'), "{log}");

    let ticket = &only(received, "Jira", 201)?["fields"];
    assert_eq!((text(&ticket["project"]["key"]), text(&ticket["issuetype"]["name"])), ("OPS", "Task"));
    assert_eq!(ticket["summary"], "checkout on checkout-1: checkout-http");
    assert_eq!((text(&ticket["description"]["type"]), &ticket["description"]["version"]), ("doc", &1.into()));
    let paragraph = |n: usize| text(&ticket["description"]["content"][n]["content"][0]["text"]);
    assert_eq!(paragraph(0), "CRITICAL: http://localhost:8080/health: connection refused");
    assert_eq!(paragraph(1), ping.replace("*Ping*\n", "Ping: "));
    assert_eq!(paragraph(2), service.replace("*Service*\n", "Service: "));
    assert_eq!(paragraph(3), cloud.replace("*Cloud*\n", "Cloud: "));
    assert!(paragraph(4).contains("<unpaid>") && paragraph(4).contains("oom-kill"), "{}", paragraph(4));
    Ok(())
}

/// What the audit trail is shown to hold: the event, the five actions each with its end, the gates, and the storm.
fn check_story(said: &str) {
    for action in ["ping", "host_state", "cloud_state", "slack", "jira"] {
        let ended = |line: &&str| {
            line.contains(&format!("troubleshooting.{action} "))
                && line.contains("succeeded")
                && line.contains("execution")
        };
        assert_eq!(said.lines().filter(ended).count(), 1, "{action}\n{said}");
    }
    let held = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.contains(&"troubleshooting.once") && words.contains(&"refused") && words.contains(&&*REPEATS.to_string())
    };
    assert_eq!(said.lines().filter(held).count(), 1, "{said}");
    assert!(said.contains("everything adds up"), "{said}");
}

#[test]
fn an_alert_is_looked_after_once_and_told_once_in_one_message_and_one_ticket() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let played = play(dir.path(), &[])?;
    check_messages(&played.received)?;
    check_story(&played.said);
    // No token, and no key, is said or written where it is not needed.
    played.does_not_tell(&["xoxb-", "ya29.", "ATATT", "PRIVATE KEY"])
}

/// Slack and Jira have done what they were asked to, and nobody hears of it.
#[test]
fn answers_that_are_lost_cost_no_second_ticket() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Played { said, received, .. } = play(dir.path(), &["--lose-answers"])?;
    check_story(&said);
    assert_eq!(said.lines().filter(|line| line.ends_with("(this answer is lost)")).count(), 2, "{said}");
    let ticket = only(&received, "Jira", 201)?;
    let searches = all(&received, "Jira's search", 200)?.len();
    assert_eq!(searches, 2, "it was looked for before each request: {ticket}");
    // Slack has no key to know a message again by: it is there twice, and is the same both times.
    let messages = all(&received, "Slack", 200)?;
    assert_eq!((messages.len(), messages[0]), (2, messages[1]));
    Ok(())
}

#[test]
fn on_kafka_it_is_the_same_and_nothing_of_it_is_left_there() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(bootstrap) = shared_kafka() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let Played { said, received, .. } = play(dir.path(), &["--kafka", bootstrap])?;
    check_messages(&received)?;
    check_story(&said);
    assert_eq!(topics_of(bootstrap, "petrel-demo-troubleshooting-")?, Vec::<String>::new());
    Ok(())
}

/// The server and its engine, and what runs on the host.
#[test]
fn whatever_ends_it_nothing_that_it_started_goes_on() -> Result<()> {
    for kills in [false, true] {
        let dir = tempfile::tempdir()?;
        let (kept, log) = (dir.path().join("kept"), dir.path().join("demo.log"));
        let mut command = Command::new(petrel_binary()?);
        command.args(["demo", "troubleshooting", "--repeats", "1000", "--keep"]).arg(&kept);
        command.env("PETREL_CHDB_LIB", engine_library()?).current_dir(dir.path());
        let mut demo = Proc::start("the demo", &mut command, &log)?;
        wait_until("the server runs", SOON, || {
            std::fs::read_to_string(&log).is_ok_and(|said| said.contains("petrel is ready"))
        });
        let runs = processes_naming(&kept);
        assert!(runs.iter().any(|line| line.contains("clickhouse")), "{runs:?}");
        if kills {
            demo.kill9();
            wait_until("nothing of it runs", SOON, || processes_naming(&kept).is_empty());
        } else {
            demo.terminate()?;
            let status = demo.wait(SOON)?;
            assert_eq!((status.code(), processes_naming(&kept)), (Some(1), Vec::new()), "{}", demo.log_tail());
        }
    }
    Ok(())
}
