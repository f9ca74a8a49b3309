//! Bad input, on real Kafka: each piece becomes a dead letter or an error that names its reason,
//! nothing else stops, nothing is lost.

use std::time::Duration;

use anyhow::Result;
use petrel_e2e_tests::{Cli, Feed, Single, create_topic, write_pack};
use petrel_testkit::{kafka_or_skip, shared_kafka, wait_until};

const SOON: Duration = Duration::from_secs(90);

#[test]
fn bad_records_become_dead_letters_and_the_rest_goes_on() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(kafka) = shared_kafka() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let topic = format!("bad-{}", std::process::id());
    create_topic(kafka, &topic, 2, &[("max.message.bytes", "16000000")])?;
    let prefix = format!("bad{}.", std::process::id());
    let mut petrel = Single::prepare(dir.path(), &["--kafka", kafka], &[("PETREL_TOPIC_PREFIX", &prefix)])?;
    petrel.up()?;
    let cli = petrel.cli();
    let files = [
        ("pack.yaml", "name: bad\nversion: 1.0.0\ndescription: Bad input of a test\n".to_owned()),
        (
            "triggers/order.yaml",
            format!(
                "name: order\nsource: {{ kafka: {{ topic: {topic}, format: json, start: earliest }} }}\n\
                 schema: {{ type: object, required: [n], properties: {{ n: {{ type: integer }}, by: {{ type: integer }} }} }}\n"
            ),
        ),
        (
            "rules/divide.yaml",
            "name: divide\ntrigger: bad.order\ncriteria: trigger.n / trigger.by > 1\n\
             action: { ref: bad.say, parameters: { n: \"${trigger.n}\" } }\n"
                .to_owned(),
        ),
        (
            "rules/seven.yaml",
            "name: seven\ntrigger: bad.order\ncriteria: trigger.n == 7\n\
             action: { ref: bad.say, parameters: { n: \"${trigger.n}\" } }\n"
                .to_owned(),
        ),
        (
            "actions/say.yaml",
            "name: say\nrunner: command\ncommand: [echo, \"${parameters.n}\"]\nparameters:\n  n: { type: integer, required: true }\n"
                .to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let pack = write_pack(dir.path(), "bad", &files)?;
    cli.run(&["pack", "apply", &pack.display().to_string()])?;

    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids"))?;
    let large = format!("{{\"n\":7,\"pad\":\"{}\"}}", "x".repeat(10_000_000));
    let bad: [(&[u8], &str); 5] = [
        (b"{\"n\": 7", "malformed_json"),
        (b"{\"n\": 7} trailing", "malformed_json"),
        (b"\xff\xfe", "malformed_json"),
        (b"{\"n\": \"seven\"}", "schema_violation"),
        (large.as_bytes(), "payload_too_large"),
    ];
    for (record, _) in bad {
        feed.write_raw(b"bad", record)?;
    }
    feed.write_raw(b"bad", b"{\"n\": 4, \"by\": 0}")?;
    // Behind all of them, on the same partition.
    feed.write_raw(b"bad", b"{\"n\": 7, \"by\": 7}")?;

    let finished = "SELECT count() FROM executions_latest WHERE rule = 'bad.seven' AND status = 'succeeded'";
    wait_until("the good event behind the bad ones ran its action", SOON, || {
        cli.number(finished).is_ok_and(|n| n == 1)
    });
    for (reason, count) in [("malformed_json", 3), ("schema_violation", 1), ("payload_too_large", 1)] {
        let query =
            format!("SELECT count() FROM dead_letters FINAL WHERE reason = '{reason}' AND source_topic = '{topic}'");
        wait_until(&query, SOON, || cli.number(&query).is_ok_and(|n| n == count));
    }
    let heads = cli.number("SELECT max(length(head)) FROM dead_letters FINAL")?;
    assert!(heads <= 64 * 1024, "{heads}");
    let errors = "SELECT count() FROM criteria_errors FINAL WHERE rule = 'bad.divide'";
    wait_until(errors, SOON, || cli.number(errors).is_ok_and(|n| n == 1));
    assert_eq!(cli.number("SELECT count() FROM executions_latest WHERE rule = 'bad.divide'")?, 0);
    cli.reconciles()?;
    petrel.down()
}

#[test]
fn ten_mistakes_in_a_pack_are_reported_at_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let files = [
        ("pack.yaml", "name: Wrong Name\nversion: one\ndescripton: typo\n"),
        ("triggers/a.yaml", "name: a\nsource: { kafka: { topic: t, format: avro } }\n"),
        ("triggers/b.yaml", "name: b\nsource: { interval: { every: soon } }\n"),
        ("rules/a.yaml", "name: a\ntrigger: wrong.none\ncriteria: trigger.x >\naction: { ref: wrong.none }\n"),
        (
            "rules/b.yaml",
            "name: b\ntrigger: wrong.a\ncriteria: 1 == 1\nthrottle: { by: x }\naction: { ref: wrong.x, parameters: { nope: 1 } }\n",
        ),
        ("actions/x.yaml", "name: x\nrunner: python\ncommand: [./missing.sh]\n"),
    ];
    let pack = write_pack(dir.path(), "wrong", &files)?;
    let output = Cli::new("http://127.0.0.1:1").output(&["pack", "validate", &pack.display().to_string()])?;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    let located = text.lines().filter(|line| line.contains(".yaml:")).count();
    assert!(located >= 10, "{located} located problems:\n{text}");
    Ok(())
}

#[test]
fn a_damaged_data_directory_is_refused_and_left_alone() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::start(dir.path(), &[])?;
    petrel.down()?;
    let log = petrel.data().join("log");
    let mut damaged = 0;
    for entry in std::fs::read_dir(&log)?.flatten() {
        // Whoever opens the directory writes its process id there.
        if entry.file_type()?.is_file() && entry.file_name() != "owner.pid" {
            std::fs::write(entry.path(), b"this is no log")?;
            damaged += 1;
        }
    }
    assert!(damaged > 0, "nothing to damage in {}", log.display());
    petrel.process().start()?;
    let process = petrel.process().process();
    let status = process.wait(SOON)?;
    assert_eq!(status.code(), Some(1));
    let tail = process.log_tail();
    assert!(tail.contains("cannot be opened") && tail.contains("Restore"), "{tail}");
    for entry in std::fs::read_dir(&log)?.flatten().filter(|e| e.path().is_file() && e.file_name() != "owner.pid") {
        assert_eq!(std::fs::read(entry.path())?, b"this is no log", "{} was written to", entry.path().display());
    }
    Ok(())
}
