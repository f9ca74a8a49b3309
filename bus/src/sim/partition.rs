//! One partition of a simulated log: records, the transactions that are open in it, and what is stable.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::{Output, OwnedRecord};

/// A record and what the log knows of it.
#[derive(Debug)]
struct Stored {
    record: Arc<OwnedRecord>,
    /// Which transaction wrote it; records of one that was aborted are removed.
    transaction: Option<u64>,
    /// From when on a compaction may remove this tombstone, in milliseconds since the epoch.
    delete_from_ms: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    begin: i64,
    end: i64,
    records: Vec<Stored>,
    /// First offset of every transaction that is open here.
    open: BTreeMap<u64, i64>,
}

impl Partition {
    /// First offset that is there.
    pub(super) fn begin(&self) -> i64 {
        self.begin
    }

    /// High watermark: the offset behind everything that was written.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Last stable offset: nothing below it can still change. The oldest open transaction holds it
    /// back, for all readers of committed records and whoever wrote behind it.
    pub(super) fn stable_end(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// Transactions that are open here, the oldest first.
    pub(super) fn open(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// Appends a record; its offset.
    pub(super) fn append(&mut self, output: Output, now_ms: i64, transaction: Option<u64>) -> i64 {
        let offset = self.end;
        let timestamp_ms = output.timestamp_ms.unwrap_or(now_ms);
        let record = Arc::new(OwnedRecord { offset, timestamp_ms, key: output.key, value: output.value });
        self.records.push(Stored { record, transaction, delete_from_ms: None });
        if let Some(transaction) = transaction {
            self.open.entry(transaction).or_insert(offset);
        }
        self.end += 1;
        offset
    }

    /// The marker that ends a transaction takes an offset, too.
    pub(super) fn mark(&mut self, transaction: Option<u64>, is_commit: bool) {
        self.end += 1;
        let Some((transaction, first)) = transaction.and_then(|t| Some((t, self.open.remove(&t)?))) else { return };
        if !is_commit {
            let from = self.index(first);
            let behind = self.records.split_off(from);
            self.records.extend(behind.into_iter().filter(|r| r.transaction != Some(transaction)));
        }
    }

    /// At most `max` stable records from an offset on.
    pub(super) fn read(&self, from: i64, max: usize) -> Vec<Arc<OwnedRecord>> {
        let stable = self.index(self.stable_end());
        let from = self.index(from).min(stable);
        self.records[from..stable].iter().take(max).map(|r| r.record.clone()).collect()
    }

    /// Offset of the first record that is not older, else the end.
    pub(super) fn offset_at(&self, time_ms: i64) -> i64 {
        self.records.iter().find(|r| r.record.timestamp_ms >= time_ms).map_or(self.end, |r| r.record.offset)
    }

    /// Removes what is before an offset, up to what is stable.
    pub(super) fn drop_before(&mut self, offset: i64) {
        self.begin = self.begin.max(offset.min(self.stable_end()));
        let gone = self.index(self.begin);
        self.records.drain(..gone);
    }

    /// Removes what comes before the first record that is not older.
    pub(super) fn drop_older(&mut self, time_ms: i64) {
        self.drop_before(self.offset_at(time_ms));
    }

    /// Removes all but the last stable record of every key, and tombstones that an earlier compaction
    /// met at least `delete_retention_ms` ago.
    pub(super) fn compact(&mut self, now_ms: i64, delete_retention_ms: i64) {
        let stable = self.index(self.stable_end());
        let open = self.records.split_off(stable);
        let last: BTreeMap<Option<Vec<u8>>, i64> =
            self.records.iter().map(|r| (r.record.key.clone(), r.record.offset)).collect();
        self.records.retain_mut(|stored| {
            let is_last = last.get(&stored.record.key) == Some(&stored.record.offset);
            if !is_last || stored.record.value.is_some() {
                return is_last;
            }
            *stored.delete_from_ms.get_or_insert(now_ms + delete_retention_ms) > now_ms
        });
        self.records.extend(open);
    }

    fn index(&self, offset: i64) -> usize {
        self.records.partition_point(|r| r.record.offset < offset)
    }
}
