//! KRaft nodes of Apache Kafka, from the jars that `cargo xtask deps --kafka` fetches.

mod cluster;
mod probe;
mod settings;
mod shared;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tempfile::TempDir;

use crate::paths::{kafka_libs_dir, scratch_dir};
use crate::ports::{free_port, random_u64};
use crate::process::Proc;
use crate::wait::poll_until;
use settings::Settings;

pub use cluster::KafkaCluster;
pub use probe::{BrokerMetadata, broker_metadata};
pub use shared::shared_kafka;

/// On an idle machine a broker answers within four seconds; this allows for a very busy one.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// A broker that does not end on SIGTERM within this time is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often another pair of ports is tried when somebody else was faster.
const PORT_ATTEMPTS: usize = 5;

/// Java's options for tools that end before an optimising compiler or a parallel collector would pay.
const SHORT_LIVED: [&str; 3] = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

const LOG4J2: &str = include_str!("../../../deploy/dev/kafka/log4j2.xml");

/// A broker of its own, for a test that kills it or needs it empty. Others use [`shared_kafka`].
///
/// Its data lie in a temporary directory below target/dev/run. Dropping it kills the broker and
/// removes the data; both happen as well when the test's process ends in any other way.
#[derive(Debug)]
pub struct KafkaBroker {
    // Before the directory, so that the process is gone when its files are removed.
    process: Option<Proc>,
    dir: TempDir,
    port: u16,
    settings: Settings,
    cluster_id: String,
}

impl KafkaBroker {
    /// Formats the storage, starts the broker and returns once it answers a metadata request. The
    /// error shows the end of the broker's log.
    pub fn start() -> Result<KafkaBroker> {
        Self::start_as(Settings::development)
    }

    /// The same with the defaults of Kafka for everything that one node allows.
    pub fn start_with_defaults() -> Result<KafkaBroker> {
        Self::start_as(Settings::defaults)
    }

    /// The same as [`KafkaBroker::start`], for a test that takes rights away.
    pub fn start_with_rights() -> Result<KafkaBroker> {
        Self::start_as(Settings::with_rights)
    }

    /// The same for clients that have one of these names and its password, `<name>-password`, and come to
    /// [`KafkaBroker::named_bootstrap`] by SASL: they may do what rules allow. [`KafkaBroker::bootstrap`] and
    /// [`KafkaBroker::tool`] may do everything.
    pub fn start_with_names(names: &[&str]) -> Result<KafkaBroker> {
        Self::start_as(|| Settings::with_names(names))
    }

    /// Starts one more broker of this one's cluster, for a test that stops a leader and nothing else: what was made before
    /// is all here, and a topic is there alone that was made with it as its only replica.
    pub fn start_another(&self) -> Result<KafkaBroker> {
        Self::start_in(|| self.settings.another(), Some(&self.cluster_id))
    }

    /// The number by which replicas are assigned to it.
    pub fn id(&self) -> u32 {
        self.settings.id()
    }

    fn start_as(settings: impl Fn() -> Settings) -> Result<KafkaBroker> {
        Self::start_in(settings, None)
    }

