//! How long rows stay: a TTL for each table, set where it differs from what is configured.

use serde::{Deserialize, Serialize};

use super::STATEMENT_MS;
use crate::address::Endpoint;
use crate::client::{Connection, SqlError};
use crate::rows::Table;

/// Existing parts have their ages noted, and are not written anew for a new TTL.
const PARTS_ONLY: &str = "MODIFY SETTING ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1";

/// How long each table keeps a row after its record was written, in days; 0 is for ever.
///
/// ClickHouse drops whole parts only, which costs nothing: a part goes once its youngest row is that old, so
/// that rows stay up to a month longer (tables are partitioned by month).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepDays {
    /// `events`, with the whole payloads: the largest table.
    pub events: u32,
    /// `rule_matches`.
    pub rule_matches: u32,
    /// `criteria_errors`.
    pub criteria_errors: u32,
    /// `executions`.
    pub executions: u32,
    /// `execution_output`.
    pub execution_output: u32,
    /// `catalog_revisions`: small, and what every other row names.
    pub catalog_revisions: u32,
    /// `secret_changes`: few, and wanted years later.
    pub secret_changes: u32,
    /// `gate_decisions`.
    pub gate_decisions: u32,
    /// `workflow_tasks`.
    pub workflow_tasks: u32,
    /// `dead_letters`.
    pub dead_letters: u32,
}

impl Default for KeepDays {
    fn default() -> Self {
        Self {
            events: 90,
            rule_matches: 365,
            criteria_errors: 90,
            executions: 365,
            execution_output: 90,
            catalog_revisions: 0,
            secret_changes: 0,
            gate_decisions: 90,
            workflow_tasks: 90,
            dead_letters: 365,
        }
    }
}

impl KeepDays {
    /// Everything for ever.
    pub const FOREVER: Self = Self {
        events: 0,
        rule_matches: 0,
        criteria_errors: 0,
        executions: 0,
        execution_output: 0,
        catalog_revisions: 0,
        secret_changes: 0,
        gate_decisions: 0,
        workflow_tasks: 0,
        dead_letters: 0,
    };

    /// What one table keeps, in days; 0 is for ever.
    pub const fn of(&self, table: Table) -> u32 {
        match table {
            Table::Events => self.events,
            Table::RuleMatches => self.rule_matches,
            Table::CriteriaErrors => self.criteria_errors,
            Table::Executions => self.executions,
            Table::ExecutionOutput => self.execution_output,
            Table::CatalogRevisions => self.catalog_revisions,
            Table::SecretChanges => self.secret_changes,
            Table::GateDecisions => self.gate_decisions,
            Table::WorkflowTasks => self.workflow_tasks,
            Table::DeadLetters => self.dead_letters,
        }
    }

    /// How many days back all tables that [`reconcile`](crate::SqlClient::reconcile) compares still have
    /// everything; 0 is all of it.
    pub fn comparable(&self) -> u32 {
        let compared = [self.events, self.rule_matches, self.executions, self.gate_decisions, self.dead_letters];
        compared.into_iter().filter(|days| *days > 0).min().unwrap_or(0)
    }
}

/// Sets the TTL of every table that has another one, but for those in `own`, whose TTL somebody else sets. A table
/// that is as it shall be is not touched, so that each process may do this at each start.
///
/// # Errors
/// If ClickHouse cannot be asked or refuses; the same call may be made again.
pub async fn keep(endpoint: &Endpoint, database: &str, days: &KeepDays, own: &[Table]) -> Result<(), SqlError> {
    let connection = Connection::open(endpoint, Some(database))?;
    for table in Table::ALL.iter().filter(|table| !own.contains(table)) {
        let (name, days) = (table.name(), days.of(*table));
        let asked = format!(
            "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = '{name}'"
        );
        let made: String = connection.fetch_one(&asked, STATEMENT_MS).await?;
        let wanted = format!("TTL toDateTime(recorded_at) + toIntervalDay({days}) ");
        let has_any = made.contains(" TTL ");
        let changes = match days {
            0 if has_any => vec!["REMOVE TTL".to_owned()],
            0 => continue,
            _ if made.contains(&wanted) => continue,
            _ => vec![PARTS_ONLY.to_owned(), format!("MODIFY {}", wanted.trim_end())],
        };
        for change in changes {
            connection.execute(&format!("ALTER TABLE {name} {change}"), STATEMENT_MS).await?;
        }
        tracing::info!(table = name, days, "how long rows are kept was changed");
    }
    Ok(())
}
