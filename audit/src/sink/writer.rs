//! Batches into ClickHouse, blocking: the sink has a thread of its own.

use clickhouse::{Client, RowOwned, RowWrite};
use tokio::runtime::Handle;

use crate::address::{Address, Endpoint};
use crate::client::{Connection, SqlError, timed};
use crate::rows::{Rows, Table};
use crate::sink::SinkOptions;
use crate::tables::{KeepDays, TablesError, keep, migrate};

/// What the sink needs of a database.
pub(crate) trait Writer {
    /// Makes sure that the tables are there and keep rows for as long as they shall.
    fn prepare(&mut self) -> Result<(), TablesError>;

    /// Writes a batch's rows of one table as one insert under a token.
    fn insert(&mut self, table: Table, rows: &Rows, token: &str) -> Result<(), SqlError>;

    /// Counts what the table has of a range.
    fn count(&mut self, table: Table, range: &Range<'_>) -> Result<Counted, SqlError>;
}

/// A batch's range, as the tables know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub first: i64,
    pub last: i64,
    /// First and last timestamp: they spare ClickHouse the parts that cannot hold any of it.
    pub times: (i64, i64),
}

/// Rows of a range in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// All rows, those written twice counted twice.
    pub rows: u64,
    /// Different rows.
    pub distinct: u64,
}

/// The real one.
pub(crate) struct ClickHouseWriter {
    endpoint: Endpoint,
    database: String,
    keep: KeepDays,
    own_ttl: Vec<Table>,
    runtime: Handle,
    request_ms: u64,
    /// Keeps its connections and what it knows of the tables; for the address it was made for.
    open: Option<(Address, Connection)>,
}

impl ClickHouseWriter {
    pub(crate) fn new(endpoint: Endpoint, options: &SinkOptions, runtime: Handle) -> Self {
        let SinkOptions { database, keep, own_ttl, request_ms, .. } = options.clone();
        Self { endpoint, database, keep, own_ttl, runtime, request_ms, open: None }
    }

    fn connection(&mut self) -> Result<Connection, SqlError> {
        let now = self.endpoint.now();
        if let (Some((address, connection)), Some(now)) = (&self.open, &now)
            && address == now
        {
            return Ok(connection.clone());
        }
        let connection = Connection::open(&self.endpoint, Some(&self.database))?;
        self.open = now.map(|address| (address, connection.clone()));
        Ok(connection)
    }

    fn forget_on_error<T>(&mut self, result: Result<T, SqlError>) -> Result<T, SqlError> {
        if result.is_err() {
            // What it knows of the tables may be what is wrong.
            self.open = None;
        }
        result
    }
}

impl Writer for ClickHouseWriter {
    fn prepare(&mut self) -> Result<(), TablesError> {
        self.runtime.block_on(async {
            migrate(&self.endpoint, &self.database).await?;
            // Rows that stay for longer than they shall are no reason to write none.
            if let Err(error) = keep(&self.endpoint, &self.database, &self.keep, &self.own_ttl).await {
                tracing::error!(%error, "how long rows are kept could not be set; it is tried again at the next start");
            }
            Ok(())
        })
    }

    fn insert(&mut self, table: Table, rows: &Rows, token: &str) -> Result<(), SqlError> {
        let connection = self.connection()?;
        let client = connection.client().clone().with_setting("insert_deduplication_token", token);
        let insert = insert(&client, table, rows);
        let result = self.runtime.block_on(timed(self.request_ms, insert));
        self.forget_on_error(result)
    }

    fn count(&mut self, table: Table, range: &Range<'_>) -> Result<Counted, SqlError> {
        let connection = self.connection()?;
        let sql = format!(
            "SELECT count(), uniqExact(log_offset, log_row) FROM {} \
             WHERE recorded_at BETWEEN fromUnixTimestamp64Milli({}) AND fromUnixTimestamp64Milli({}) \
             AND log_topic = '{}' AND log_partition = {} AND log_offset BETWEEN {} AND {}",
            table.name(),
            range.times.0,
            range.times.1,
            range.topic,
            range.partition,
            range.first,
            range.last,
        );
        let result = self.runtime.block_on(connection.fetch_one::<(u64, u64)>(&sql, self.request_ms));
        self.forget_on_error(result).map(|(rows, distinct)| Counted { rows, distinct })
    }
}

async fn insert(client: &Client, table: Table, rows: &Rows) -> Result<(), clickhouse::error::Error> {
    match table {
        Table::Events => insert_rows(client, table, &rows.events).await,
        Table::RuleMatches => insert_rows(client, table, &rows.rule_matches).await,
        Table::CriteriaErrors => insert_rows(client, table, &rows.criteria_errors).await,
        Table::Executions => insert_rows(client, table, &rows.executions).await,
        Table::ExecutionOutput => insert_rows(client, table, &rows.execution_output).await,
        Table::CatalogRevisions => insert_rows(client, table, &rows.catalog_revisions).await,
        Table::SecretChanges => insert_rows(client, table, &rows.secret_changes).await,
        Table::GateDecisions => insert_rows(client, table, &rows.gate_decisions).await,
        Table::WorkflowTasks => insert_rows(client, table, &rows.workflow_tasks).await,
        Table::DeadLetters => insert_rows(client, table, &rows.dead_letters).await,
    }
}

/// The rows are all there, so that the upload never idles; after an error the insert is dropped.
async fn insert_rows<T>(client: &Client, table: Table, rows: &[T]) -> Result<(), clickhouse::error::Error>
where
    T: RowOwned + RowWrite,
{
    let mut insert = client.insert::<T>(table.name()).await?;
    for row in rows {
        insert.write(row).await?;
    }
    insert.end().await
}
