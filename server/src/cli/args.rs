//! The words of the command line. One definition feeds the parser and the help.

mod action;
mod demo;
mod inquiry;
mod upgrade;
mod worker;
mod workflow;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::execution::ExecutionCommand;
use super::gate::GateCommand;
use super::switch::SwitchCommand;
pub use action::ActionRun;
pub use demo::{
    DemoCommand, DeployArgs, DeployDecision, RemediationArgs, RemediationDecision, StageArgs, TroubleshootingArgs,
};
pub use inquiry::{Answer, InquiryCommand};
pub use upgrade::UpgradeCommand;
pub use worker::{WorkerCommand, WorkerName};
pub use workflow::{FrozenTask, GraphFormat, Runner, TaskName, WorkflowCommand, WorkflowFile, WorkflowRun};

/// Event-driven automation for high-volume event feeds.
#[derive(Debug, Parser)]
#[command(
    name = "petrel",
    version,
    propagate_version = true,
    after_help = "Start with `petrel up`, then `petrel event send demo.alert '{\"host\":\"db-1\"}'`.\n\
                  Exit codes: 0 done; 1 its subject failed; 2 usage or configuration; 3 no server; 4 refused."
)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: Command,
}

/// How clients find the server and show its answers.
#[derive(Debug, Args)]
pub struct Connection {
    /// Address of the server's API
    #[arg(long, global = true, env = "PETREL_API", default_value = "http://127.0.0.1:7373")]
    pub api: String,
    /// Token of the API
    #[arg(long, global = true, env = "PETREL_API_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// How answers are shown
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: the quickest start, and all that one machine needs
    #[command(
        after_help = "Examples:\n  petrel up --packs packs\n  petrel up --kafka localhost:9092 --data-dir /var/lib/petrel"
    )]
    Up(UpArgs),
    /// See Petrel at work, against stand-ins that it brings along
    #[command(subcommand)]
    Demo(DemoCommand),
    /// Run some roles of a cluster on Kafka and ClickHouse
    #[command(after_help = "Example:\n  petrel serve --roles rules,executor --config /etc/petrel.yaml")]
    Serve(ServeArgs),
    /// Run the embedded ClickHouse engine behind ClickHouse's HTTP interface, on loopback
    Clickhouse(ClickhouseArgs),
    /// Send events to a trigger
    #[command(subcommand)]
    Event(EventCommand),
    /// Write records to a topic of the local bus
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Check, test and apply packs
    #[command(subcommand)]
    Pack(PackCommand),
    /// Look at rules, and run them over events without a server
    #[command(subcommand)]
    Rule(RuleCommand),
    /// Run actions by hand
    #[command(subcommand)]
    Action(ActionCommand),
    /// Check, draw, test and run workflows, and decide about those that are frozen
    #[command(subcommand)]
    Workflow(WorkflowCommand),
    /// See what waits for a person, and answer
    #[command(subcommand)]
    Inquiry(InquiryCommand),
    /// Look at executions and cancel them
    #[command(subcommand)]
    Execution(ExecutionCommand),
    /// Look at the gates of policies, shut and open them
    #[command(subcommand)]
    Gate(GateCommand),
    /// Look at what packs are configured with, and change it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Set and rotate secrets; no command shows one
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Look at workers, and let them take nothing more before they are stopped
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Switch off what must not start any more, and on again
    #[command(subcommand)]
    Switch(SwitchCommand),
    /// Stop dispatching actions; events are still decided and requests kept
    Pause {
        /// Why, for the others
        #[arg(long)]
        reason: Option<String>,
    },
    /// Dispatch actions again
    Resume,
    /// Ask the audit trail, read-only
    #[command(
        after_help = "Examples:\n  petrel sql 'SELECT status, count() FROM executions_latest GROUP BY status'\n  \
                            petrel sql --format csv 'SELECT * FROM rule_matches LIMIT 10'\n  \
                            petrel sql --trace EVENT_ID\n  petrel sql --reconcile"
    )]
    Sql(SqlArgs),
    /// Show the server's roles, lag and problems
    Status,
    /// Say what this machine can do, and what it cannot, to keep actions in; run it as the worker's user
    Doctor,
    /// Look at an upgrade to a newer release, and finish it
    #[command(subcommand)]
    Upgrade(UpgradeCommand),
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Configuration file
    #[arg(long, env = "PETREL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder for everything local [default: petrel-data]
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Address of the API [default: 127.0.0.1:7373]
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Use this Kafka instead of the local bus
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// Folder of packs to apply at the start
    #[arg(long, value_name = "DIR")]
    pub packs: Option<PathBuf>,
    /// Library of the embedded ClickHouse engine
    #[arg(long, env = "PETREL_CHDB_LIB", value_name = "FILE")]
    pub clickhouse_library: Option<PathBuf>,
    /// Do not show live what happens
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration file
    #[arg(long, env = "PETREL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Roles to run
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    pub roles: Vec<Role>,
    /// Address of the API, health and metrics
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Folder for everything local
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Timers and sensors
    Ingest,
    /// Deciding which rules match
    Rules,
    /// Owning executions
    Executor,
    /// Running actions
    Worker,
    /// Writing the audit trail to ClickHouse
    Audit,
    /// The HTTP API
    Api,
}

