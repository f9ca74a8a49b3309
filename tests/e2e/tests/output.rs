//! What actions write, followed by the command line and over HTTP while they run.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Single, get, get_with, write_pack};
use petrel_testkit::{KafkaBroker, kafka_or_skip, petrel_binary, wait_until};
use serde_json::Value;

use crate::secrets::{holding, master_key};

const SOON: Duration = Duration::from_secs(60);
/// Different enough that nothing else holds a piece of it.
const TOKEN: &str = "Zq7kV-9xR2mBwT-hunter2";

const TELL: &str = "\
name: tell
runner: command
command: [./tell.sh, \"${parameters.gate}\"]
env: { TOKEN: \"${parameters.token}\" }
parameters: { gate: { type: string, required: true }, token: { type: string, secret: true } }
";

/// It tells a secret in two writes, what is no UTF-8 and what commands a terminal, and then runs until a file is there.
const TELL_SH: &str = "\
#!/bin/sh
echo begin
printf 'token %.7s' \"$TOKEN\"; sleep 0.7; printf '%s.\\n' \"${TOKEN#???????}\"
printf 'bytes \\377\\376.\\n'; printf '\\033[31mred\\n'; echo warning >&2
while [ ! -e \"$1\" ]; do sleep 0.05; done
echo done
exit 3
";

const FLOOD: &str = "\
name: flood
runner: shell
script: |
  echo first; head -c 10000000 /dev/zero | tr '\\0' x; echo; echo last
";

/// Runs an action with these words, and gives its execution.
fn run(cli: &Cli, words: &[&str]) -> Result<String> {
    let mut all = vec!["action", "run"];
    all.extend(words);
    Ok(cli.run(&all)?.trim().to_owned())
}

/// `petrel execution tail -f` while it runs.
fn follow(cli: &Cli, id: &str) -> Result<Child> {
    let mut command = Command::new(petrel_binary()?);
    command.args(["execution", "tail", id, "-f", "--api", cli.api()]);
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

fn pages(cli: &Cli, id: &str, query: &str) -> Result<Value> {
    let answer = get(&format!("{}/v1/executions/{id}/output?{query}", cli.api()))?;
    ensure!(answer.status == 200, "{}", answer.body);
    Ok(serde_json::from_str(&answer.body)?)
}

fn texts(page: &Value) -> String {
    let chunks = page["chunks"].as_array().into_iter().flatten();
    chunks.map(|chunk| chunk["text"].as_str().unwrap_or("?")).collect()
}

#[test]
fn what_an_action_writes_is_followed_while_it_runs() -> Result<()> {
    followed_while_it_runs(&[])
}

#[test]
fn what_an_action_writes_is_followed_on_kafka() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let broker = KafkaBroker::start()?;
    followed_while_it_runs(&["--kafka", &broker.bootstrap()])
}

fn followed_while_it_runs(flags: &[&str]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let key = master_key(&dir.path().join("master.key"), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n")?;
    let mut petrel = Single::prepare(dir.path(), flags, &[("PETREL_SECRETS__MASTER_KEY_FILE", &key)])?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let files = [
        ("pack.yaml", "name: live\nversion: 1.0.0\n"),
        ("actions/tell.yaml", TELL),
        ("actions/tell.sh", TELL_SH),
        ("actions/flood.yaml", FLOOD),
    ];
    cli.run(&["pack", "apply", &write_pack(dir.path(), "live", &files)?.display().to_string()])?;
    let gate = dir.path().join("gate");
    let token = master_key(&dir.path().join("token"), TOKEN)?;
    let id = run(&cli, &["live.tell", &format!("gate={}", gate.display()), "--secret", &format!("token={token}")])?;

    // All but its end is told before the end, which waits for the gate.
    let mut tail = follow(&cli, &id)?;
    let mut lines = BufReader::new(tail.stdout.take().context("no stdout")?).lines();
    for wanted in ["begin", "token ********.", "bytes \u{FFFD}\u{FFFD}.", "\\u{1b}[31mred"] {
        assert_eq!(lines.next().context("it has ended")??, wanted);
    }
    // What is written may be there before its owner's word that it runs.
    wait_until("it is told that it runs", SOON, || {
        pages(&cli, &id, "stream=stderr&wait_ms=10000").is_ok_and(|page| page["status"] == "running")
    });
    let page = pages(&cli, &id, "stream=stderr&wait_ms=10000")?;
    assert_eq!((texts(&page), &page["is_over"]), ("warning\n".to_owned(), &false.into()));
    std::fs::write(&gate, "")?;
    assert_eq!(lines.map_while(Result::ok).collect::<Vec<_>>(), ["done"]);
    let mut said = String::new();
    tail.stderr.take().context("no stderr")?.read_to_string(&mut said)?;
    assert!(
        said.contains("warning\n") && said.contains("[failed, exit code 3]") && !said.contains("not shown"),
        "{said}"
    );
    assert_eq!(tail.wait()?.code(), Some(1));

    // Whoever comes later sees the same.
    let later = cli.output(&["execution", "tail", &id])?;
    let text = String::from_utf8(later.stdout)?;
    assert_eq!(text, "begin\ntoken ********.\nbytes \u{FFFD}\u{FFFD}.\n\\u{1b}[31mred\ndone\n");
    let raw = cli.output(&["execution", "tail", &id, "--stream", "stdout", "--raw"])?.stdout;
    assert!(raw.windows(10).any(|bytes| bytes == b"\xFF\xFE.\n\x1b[31mr"), "{}", String::from_utf8_lossy(&raw));

    // As events, all of it and then from the middle.
    let url = format!("{}/v1/executions/{id}/output", cli.api());
    let accept = ("accept", "text/event-stream");
    let events = get_with(&url, &[accept])?.body;
    let ids: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert!(ids.len() >= 4 && events.ends_with("\n\n") && events.contains("event: end\n"), "{events}");
    let resumed = get_with(&url, &[accept, ("last-event-id", ids[1])])?.body;
    assert!(events.ends_with(&resumed) && resumed.matches("event: output").count() == ids.len() - 2, "{resumed}");
    assert_eq!(get_with(&url, &[accept, ("last-event-id", "x")])?.status, 400);
    assert_eq!(get(&format!("{}/v1/executions/{}/output", cli.api(), "0".repeat(32)))?.status, 404);

    flood_keeps_both_ends(&cli)?;
    petrel.down()?;
    let mut found = Vec::new();
    for part in [TOKEN, &TOKEN[8..], &TOKEN[..12]] {
        holding(petrel.data(), part, &mut found)?;
    }
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}

/// Far more than is kept, and than is told while it runs.
fn flood_keeps_both_ends(cli: &Cli) -> Result<()> {
    let id = run(cli, &["live.flood"])?;
    let shown = cli.output(&["execution", "tail", &id, "-f"])?;
    let (text, said) = (String::from_utf8(shown.stdout)?, String::from_utf8(shown.stderr)?);
    assert!(shown.status.success() && text.starts_with("first\nxxx") && text.len() <= 8 << 20, "{said} {}", text.len());
    let missing = said.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(" bytes are not shown]"));
    let missing: usize = missing.map(|bytes| bytes.parse().unwrap_or(0)).sum();
    assert_eq!(missing + text.len(), 10_000_000 + "first\n\nlast\n".len(), "{said}");
    let mut execution = Value::Null;
    wait_until("what was captured is in SQL", SOON, || {
        execution = cli.json(&["execution", "get", &id]).unwrap_or_default();
        execution["stdout"].is_string()
    });
    let text = |name: &str| execution[name].as_str().unwrap_or_default().to_owned();
    assert!(text("stdout").starts_with("first\nx") && text("stdout_tail").ends_with("x\nlast\n"), "{execution}");
    assert_eq!((text("stdout").len(), text("stdout_tail").len()), (32 << 10, 32 << 10));
    assert_eq!(execution["stdout_omitted_bytes"], 10_000_012 - (64 << 10));
    Ok(())
}

#[test]
fn what_a_server_keeps_no_more_is_shown_as_it_was_captured() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::start(dir.path(), &[("PETREL_WORKER__LIVE_BYTES_MAX", "0")])?;
    let cli = petrel.cli().clone();
    let files = [("pack.yaml", "name: live\nversion: 1.0.0\n"), ("actions/flood.yaml", FLOOD)];
    cli.run(&["pack", "apply", &write_pack(dir.path(), "live", &files)?.display().to_string()])?;
    let id = run(&cli, &["live.flood"])?;
    let page = || pages(&cli, &id, "wait_ms=30000");
    wait_until("it is over", SOON, || page().is_ok_and(|page| page["is_over"] == true));
    let page = page()?;
    assert_eq!((&page["is_kept"], &page["status"]), (&false.into(), &"succeeded".into()));
    wait_until("what was captured is shown", SOON, || {
        let shown = cli.output(&["execution", "tail", &id]).ok();
        shown.is_some_and(|shown| {
            let (text, said) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
            text.starts_with("first\nx") && text.ends_with("x\nlast\n") && said.contains("bytes are not shown]")
        })
    });
    petrel.down()
}
