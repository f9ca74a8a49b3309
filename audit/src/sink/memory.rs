//! The sink over tables in memory, step by step, for simulations: they behave as ClickHouse does, which
//! recognises an insert by its token.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_bus::{Clock, Session};

use super::service::{SinkOptions, SinkTopics};
use super::stats::SinkStats;
use super::step::Sink;
use super::writer::{Counted, Range, Writer};
use crate::client::SqlError;
use crate::rows::{Rows, Table};
use crate::tables::TablesError;

/// A row, by where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryRow {
    /// Its table.
    pub table: &'static str,
    /// Topic of the record.
    pub topic: String,
    /// Partition of the record.
    pub partition: u32,
    /// Offset of the record.
    pub offset: i64,
    /// Number of the row among those of the record.
    pub row: u16,
}

#[derive(Debug, Default)]
struct Inner {
    rows: Vec<MemoryRow>,
    tokens: BTreeSet<String>,
}

/// Tables in memory; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryTables(Arc<Mutex<Inner>>);

impl MemoryTables {
    /// Every row, in the order in which they were written.
    pub fn rows(&self) -> Vec<MemoryRow> {
        self.lock().rows.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer for MemoryTables {
    fn prepare(&mut self) -> Result<(), TablesError> {
        Ok(())
    }

    fn insert(&mut self, table: Table, rows: &Rows, token: &str) -> Result<(), SqlError> {
        let mut inner = self.lock();
        if inner.tokens.insert(token.to_owned()) {
            let row = |(topic, partition, offset, row): (&str, u32, i64, u16)| MemoryRow {
                table: table.name(),
                topic: topic.to_owned(),
                partition,
                offset,
                row,
            };
            inner.rows.extend(rows.sources(table).into_iter().map(row));
        }
        Ok(())
    }

    fn count(&mut self, table: Table, range: &Range<'_>) -> Result<Counted, SqlError> {
        let inner = self.lock();
        // All rows are looked at: by what costs least first.
        let is_of_range = |r: &&MemoryRow| {
            (range.first..=range.last).contains(&r.offset)
                && r.partition == range.partition
                && r.table == table.name()
                && r.topic == range.topic
        };
        let rows: Vec<&MemoryRow> = inner.rows.iter().filter(is_of_range).collect();
        let distinct = rows.iter().collect::<BTreeSet<_>>().len() as u64;
        Ok(Counted { rows: rows.len() as u64, distinct })
    }
}

/// A sink over tables in memory.
pub struct MemorySink(Sink<Box<dyn Session>, Box<MemoryTables>>);

impl MemorySink {
    /// Subscribes.
    ///
    /// # Errors
    /// Why the session is of no use.
    pub fn new(
        session: Box<dyn Session>,
        tables: MemoryTables,
        topics: &SinkTopics,
        options: &SinkOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let stats = Arc::new(SinkStats::default());
        let sink = Sink::new(session, Box::new(tables), topics, options, clock, stats);
        sink.map(Self).map_err(|e| e.to_string())
    }

    /// Fetches once and writes what is due; asks at every point whether to crash there.
    ///
    /// # Errors
    /// Why the session is of no further use, or that it crashed.
    pub fn step(&mut self, crash: &mut dyn FnMut() -> bool) -> Result<(), String> {
        self.0.step(&mut |_| crash()).map_err(|e| e.to_string())
    }

    /// Writes what is there, and leaves.
    ///
    /// # Errors
    /// Why it could not.
    pub fn finish(mut self) -> Result<(), String> {
        self.0.finish(&mut |_| false).map_err(|e| e.to_string())
    }
}