    /// In a cluster of its own where none is named.
    fn start_in(settings: impl Fn() -> Settings, cluster_id: Option<&str>) -> Result<KafkaBroker> {
        let libs = kafka_libs_dir();
        ensure!(
            libs.join(".stamp").is_file(),
            "Kafka's jars are not in {}; run: cargo xtask deps --kafka",
            libs.display()
        );
        let mut attempt = 1;
        loop {
            let id = cluster_id.map_or_else(random_cluster_id, str::to_owned);
            let mut broker = KafkaBroker::format(settings(), free_port(), &id)?;
            match broker.start_again() {
                Ok(()) => return Ok(broker),
                Err(error) if attempt < PORT_ATTEMPTS && broker.port_was_taken() => {
                    drop(error);
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A directory with configuration and formatted storage.
    fn format(settings: Settings, port: u16, cluster_id: &str) -> Result<KafkaBroker> {
        let dir =
            tempfile::Builder::new().prefix("kafka-").tempdir_in(scratch_dir()?).context("no temporary directory")?;
        let broker = KafkaBroker { process: None, dir, port, settings, cluster_id: cluster_id.to_owned() };
        let file = |name: &str| broker.dir.path().join(name);
        std::fs::write(file("server.properties"), broker.server_properties()).context("cannot configure the broker")?;
        std::fs::write(file("log4j2.xml"), LOG4J2).context("cannot configure the broker's log")?;
        let output = broker
            .java()
            .args(SHORT_LIVED)
            .args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"])
            .arg(file("server.properties"))
            .args(broker.settings.is_alone().then_some("--standalone"))
            .output()
            .context("cannot start java")?;
        ensure!(output.status.success(), "cannot format the broker's storage: {}", text_of(&output));
        Ok(broker)
    }

    fn server_properties(&self) -> String {
        let mut text = self.settings.properties(self.port);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "log.dirs={}", self.dir.path().join("data").display());
        text
    }

    /// `java` with Kafka's class path and log configuration.
    fn java(&self) -> Command {
        let mut command = Command::new("java");
        let config = self.dir.path().join("log4j2.xml");
        command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
        command.arg("-cp").arg(kafka_libs_dir().join("*"));
        command
    }

    /// Starts the broker on its former ports and data, after [`KafkaBroker::kill9`] or
    /// [`KafkaBroker::stop`], and returns once it answers.
    pub fn start_again(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_until_ready()
    }

    fn spawn(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the broker runs already");
        let mut command = self.java();
        command.args([self.settings.heap(), "kafka.Kafka"]).arg(self.dir.path().join("server.properties"));
        let process = Proc::start_guarded("the Kafka broker", &mut command, &self.log(), Some(self.dir.path()))?;
        self.process = Some(process);
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let address = self.bootstrap();
        let process = self.process.as_mut().context("the broker does not run")?;
        let ready =
            process.wait_until_ready(READY_TIMEOUT, || broker_metadata(&address).ok().filter(BrokerMetadata::is_ready));
        if let Err(error) = ready {
            self.process = None;
            return Err(error);
        }
        Ok(())
    }

    /// `host:port`, as clients call `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` for clients that have a name.
    ///
    /// # Panics
    /// If the broker knows no names.
    pub fn named_bootstrap(&self) -> String {
        let port = self.settings.named_port().unwrap_or_else(|| panic!("this broker knows no names"));
        format!("127.0.0.1:{port}")
    }

    /// The command of one of Kafka's tools with this broker's address, for a script that calls it.
    pub fn tool_command(&self, class: &str) -> String {
        let libs = kafka_libs_dir().join("*").display().to_string();
        let config = self.dir.path().join("log4j2.xml").display().to_string();
        let options = SHORT_LIVED.join(" ");
        format!(
            "java -Dlog4j2.configurationFile={config} -cp {libs} {options} {class} --bootstrap-server {}",
            self.bootstrap()
        )
    }

    /// The file with what the broker logs, all its lives in one.
    pub fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("kafka.log")
    }

    /// The broker's directory: configuration, log and `data`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `kill -9`. The data stay for [`KafkaBroker::start_again`].
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// SIGSTOP: it answers nobody, and knows nothing of it.
    pub fn pause(&mut self) -> Result<()> {
        self.process.as_mut().context("the broker does not run")?.pause()
    }

    /// SIGCONT: it goes on where it was stopped, also with what it was sent meanwhile.
    pub fn resume(&mut self) -> Result<()> {
        self.process.as_mut().context("the broker does not run")?.resume()
    }

    /// Asks the broker to end and waits for it; after 30 s it is killed and that is an error.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.terminate()?;
        process.wait(STOP_TIMEOUT).map(drop)
    }

    /// Runs one of Kafka's own command-line tools, clients that share no code with Petrel:
    /// `tool("org.apache.kafka.tools.TopicCommand", &["--create", "--topic", "t"], "")`. The address
    /// is passed as `--bootstrap-server`, `input` as standard input. Returns standard output.
    pub fn tool(&self, class: &str, arguments: &[&str], input: &str) -> Result<String> {
        let stdin = self.dir.path().join(format!("stdin-{:x}", random_u64()));
        std::fs::write(&stdin, input).context("cannot write the tool's input")?;
        let mut command = self.java();
        command.args(SHORT_LIVED).args([class, "--bootstrap-server", &self.bootstrap()]).args(arguments);
        command.stdin(std::fs::File::open(&stdin).context("cannot open the tool's input")?);
        let output = command.output().context("cannot start java")?;
        ensure!(output.status.success(), "{class} {arguments:?} failed: {}", text_of(&output));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Creates a topic with the tool `TopicCommand`; `config` holds pairs as `max.message.bytes=12000000`.
    pub fn create_topic(&self, topic: &str, partitions: u32, config: &[&str]) -> Result<()> {
        let partitions = partitions.to_string();
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        for pair in config {
            arguments.extend(["--config", pair]);
        }
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments, "").map(drop)
    }

    /// Nobody may read that topic any more, or everybody again; for a broker with rights.
    pub fn deny_reading(&self, topic: &str, denied: bool) -> Result<()> {
        let change = |arguments: &[&str]| {
            let mut all = vec![if denied { "--add" } else { "--remove" }, "--topic", topic];
            all.extend(arguments);
            all.extend((!denied).then_some("--force"));
            self.tool("org.apache.kafka.tools.AclCommand", &all, "").map(drop)
        };
        // A topic that has a rule needs one for everything else, too.
        change(&["--allow-principal", "User:*", "--operation", "All"])?;
        change(&["--deny-principal", "User:*", "--operation", "Read"])
    }

    /// Whether the broker runs: not stopped, and not dead of its own accord.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Proc::is_running)
    }