impl Role {
    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Rules => "rules",
            Self::Executor => "executor",
            Self::Worker => "worker",
            Self::Audit => "audit",
            Self::Api => "api",
        }
    }
}

#[derive(Debug, Args)]
pub struct ClickhouseArgs {
    /// Folder of the engine's data
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Loopback address of the HTTP interface
    #[arg(long, default_value = "127.0.0.1:8123")]
    pub listen: SocketAddr,
    /// The engine's library
    #[arg(long, env = "PETREL_CHDB_LIB", value_name = "FILE")]
    pub library: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Send one event, or a batch
    #[command(after_help = "Examples:\n  petrel event send demo.alert '{\"host\":\"db-1\",\"used_pct\":95.0}'\n  \
                            petrel event send demo.alert --batch - < events.ndjson")]
    Send {
        /// Trigger, as pack.name
        trigger: String,
        /// Payload as JSON, @FILE, or - for standard input
        #[arg(default_value = "-")]
        payload: String,
        /// Id of the event: the same id again gives no second execution
        #[arg(long)]
        id: Option<String>,
        /// The payload holds one event a line (NDJSON)
        #[arg(long)]
        batch: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Write one record, or one for each line
    #[command(after_help = "Example:\n  petrel topic send monitoring.alerts --key db-1 '{\"host\":\"db-1\"}'")]
    Send {
        /// Topic of the local bus
        topic: String,
        /// Value, @FILE, or - for standard input
        #[arg(default_value = "-")]
        value: String,
        /// Key of the record
        #[arg(long)]
        key: Option<String>,
        /// The value holds one record a line
        #[arg(long)]
        lines: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum PackCommand {
    /// Report everything that is wrong with packs, without a server
    Validate {
        /// Folders of packs, or of folders of packs
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Folder of what packs are given, a file for each: <pack>.yaml
        #[arg(long, value_name = "DIR")]
        config: Option<PathBuf>,
    },
    /// Run the tests of packs' rules, without a server
    Test {
        /// Folders of packs, or of folders of packs
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Folder of what packs are given, a file for each: <pack>.yaml
        #[arg(long, value_name = "DIR")]
        config: Option<PathBuf>,
    },
    /// Validate packs and put them into force, all at once
    #[command(
        after_help = "Examples:\n  petrel pack apply packs/disk\n  petrel pack apply packs --prune\n  petrel pack apply --revision 3f2a…"
    )]
    Apply {
        /// Folders of packs, or of folders of packs
        #[arg(required_unless_present = "revision")]
        paths: Vec<PathBuf>,
        /// Remove the packs that are not named
        #[arg(long)]
        prune: bool,
        /// Put an earlier revision into force again
        #[arg(long, conflicts_with_all = ["paths", "prune", "config"])]
        revision: Option<String>,
        /// Folder of what packs are given, a file for each: <pack>.yaml
        #[arg(long, value_name = "DIR")]
        config: Option<PathBuf>,
    },
    /// List the packs in force
    List,
}

#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// List the rules in force
    List,
    /// Run rules over newline-delimited JSON on all cores, without a server
    #[command(after_help = "Examples:\n  petrel rule match packs/disk --trigger disk.alert --events events.ndjson\n  \
                            petrel rule match packs/disk --trigger disk.alert --events - --counts < events.ndjson\n  \
                            petrel rule match --rules rules.json --events events.ndjson\n\
                            Standard output has one {\"line\",\"rule\"} per match, in order of lines and, within a line, of rules.\n\
                            The exit code is 1 if a line was no JSON, too large or refused by the trigger's schema.")]
    Match(MatchArgs),
    /// Show why a rule matches an event or does not: every sub-expression with its value, and the index
    #[command(after_help = "Examples:\n  petrel rule explain disk.clean --event event.json\n  \
                            petrel rule explain disk.clean --pack packs/disk --event - < event.json\n\
                            The exit code is 0 whether the rule matches or not.")]
    Explain(ExplainArgs),
    /// Find rules that never match, that another makes redundant, that overlap, or that no index can find
    Lint(LintArgs),
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Rule, as pack.name
    pub rule: String,
    /// Event, as one JSON document; - for standard input
    #[arg(long, value_name = "FILE")]
    pub event: PathBuf,
    /// Folder of a pack, or of folders of packs, instead of the server's rules
    #[arg(long = "pack", value_name = "PATH")]
    pub packs: Vec<PathBuf>,
    /// `kv` of the criteria, as a JSON object; - for standard input [default: empty, or the server's]
    #[arg(long, value_name = "FILE", requires = "packs")]
    pub kv: Option<PathBuf>,
    /// `now` of the criteria, in RFC 3339 [default: the time of the start]
    #[arg(long, value_name = "TIME", requires = "packs")]
    pub now: Option<jiff::Timestamp>,
}

