//! `petrel up`, `petrel serve` and `petrel clickhouse`.

use std::collections::BTreeSet;
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::args::{ClickhouseArgs, Role, ServeArgs, UpArgs};
use super::{EXIT_FAILED, EXIT_USAGE, Failure};
use crate::config::{self, Config};
use crate::environment::conceal_secrets;
use crate::process::{self, Setup};
use crate::{engine, telemetry};

/// Log file of `petrel up`, whose terminal shows events instead.
const UP_LOG: &str = "petrel.log";

pub fn up(args: UpArgs) -> Result<(), Failure> {
    let mut flags: Vec<(&str, Value)> = Vec::new();
    let text = |path: &Path| json!(path.display().to_string());
    flags.extend(args.data_dir.as_deref().map(|d| ("data_dir", text(d))));
    flags.extend(args.listen.map(|l| ("listen", json!(l.to_string()))));
    flags.extend(args.kafka.map(|k| ("kafka.bootstrap", json!(k))));
    flags.extend(args.clickhouse_library.as_deref().map(|l| ("clickhouse.library", text(l))));
    let mut config = load(args.config.as_deref(), &flags)?;
    std::fs::create_dir_all(&config.data_dir).map_err(|e| {
        Failure::new(EXIT_USAGE, format!("cannot make the data directory {}: {e}", config.data_dir.display()))
    })?;
    let live = !args.quiet;
    if live && config.log.file.is_none() {
        config.log.file = Some(config.data_dir.join(UP_LOG));
    }
    let roles = Role::value_variants().iter().copied().collect();
    run(Setup { config, roles, live, packs: args.packs })
}

pub fn serve(args: ServeArgs) -> Result<(), Failure> {
    let mut flags: Vec<(&str, Value)> = Vec::new();
    flags.extend(args.data_dir.map(|d| ("data_dir", json!(d.display().to_string()))));
    flags.extend(args.listen.map(|l| ("listen", json!(l.to_string()))));
    let config = load(args.config.as_deref(), &flags)?;
    if config.kafka.bootstrap.is_none() {
        let message =
            "`petrel serve` runs roles of a cluster and needs `kafka.bootstrap`; on one machine use `petrel up`";
        return Err(Failure::new(EXIT_USAGE, message));
    }
    let roles: BTreeSet<Role> = args.roles.into_iter().collect();
    if config.clickhouse.url.is_none() && (roles.contains(&Role::Audit) || roles.contains(&Role::Api)) {
        let message =
            "the roles audit and api need `clickhouse.url`; `petrel clickhouse` runs the engine on one machine";
        return Err(Failure::new(EXIT_USAGE, message));
    }
    run(Setup { config, roles, live: false, packs: None })
}

pub fn clickhouse(args: ClickhouseArgs) -> Result<(), Failure> {
    telemetry::init(&Config::default().log)?;
    let library = engine::library(args.library.as_deref(), &args.data_dir)?;
    engine::serve(library, args.data_dir, args.listen).map_err(Failure::from)
}

fn load(file: Option<&Path>, flags: &[(&str, Value)]) -> Result<Config, Failure> {
    let config = config::load(file, std::env::vars(), flags).map_err(|e| Failure::new(EXIT_USAGE, e.to_string()));
    conceal_secrets();
    config
}

fn run(setup: Setup) -> Result<(), Failure> {
    process::run(setup).map_err(|e| Failure::new(EXIT_FAILED, format!("{e:#}")))
}
