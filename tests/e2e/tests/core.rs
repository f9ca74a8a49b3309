//! The pack core: events that actions inject, rules that react to how executions end, records to topics.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use petrel_e2e_tests::{Cli, Single, write_pack};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until, wait_until, workspace_root};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

const WATCH: [(&str, &str); 12] = [
    ("pack.yaml", "name: watch\nversion: 1.0.0\nproduces: [incidents]\n"),
    ("triggers/ping.yaml", "name: ping\n"),
    ("triggers/pong.yaml", "name: pong\nschema: { type: object, required: [n] }\n"),
    ("triggers/incident.yaml", "name: incident\nsource: { kafka: { topic: incidents } }\n"),
    (
        "rules/ping.yaml",
        "name: ping\ntrigger: watch.ping\n\
         action: { ref: core.inject_trigger, parameters: { trigger: watch.pong, payload: { n: 1 } } }\n",
    ),
    (
        "rules/pong.yaml",
        "name: pong\ntrigger: watch.pong\n\
         action: { ref: core.inject_trigger, parameters: { trigger: watch.ping } }\n",
    ),
    (
        "rules/failed.yaml",
        "name: failed\ntrigger: core.execution\ncriteria: trigger.status == \"failed\"\n\
         action: { ref: core.echo, parameters: { message: \"${trigger.action} ${trigger.code}: ${trigger.error}\" } }\n",
    ),
    // It would react to itself.
    (
        "rules/every.yaml",
        "name: every\ntrigger: core.execution\n\
         criteria: trigger.action == \"core.error\" || trigger.rule == \"watch.every\"\n\
         action: { ref: core.noop }\n",
    ),
    (
        "rules/incident.yaml",
        "name: incident\ntrigger: watch.incident\n\
         action: { ref: core.echo, parameters: { message: \"${trigger.host}\" } }\n",
    ),
    (
        "actions/tell.yaml",
        "name: tell\nrunner: kafka\nrecord:\n  topic: incidents\n  key: \"${parameters.host}\"\n  \
         headers: { team: sre }\n  json: { host: \"${parameters.host}\" }\nparameters:\n  host: { type: string, required: true }\n",
    ),
    ("actions/bad.yaml", "name: bad\nrunner: inject_trigger\ntrigger: watch.pong\npayload: { x: 1 }\n"),
    ("README.md", "watches\n"),
];

/// The executions of a rule that have ended, oldest first: action, status and result.
fn of_rule(cli: &Cli, rule: &str) -> Result<Vec<Value>> {
    cli.sql(&format!(
        "SELECT action, status, result FROM executions_latest WHERE rule = '{rule}' \
         AND status IN ('succeeded', 'failed') ORDER BY requested_at"
    ))
}

fn start(dir: &Path) -> Result<Single> {
    let petrel = Single::start(dir, &[])?;
    let core = workspace_root().join("packs/core").display().to_string();
    petrel.cli().run(&["pack", "apply", &core])?;
    let cli = petrel.cli().clone();
    cli.run(&["pack", "apply", &write_pack(dir, "watch", &WATCH)?.display().to_string()])?;
    // A rule reacts to what ends once its revision is compiled.
    wait_until("the rules are in force", SOON, || {
        cli.output(&["rule", "list"]).is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("watch.failed"))
    });
    Ok(petrel)
}

#[test]
fn executions_cause_events_and_chains_of_them_end() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();

    // A failure is told, once, and what reacts to everything does not react to itself.
    let failed = cli.output(&["action", "run", "core.error", "message=no disk", "--wait"])?;
    assert!(!failed.status.success());
    wait_until("the failure was told", SOON, || of_rule(&cli, "watch.failed").is_ok_and(|rows| rows.len() == 1));
    let told = of_rule(&cli, "watch.failed")?;
    assert_eq!((&told[0]["action"], &told[0]["status"]), (&json!("core.echo"), &json!("succeeded")));
    assert_eq!(told[0]["result"], "{\"message\":\"core.error told_to_fail: no disk\"}");
    wait_until("the rule over all has reacted", SOON, || {
        of_rule(&cli, "watch.every").is_ok_and(|rows| rows.len() == 1)
    });

    // Two rules that cause each other: 33 executions, and what the last one injects is too deep. An end counts as much as
    // eight of them: those of the last eight are too deep, too.
    cli.run(&["event", "send", "watch.ping", "{}", "--id", "first"])?;
    let dead = "SELECT trigger FROM dead_letters WHERE reason = 'cause_too_deep' ORDER BY trigger";
    wait_until("the chain has ended", SOON, || cli.sql(dead).is_ok_and(|rows| rows.len() == 9));
    let of = |trigger: &str| json!({ "trigger": trigger });
    assert_eq!(cli.sql(dead)?, [vec![of("core.execution"); 8], vec![of("watch.pong")]].concat());
    let (pings, pongs) = (of_rule(&cli, "watch.ping")?.len(), of_rule(&cli, "watch.pong")?.len());
    assert_eq!((pings, pongs), (17, 16));

    // What does not fit is a dead letter, and nobody posts the ends of executions.
    let bad = cli.json(&["action", "run", "watch.bad", "--wait"])?;
    assert_eq!(bad["status"], "succeeded");
    let id = bad["execution_id"].as_str().context("no id")?;
    let refused = "SELECT event_id FROM dead_letters WHERE reason = 'schema_violation' AND trigger = 'watch.pong'";
    wait_until("the event is refused", SOON, || cli.sql(refused).is_ok_and(|rows| rows.len() == 1));
    let event = petrel_schemas::EventId::of_injected(&petrel_schemas::ExecutionId::parse(id)?, 0);
    assert_eq!(cli.sql(refused)?[0]["event_id"], event.as_str());
    let posted = cli.output(&["event", "send", "core.execution", "{}"])?;
    assert!(String::from_utf8_lossy(&posted.stderr).contains("the ends of executions"), "{posted:?}");
    assert_eq!(of_rule(&cli, "watch.every")?.len(), 1, "it has not reacted to itself");
    cli.reconciles()?;
    petrel.down()
}

