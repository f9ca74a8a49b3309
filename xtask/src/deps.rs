//! What is fetched into target/dev: Apache Kafka by Maven; the ClickHouse engine library and the CEL
//! specification's tests and a server of mail by npm; for one benchmark AWS Event Ruler by Maven. OpenSSH's server and
//! Docker's daemon are installed by the system's packages.
//!
//! All are pinned by files in deploy/dev. A stamp beside what was fetched holds a copy of those
//! files, and is written last: equal means that there is nothing to do, and a fetch that was
//! interrupted is begun again.

mod cel_spec;
mod clickhouse;
mod docker;
mod kafka;
mod npm;
mod openssh;
mod ruler;
mod smtp;

use anyhow::Result;

pub(crate) use cel_spec::fetch_cel_spec;
pub(crate) use clickhouse::fetch_engine;
pub(crate) use docker::fetch_docker;
pub(crate) use kafka::fetch_kafka;
pub(crate) use openssh::fetch_openssh;
pub(crate) use ruler::fetch_ruler;
pub(crate) use smtp::fetch_smtp;

/// Without a flag: everything.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only Apache Kafka's jars
    #[arg(long)]
    kafka: bool,
    /// Only the ClickHouse engine library
    #[arg(long)]
    clickhouse: bool,
    /// Only the CEL specification's tests
    #[arg(long)]
    cel_spec: bool,
    /// Only OpenSSH's server
    #[arg(long)]
    openssh: bool,
    /// Only the server of mail
    #[arg(long)]
    smtp: bool,
    /// Only Docker's daemon
    #[arg(long)]
    docker: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { kafka, clickhouse, cel_spec, openssh, smtp, docker } = *options;
    let everything = !(kafka || clickhouse || cel_spec || openssh || smtp || docker);
    if everything || options.kafka {
        fetch_kafka()?;
    }
    if everything || options.clickhouse {
        fetch_engine()?;
    }
    if everything || options.cel_spec {
        fetch_cel_spec()?;
    }
    if everything || options.openssh {
        fetch_openssh()?;
    }
    if everything || options.smtp {
        fetch_smtp()?;
    }
    if everything || options.docker {
        fetch_docker()?;
    }
    Ok(())
}
