//! Gates of policies through the command line: who holds, who waits and where, shutting and opening.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use petrel_e2e_tests::{Cli, Single, write_pack};
use petrel_testkit::wait_until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// It runs until a file is there.
const HOLD: &str = "\
name: hold
runner: command
command: [./hold.sh, \"${parameters.until}\"]
parameters: { until: { type: string, required: true }, host: { type: string, required: true } }
";
const POLICY: &str = "\
name: one_each
actions: [safe.hold]
concurrency: { by: parameters.host, max_per_key: 1 }
";
const GATE: &str = "safe.one_each/concurrency/key/db/1";

fn start(cli: &Cli, until: &Path) -> Result<String> {
    let until = format!("until={}", until.display());
    let answer = cli.json(&["action", "run", "safe.hold", &until, "host=db/1"])?;
    Ok(answer["execution_id"].as_str().context("no id")?.to_owned())
}

fn shown(cli: &Cli, id: &str) -> Value {
    cli.json(&["execution", "get", id]).unwrap_or_default()
}

fn gate(cli: &Cli) -> Value {
    cli.json(&["gate", "show", GATE]).unwrap_or_default()
}

#[test]
fn people_see_who_waits_for_whom_and_shut_and_open_gates() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::prepare(dir.path(), &[], &[])?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let files = [
        ("pack.yaml", "name: safe\nversion: 1.0.0\n"),
        ("actions/hold.yaml", HOLD),
        ("actions/hold.sh", "#!/bin/sh\nwhile [ ! -e \"$1\" ]; do sleep 0.05; done\n"),
        ("policies/one_each.yaml", POLICY),
    ];
    cli.run(&["pack", "apply", &write_pack(dir.path(), "safe", &files)?.display().to_string()])?;
    let until = dir.path().join("until");
    let first = start(&cli, &until)?;
    wait_until("the first one runs", SOON, || shown(&cli, &first)["status"] == "running");
    let second = start(&cli, &until)?;
    let is_seated = |id: &str, place: u64| shown(&cli, id)["waits_for"]["place"] == json!(place);
    wait_until("the second one waits", SOON, || is_seated(&second, 1));
    let third = start(&cli, &until)?;
    wait_until("the third one waits", SOON, || is_seated(&third, 2));
    let waits_for = shown(&cli, &third)["waits_for"].clone();
    let wanted = json!({ "gate": GATE, "class": "normal", "place": 2, "before": [&second], "gate_is": "open" });
    assert_eq!(waits_for, wanted);
    let at_gate = gate(&cli);
    assert_eq!((&at_gate["permits_out"], &at_gate["waiting"]), (&json!(1), &json!(2)), "{at_gate}");
    assert_eq!((&at_gate["holders"], &at_gate["complete"]), (&json!([&first]), &json!(true)));
    assert_eq!(at_gate["waiters"]["normal"], json!([&second, &third]));
    let listed = cli.json(&["gate", "list", "--policy", "safe.one_each"])?;
    assert_eq!((listed[0]["gate"].as_str(), &listed[1]), (Some(GATE), &Value::Null));

    // What runs ends, and nobody passes a shut gate.
    cli.run(&["gate", "shut", GATE, "--reason", "the array is replaced"])?;
    wait_until("the gate is shut", SOON, || gate(&cli)["state"] == "shut");
    std::fs::write(&until, "")?;
    wait_until("the first one has ended", SOON, || shown(&cli, &first)["status"] == "succeeded");
    wait_until("its permit is back", SOON, || gate(&cli)["permits_out"] == json!(0));
    assert_eq!(shown(&cli, &second)["waits_for"]["gate_is"], "shut");
    cli.run(&["gate", "open", GATE, "--reason", "it is done"])?;
    for id in [&second, &third] {
        wait_until("those who waited have run", SOON, || shown(&cli, id)["status"] == "succeeded");
    }
    wait_until("nothing is remembered", SOON, || cli.json(&["gate", "list"]).is_ok_and(|list| list == json!([])));
    let by_person = "SELECT decided, reason FROM gate_decisions WHERE execution_id = '' ORDER BY decided_at";
    wait_until("it is in SQL", SOON, || cli.sql(by_person).is_ok_and(|rows| rows.len() == 2));
    let wanted = [
        json!({"decided": "shut", "reason": "api: the array is replaced"}),
        json!({"decided": "opened", "reason": "api: it is done"}),
    ];
    assert_eq!(cli.sql(by_person)?, wanted);
    for other in ["safe.one_each/concurrency/total", "safe.one_eech/concurrency/key/db-1"] {
        let unknown = cli.output(&["gate", "shut", other, "--reason", "it is no gate"])?;
        assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("no policy"), "{other}");
    }
    let refused = cli.output(&["gate", "show", "nothing"])?;
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("is no gate"));
    petrel.down()
}
