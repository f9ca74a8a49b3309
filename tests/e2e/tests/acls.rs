//! An installation whose processes may do on Kafka what their roles need, and nothing else (docs/KAFKA.md): it works,
//! and the credentials of a worker write no request, no answer and no cancel.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use petrel_e2e_tests::{Cli, Cluster, Credentials, Size, committed_values, write_pack};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until, wait_until, workspace_root};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, NoCustomPartitioner, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, ClientContext};
use serde_json::json;

const SOON: Duration = Duration::from_secs(90);
const PREFIX: &str = "rights.";
const EVENTS: &str = "monitoring.alerts";
/// Bytes that tell the kind of a record: a mark, and the fingerprint of its schema.
const KIND_BYTES: usize = 10;

const PACK: [(&str, &str); 8] = [
    ("pack.yaml", "name: rights\nversion: 1.0.0\nproduces: [incidents]\n"),
    ("triggers/alert.yaml", "name: alert\nsource: { kafka: { topic: monitoring.alerts, start: earliest } }\n"),
    (
        "rules/alert.yaml",
        "name: alert\ntrigger: rights.alert\nactions:\n  - ref: rights.look\n    parameters: { host: \"${trigger.host}\" }\n  \
         - ref: rights.tell\n    parameters: { host: \"${trigger.host}\" }\n",
    ),
    (
        "actions/look.yaml",
        "name: look\nrunner: command\ncommand: [echo, \"${parameters.host}\"]\n\
         parameters: { host: { type: string, required: true } }\n",
    ),
    (
        "actions/tell.yaml",
        "name: tell\nrunner: kafka\nrecord: { topic: incidents, json: { host: \"${parameters.host}\" } }\n\
         parameters: { host: { type: string, required: true } }\n",
    ),
    ("actions/hold.yaml", "name: hold\nrunner: sleep\nduration: 10m\ntimeout: 20m\n"),
    ("policies/one.yaml", "name: one\nactions: [rights.look]\nconcurrency: { max: 1 }\n"),
    ("README.md", "rights\n"),
];

/// Which credentials a role has.
fn of_role(role: &str) -> (&'static str, String) {
    let name = match role {
        "worker" => "petrel-worker",
        "audit" => "petrel-audit",
        "events" => "petrel-events",
        _ => "petrel",
    };
    (name, format!("{name}-password"))
}

const CREDENTIALS: Credentials = Credentials { of_role };

/// A client that is none of Petrel's, with the credentials of a role.
fn client(broker: &KafkaBroker, role: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.named_bootstrap()).set_log_level(RDKafkaLogLevel::Emerg);
    for (name, value) in CREDENTIALS.properties(role) {
        config.set(name, value);
    }
    config
}

/// The script that operators run.
fn make_rights(broker: &KafkaBroker) -> Result<()> {
    let script = workspace_root().join("deploy/kafka/acls.sh");
    let output = Command::new("sh")
        .arg(script)
        .env("KAFKA_ACLS", broker.tool_command("org.apache.kafka.tools.AclCommand"))
        .env("PREFIX", PREFIX)
        .env("EVENTS", "monitoring.*")
        .env("PRODUCED", "incidents")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// What became of the only record of a producer.
#[derive(Default)]
struct Told(Mutex<Option<Result<(), Option<RDKafkaErrorCode>>>>);

impl ClientContext for Told {}

impl ProducerContext<NoCustomPartitioner> for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = result.as_ref().map(drop).map_err(|(error, _)| error.rdkafka_error_code());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

/// Writes one record: whether the broker takes it from that role.
fn write(broker: &KafkaBroker, role: &str, topic: &str, value: &[u8]) -> Result<bool> {
    let producer: BaseProducer<Told> =
        client(broker, role).set("message.timeout.ms", "30000").create_with_context(Told::default())?;
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0).key(&b"k"[..]).payload(value);
    producer.send(record).map_err(|(error, _)| error)?;
    let told = poll_until(SOON, || {
        producer.poll(Duration::from_millis(50));
        *producer.context().0.lock().unwrap_or_else(PoisonError::into_inner)
    });
    match told.context("no word of the record")? {
        Ok(()) => Ok(true),
        Err(Some(RDKafkaErrorCode::TopicAuthorizationFailed)) => Ok(false),
        Err(error) => bail!("{role} writes to {topic}: {error:?}"),
    }
}

/// Whether the broker lets that role read a topic.
fn read(broker: &KafkaBroker, role: &str, topic: &str) -> Result<bool> {
    let consumer: BaseConsumer = client(broker, role)
        .set("group.id", format!("petrel-tail-{role}-x"))
        .set("enable.partition.eof", "true")
        .create()?;
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&all)?;
    let told = poll_until(SOON, || match consumer.poll(Duration::from_millis(200))? {
        Ok(_) | Err(KafkaError::PartitionEOF(_)) => Some(Ok(true)),
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Some(Ok(false)),
        Err(error) => Some(Err(error)),
    });
    Ok(told.context("no word of the topic")??)
}

