//! The command line: what can be typed, and which file carries it out.

mod action;
pub(crate) mod args;
mod config;
mod doctor;
mod event;
mod execution;
mod explain;
mod gate;
mod http;
mod input;
mod inquiry;
mod lint;
mod matching;
pub(crate) mod output;
mod pack;
mod rule;
mod run;
mod secret;
mod sql;
mod switch;
mod tail;
mod terminal;
mod upgrade;
mod worker;
mod workflow;

use crate::memory::keep_little;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, DemoCommand};

/// Everything went well.
pub const EXIT_OK: u8 = 0;
/// The command was understood and its subject failed: a pack is invalid, a test or an action failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const EXIT_USAGE: u8 = 2;
/// The server cannot be reached, or is not ready.
pub const EXIT_UNAVAILABLE: u8 = 3;
/// The server refused the request.
pub const EXIT_REFUSED: u8 = 4;

/// Why a command ends with another exit code than 0.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// For people, on standard error; empty when everything was said already.
    pub message: String,
    /// The stable code of the server's refusal, if it is one.
    pub refusal: Option<String>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), refusal: None }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(EXIT_FAILED, format!("{error:#}"))
    }
}

/// Parses the command line and carries it out.
pub fn main() -> ExitCode {
    // The supervisor of actions forks, and so has one thread: nothing else may be set up before it.
    if std::env::args_os().nth(1).is_some_and(|command| command == "supervise") {
        return petrel_executor::supervise::main();
    }
    keep_little();
    become_the_release();
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(failure) => {
            if !failure.message.is_empty() {
                output::error(&failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Set in the environment, a build with debug assertions is one of the next release: its records have one version
/// more (`petrel_schemas`, `next`). Tests of upgrades set it.
#[cfg(debug_assertions)]
const NEXT_RELEASE: &str = "PETREL_TEST_NEXT_RELEASE";

/// Before anything is read or written.
#[cfg(debug_assertions)]
fn become_the_release() {
    if is_next_release() {
        petrel_schemas::be_the_next_release();
    }
}

#[cfg(not(debug_assertions))]
fn become_the_release() {}

/// Whether this process pretends to be of the next release.
#[cfg(debug_assertions)]
pub(crate) fn is_next_release() -> bool {
    std::env::var_os(NEXT_RELEASE).is_some()
}

/// Whether this process pretends to be of the next release: no distributed build can.
#[cfg(not(debug_assertions))]
pub(crate) fn is_next_release() -> bool {
    false
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let client = || http::Client::new(&cli.connection);
    match cli.command {
        Command::Up(args) => run::up(args),
        Command::Demo(DemoCommand::Troubleshooting(args)) => crate::demo::troubleshooting(args),
        Command::Demo(DemoCommand::Deploy(args)) => crate::demo::deployment(args),
        Command::Demo(DemoCommand::Remediation(args)) => crate::demo::remediation(args),
        Command::Serve(args) => run::serve(args),
        Command::Clickhouse(args) => run::clickhouse(args),
        Command::Event(command) => event::event(command, &client()?),
        Command::Topic(command) => event::topic(command, &client()?),
        Command::Pack(command) => pack::run(command, &client, cli.connection.output),
        Command::Rule(command) => rule::run(command, &client, cli.connection.output),
        Command::Action(command) => action::run(command, &client()?, cli.connection.output),
        Command::Workflow(command) => workflow::run(command, &client, cli.connection.output),
        Command::Inquiry(command) => inquiry::run(command, &client()?, cli.connection.output),
        Command::Execution(command) => execution::run(command, &client()?, cli.connection.output),
        Command::Worker(command) => worker::run(command, &client()?, cli.connection.output),
        Command::Gate(command) => gate::run(command, &client()?, cli.connection.output),
        Command::Switch(command) => switch::run(command, &client()?, cli.connection.output),
        Command::Pause { reason } => action::dispatch(&client()?, true, reason),
        Command::Resume => action::dispatch(&client()?, false, None),
        Command::Config(command) => config::run(command, &client()?, cli.connection.output),
        Command::Secret(command) => secret::run(command, &client()?, cli.connection.output),
        Command::Sql(args) => sql::run(args, &client()?, cli.connection.output),
        Command::Status => rule::status(&client()?, cli.connection.output),
        Command::Doctor => doctor::run(cli.connection.output),
        Command::Upgrade(command) => upgrade::run(command, &client()?, cli.connection.output),
    }
}