    /// The last lines of the log, for a message.
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map_or_else(|| "the broker was stopped".to_owned(), Proc::log_tail)
    }

    fn port_was_taken(&self) -> bool {
        std::fs::read_to_string(self.log()).is_ok_and(|log| log.contains("Address already in use"))
    }
}

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// 16 random bytes as Kafka writes ids: base64 with `-` and `_`, without padding.
fn random_cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = (u128::from(random_u64()) << 64) | u128::from(random_u64());
    // 21 characters of six bits and one that carries the last two in its upper bits. The first is
    // fixed, for an id that began with a hyphen would be read as an option.
    let mut id = String::from("P");
    id.extend((1..21).map(|at| char::from(ALPHABET[(bits >> (6 * at)) as usize & 63])));
    id.push(char::from(ALPHABET[(bits as usize & 3) << 4]));
    id
}

/// Waits until `address` answers, for a broker that somebody else started.
pub(crate) fn wait_for_broker(address: &str, timeout: Duration) -> Result<()> {
    poll_until(timeout, || broker_metadata(address).ok().filter(BrokerMetadata::is_ready))
        .map(drop)
        .ok_or_else(|| anyhow!("no Kafka broker answered at {address} within {timeout:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_are_spelt_as_kafka_spells_them_and_differ() {
        let ids: Vec<String> = (0..100).map(|_| random_cluster_id()).collect();
        for id in &ids {
            assert_eq!(id.len(), 22, "{id}");
            assert!(id.chars().all(|one| one.is_ascii_alphanumeric() || one == '-' || one == '_'), "{id}");
            // The last of 22 characters carries two bits: the others of its six are zero.
            assert!(id.ends_with(['A', 'Q', 'g', 'w']), "{id}");
        }
        let distinct: std::collections::HashSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