#[test]
fn a_record_of_an_action_is_an_event_of_who_reads_its_topic() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();
    let told = cli.json(&["action", "run", "watch.tell", "host=db-1", "--wait"])?;
    assert_eq!(told["status"], "succeeded", "{told}");
    wait_until("the record was read", SOON, || of_rule(&cli, "watch.incident").is_ok_and(|rows| rows.len() == 1));
    assert_eq!(of_rule(&cli, "watch.incident")?[0]["result"], "{\"message\":\"db-1\"}");
    let line = cli.json(&["action", "run", "core.local", "cmd=echo $((6*7)) in $(pwd)", "cwd=/tmp", "--wait"])?;
    assert_eq!(line["stdout"], "42 in /tmp\n");
    petrel.down()
}

/// The record at a place: key, value, and headers as `name=value`.
fn record_at(bootstrap: &str, partition: i32, offset: i64) -> Result<(String, String, Vec<String>)> {
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer = config.set("bootstrap.servers", bootstrap).set("group.id", "reader").create()?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset("incidents", partition, Offset::Offset(offset))?;
    consumer.assign(&place)?;
    let message = poll_until(SOON, || consumer.poll(Duration::from_millis(100)).and_then(Result::ok));
    let message = message.context("no record")?;
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message.headers().context("no headers")?.iter();
    let headers = headers.map(|header| format!("{}={}", header.key, text(header.value))).collect();
    Ok((text(message.key()), text(message.payload()), headers))
}

#[test]
fn a_record_of_an_action_is_on_kafka_as_others_read_it() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let broker = KafkaBroker::start()?;
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::prepare(dir.path(), &["--kafka", &broker.bootstrap()], &[])?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let core = workspace_root().join("packs/core").display().to_string();
    cli.run(&["pack", "apply", &core])?;
    let watch = write_pack(dir.path(), "watch", &WATCH)?.display().to_string();
    let refused = cli.output(&["pack", "apply", &watch])?;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("pack watch produces to the topic incidents, which does not exist"), "{why}");
    broker.create_topic("incidents", 3, &[])?;
    cli.run(&["pack", "apply", &watch])?;

    for host in ["db-1", "db-2", "web-1"] {
        let told = cli.json(&["action", "run", "watch.tell", &format!("host={host}"), "--wait"])?;
        let id = told["execution_id"].as_str().context("no id")?;
        let of = format!("SELECT result FROM executions_latest WHERE execution_id = '{id}' AND status = 'succeeded'");
        wait_until("the result is in SQL", SOON, || cli.sql(&of).is_ok_and(|rows| rows.len() == 1));
        let result: Value = serde_json::from_str(cli.sql(&of)?[0]["result"].as_str().context("no result")?)?;
        let (partition, offset) = (result["partition"].as_i64().context("p")?, result["offset"].as_i64().context("o")?);
        let (key, value, headers) = record_at(&broker.bootstrap(), i32::try_from(partition)?, offset)?;
        assert_eq!((&*key, value), (host, format!("{{\"host\":\"{host}\"}}")));
        assert_eq!(headers, ["team=sre".to_owned(), format!("petrel-execution-id={id}")]);
        assert_eq!(result["may_be_doubled"], false);
    }
    wait_until("the records were read", SOON, || of_rule(&cli, "watch.incident").is_ok_and(|rows| rows.len() == 3));
    petrel.down()
}
