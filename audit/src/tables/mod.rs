//! The tables, as numbered migrations that are applied in order and never changed once shipped.
//!
//! Every statement of a migration may run twice: a process may die between a statement and the note
//! that the migration is done, and several processes may migrate at once.

mod keep;

use crate::address::Endpoint;
use crate::client::{Connection, SqlError};

pub use keep::{KeepDays, keep};

/// Name and statements of every migration, oldest first. A line is added, never changed or removed.
const MIGRATIONS: &[(&str, &str)] = &[("audit_trail", include_str!("migrations/0001_audit_trail.sql"))];

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
    (version UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) \
    ENGINE = MergeTree ORDER BY version";
/// Longest time for one statement, in milliseconds.
const STATEMENT_MS: u64 = 60_000;

/// Why the tables are not as this release needs them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TablesError {
    /// A newer release has migrated the database.
    #[error("the tables have schema version {found}, this release knows {known} at most; run a newer one")]
    Newer {
        /// Version of the tables.
        found: u32,
        /// Newest version that this release knows.
        known: u32,
    },
    /// A migration failed.
    #[error("migration {version} ({name}) failed: {source}")]
    Migration {
        /// Its version.
        version: u32,
        /// Its name.
        name: &'static str,
        /// Why.
        source: SqlError,
    },
    /// ClickHouse could not be asked.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Version that was found, 0 for an empty database.
    pub from: u32,
    /// Version that is there now.
    pub to: u32,
}

/// Creates the database and brings its tables to this release's version.
///
/// # Errors
/// See [`TablesError`]. What was applied stays applied; the same call may be made again.
pub async fn migrate(endpoint: &Endpoint, database: &str) -> Result<Migrated, TablesError> {
    migrate_to(endpoint, database, MIGRATIONS).await
}

async fn migrate_to(
    endpoint: &Endpoint,
    database: &str,
    migrations: &[(&'static str, &str)],
) -> Result<Migrated, TablesError> {
    let server = Connection::open(endpoint, None)?;
    server.execute(&format!("CREATE DATABASE IF NOT EXISTS `{}`", database.replace('`', "")), STATEMENT_MS).await?;
    let connection = Connection::open(endpoint, Some(database))?;
    connection.execute(HISTORY, STATEMENT_MS).await?;
    let found: u32 = connection.fetch_one("SELECT max(version) FROM schema_migrations", STATEMENT_MS).await?;
    let known = migrations.len() as u32;
    if found > known {
        return Err(TablesError::Newer { found, known });
    }
    for (version, (name, text)) in (1..).zip(migrations).skip(found as usize) {
        let failed = |source| TablesError::Migration { version, name, source };
        for statement in statements(text) {
            connection.execute(statement, STATEMENT_MS).await.map_err(failed)?;
        }
        let note = format!("INSERT INTO schema_migrations (version, name) VALUES ({version}, '{name}')");
        connection.execute(&note, STATEMENT_MS).await.map_err(failed)?;
        tracing::info!(version, name, "tables migrated");
    }
    Ok(Migrated { from: found, to: known })
}

/// The statements of a migration: each ends with a semicolon at the end of a line.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    let blank = |s: &str| s.lines().all(|line| line.trim().is_empty() || line.starts_with("--"));
    text.split(";\n").map(str::trim).filter(move |s| !blank(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_can_be_written_twice() {
        for (name, text) in MIGRATIONS {
            for statement in statements(text) {
                let create = statement.lines().find(|l| l.starts_with("CREATE")).unwrap_or_default();
                assert!(create.contains("IF NOT EXISTS"), "{name}: {create}");
                if create.starts_with("CREATE TABLE") {
                    for needed in [
                        "ENGINE = ReplacingMergeTree\n",
                        "PARTITION BY toYYYYMM(recorded_at)\n",
                        "log_topic, log_partition, log_offset, log_row)\n",
                        "non_replicated_deduplication_window",
                    ] {
                        assert!(statement.contains(needed), "{name}: {create} lacks {needed:?}");
                    }
                }
            }
        }
        assert_eq!(statements("-- a;\nCREATE x;\n\n-- b\n").count(), 1);
    }
}