#[derive(Debug, Args)]
pub struct LintArgs {
    /// Folders of packs, or of folders of packs
    #[arg(value_name = "PACK", required = true)]
    pub packs: Vec<PathBuf>,
    /// Exit code 1 if anything but an overlap is found
    #[arg(long)]
    pub deny_warnings: bool,
}

#[derive(Debug, Args)]
pub struct MatchArgs {
    /// Folders of packs, or of folders of packs
    #[arg(value_name = "PACK", required_unless_present = "rules", conflicts_with = "rules")]
    pub packs: Vec<PathBuf>,
    /// Trigger whose rules run, as pack.name; its schema is checked as for a bound topic
    #[arg(long, value_name = "REF", required_unless_present = "rules", conflicts_with = "rules")]
    pub trigger: Option<String>,
    /// Rules from a JSON list instead of a pack, [{"name": "…", "criteria": "…"}]; - for standard input
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Events, one JSON document a line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub events: PathBuf,
    /// One object per rule with its matches and errors, instead of one per match
    #[arg(long)]
    pub counts: bool,
    /// `kv` of the criteria, as a JSON object; - for standard input [default: empty]
    #[arg(long, value_name = "FILE")]
    pub kv: Option<PathBuf>,
    /// `now` of the criteria for every event, in RFC 3339 [default: the time of the start]
    #[arg(long, value_name = "TIME")]
    pub now: Option<jiff::Timestamp>,
}

#[derive(Debug, Subcommand)]
pub enum ActionCommand {
    /// Run an action once
    #[command(after_help = "Example:\n  petrel action run disk.clean host=db-1 older_than=7d --wait")]
    Run(ActionRun),
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show what a pack was given, as a file for git: of secrets it has the names
    Get {
        /// Name of the pack
        pack: String,
    },
    /// Give a pack other values, which publishes a revision
    #[command(
        after_help = "Examples:\n  petrel config set slack channel=#ops\n  petrel config set slack --unset channel\n  \
                            petrel config set slack --file production/slack.yaml"
    )]
    Set {
        /// Name of the pack
        pack: String,
        /// Values, name=value; one that is JSON keeps its type
        values: Vec<String>,
        /// Names that go, so that their defaults hold
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
        /// File of all values: what is not in it goes
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Compare what a pack was given with a file; ends with 1 if they differ
    Diff {
        /// Name of the pack
        pack: String,
        /// The file; - for standard input
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// List secrets: their names and versions
    List,
    /// Give a secret a value, which is read from standard input, a file or a prompt
    #[command(after_help = "Examples:\n  petrel secret set slack.token < token.txt\n  \
                            petrel secret set shared.deploy_key --file id_ed25519")]
    Set {
        /// Secret, as pack.name or shared.name
        name: String,
        /// File that holds the value [default: standard input, or a prompt]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Give a secret another value, or seal all of them under the current master key
    #[command(
        after_help = "Examples:\n  petrel secret rotate slack.token < token.txt\n  petrel secret rotate --master"
    )]
    Rotate {
        /// Secret, as pack.name or shared.name
        #[arg(required_unless_present = "master")]
        name: Option<String>,
        /// File that holds the value [default: standard input, or a prompt]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Seal every secret under the current master key; values stay as they are
        #[arg(long, conflicts_with_all = ["name", "file"])]
        master: bool,
    },
    /// Delete a secret: what needs it from now on fails
    Delete {
        /// Secret, as pack.name or shared.name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct SqlArgs {
    /// The query; - reads it from standard input
    #[arg(required_unless_present_any = ["trace", "reconcile"])]
    pub query: Option<String>,
    /// Everything that an event caused
    #[arg(long, value_name = "EVENT_ID", conflicts_with = "query")]
    pub trace: Option<String>,
    /// Everything that does not add up between events, requests and executions
    #[arg(long, conflicts_with_all = ["query", "trace"])]
    pub reconcile: bool,
    /// With --reconcile: what is younger, in seconds, may still be on its way and is left out
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub grace: u32,
    /// How rows are shown [default: table, or json with -o json]
    #[arg(long, value_enum)]
    pub format: Option<SqlFormat>,
}

/// How rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SqlFormat {
    /// For people
    Table,
    /// One object a row
    Json,
    /// Comma-separated, with a header
    Csv,
}
