//! What is fetched into target/dev: Apache Kafka by Maven; the ClickHouse engine library and the CEL
//! specification's tests, a server of mail and signatures of S3 by npm; for one benchmark AWS Event Ruler by Maven.
//!
//! All are pinned by files in deploy/dev. A stamp beside what was fetched holds a copy of those
//! files, and is written last: equal means that there is nothing to do, and a fetch that was
//! interrupted is begun again.

mod cel_spec;
mod clickhouse;
mod kafka;
mod npm;
mod ruler;
mod s3;
mod smtp;

use anyhow::Result;

pub(crate) use cel_spec::fetch_cel_spec;
pub(crate) use clickhouse::fetch_engine;
pub(crate) use kafka::fetch_kafka;
pub(crate) use ruler::fetch_ruler;
pub(crate) use s3::fetch_s3;
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
    /// Only the server of mail
    #[arg(long)]
    smtp: bool,
    /// Only what an imitation of S3 needs
    #[arg(long)]
    s3: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let everything = !options.kafka && !options.clickhouse && !options.cel_spec && !options.smtp && !options.s3;
    if everything || options.kafka {
        fetch_kafka()?;
    }
    if everything || options.clickhouse {
        fetch_engine()?;
    }
    if everything || options.cel_spec {
        fetch_cel_spec()?;
    }
    if everything || options.smtp {
        fetch_smtp()?;
    }
    if everything || options.s3 {
        fetch_s3()?;
    }
    Ok(())
}