/// Whether the broker gives that role a transactional id.
fn takes_id(broker: &KafkaBroker, role: &str, id: &str) -> Result<bool> {
    let producer: BaseProducer = client(broker, role).set("transactional.id", id).create()?;
    match producer.init_transactions(Duration::from_secs(30)) {
        Ok(()) => Ok(true),
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            Ok(false)
        }
        Err(error) => bail!("{role} takes {id}: {error}"),
    }
}

/// Events of a producer come in, actions run, one of them writes to a topic of ours, and one is canceled.
fn work(cli: &Cli, broker: &KafkaBroker, dir: &Path) -> Result<()> {
    let core = workspace_root().join("packs/core").display().to_string();
    cli.run(&["pack", "apply", &core, &write_pack(dir, "rights", &PACK)?.display().to_string()])?;
    for host in ["db-1", "db-2", "db-3"] {
        ensure!(write(broker, "events", EVENTS, json!({ "host": host }).to_string().as_bytes())?);
    }
    let held = cli.json(&["action", "run", "rights.hold"])?;
    let held = held["execution_id"].as_str().context("no id")?;
    let status = || cli.json(&["execution", "get", held]).unwrap_or_default()["status"].clone();
    wait_until("an action runs", SOON, || status() == "running");
    cli.run(&["execution", "cancel", held])?;
    wait_until("it is canceled", SOON, || status() == "canceled");
    let done = "SELECT count() FROM executions_latest WHERE rule = 'rights.alert' AND status = 'succeeded'";
    wait_until("the rule's actions have ended", SOON, || cli.number(done).is_ok_and(|count| count == 6));
    assert_eq!(committed_values(&broker.bootstrap(), "incidents")?.len(), 3);
    cli.reconciles()
}

#[test]
fn roles_do_their_work_with_their_own_rights_and_a_worker_writes_no_request_no_answer_and_no_cancel() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let broker = KafkaBroker::start_with_names(&["petrel", "petrel-worker", "petrel-audit", "petrel-events"])?;
    broker.create_topic(EVENTS, 1, &[])?;
    broker.create_topic("incidents", 1, &[])?;
    make_rights(&broker)?;
    let dir = tempfile::tempdir()?;
    let size = Size { workers: 1, ingest: 1, credentials: Some(CREDENTIALS), ..Size::default() };
    let mut cluster = Cluster::start_with(dir.path(), &broker.named_bootstrap(), PREFIX, size)?;
    let cli = cluster.cli().clone();
    work(&cli, &broker, dir.path())?;
    // Nor was anything refused that it went without.
    for member in cluster.petrels() {
        let log = std::fs::read_to_string(member.log())?;
        let refused = log.lines().find(|line| line.to_lowercase().contains("authoriz"));
        assert_eq!(refused, None, "{}", member.name());
    }

    // What stood on the topic: requests, answers of a gate and a cancel. A worker's credentials write none of it again.
    let mut kinds: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for value in committed_values(&broker.bootstrap(), &cluster.topic("requests"))? {
        kinds.entry(value.iter().take(KIND_BYTES).copied().collect()).or_insert(value);
    }
    ensure!(kinds.len() >= 3, "{} kinds of records on the topic of requests", kinds.len());
    for value in kinds.values() {
        assert!(!write(&broker, "worker", &cluster.topic("requests"), value)?);
    }
    let mut written = BTreeSet::new();
    for topic in topics(&cluster, &broker)? {
        let may_write = write(&broker, "worker", &topic, b"forged")?;
        written.extend(may_write.then(|| topic.clone()));
        for role in ["audit", "events"] {
            let may_write = write(&broker, role, &topic, b"forged")?;
            assert_eq!(may_write, role == "audit" && topic == cluster.topic("processes"), "{role} {topic}");
        }
    }
    let own = ["dead_letters", "output", "processes", "results", "worker_positions"];
    assert_eq!(written, own.iter().map(|name| cluster.topic(name)).collect::<BTreeSet<_>>());
    for (topic, may_read) in
        [("requests", false), ("executions", false), ("audit", false), ("gates", false), ("kv", true)]
    {
        assert_eq!(read(&broker, "worker", &cluster.topic(topic))?, may_read, "{topic}");
    }
    // Nobody is put out by a transactional id of his: those of servers are not a worker's.
    for (id, may_take) in [
        ("rights.publisher-api-1", false),
        ("rights.sole-catalog", false),
        ("rights.rights.executor-executor-1-0", false),
        ("rights.publisher-worker-x", true),
    ] {
        assert_eq!(takes_id(&broker, "worker", id)?, may_take, "{id}");
    }
    // All of that has done nothing: the installation works as before.
    let again = cli.json(&["action", "run", "rights.look", "host=db-4", "--wait"])?;
    assert_eq!(again["status"], "succeeded");
    Ok(())
}

/// All of Petrel's own topics.
fn topics(cluster: &Cluster, broker: &KafkaBroker) -> Result<Vec<String>> {
    petrel_e2e_tests::topics_of(&broker.bootstrap(), cluster.prefix())
}
