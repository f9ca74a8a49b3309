//! The store: what is where in fjall, and how it is read back.

mod chunk;
mod kept;
pub(crate) mod layout;
mod mark;

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use petrel_bus::{BusError, TopicPartition, TopicSpec};

pub(crate) use chunk::{Chunk, ChunkWriter, record_bytes, record_bytes_max};
use kept::Kept;
pub(crate) use layout::Bounds;
use layout::{CLUSTER_KEY, COMMITS_KEY, FORMAT, FORMAT_KEY, Slot, TOPIC_PREFIX, TOPICS_KEY};
use mark::Mark;

/// Folder of the store inside the log's directory.
const FOLDER: &str = "store";
/// Most bytes of journals: what an opening may have to replay.
const JOURNAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most bytes of keys and values that a keyspace keeps in memory before they go to disk, while up to as much is on its
/// way there: of records, of the last record of each key, and of what is written with every batch. In memory small
/// entries take several times their size.
const LOG_MEMORY_BYTES: u64 = 16 * 1024 * 1024;
const KEYS_MEMORY_BYTES: u64 = 4 * 1024 * 1024;
const SMALL_MEMORY_BYTES: u64 = 1024 * 1024;
/// Most bytes that one read of a partition returns, but always one chunk.
const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a consumer group committed for a partition.
pub(crate) type Committed = (i64, Option<String>);

/// Everything that is kept in memory, as the store has it.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) cluster_id: String,
    /// Topic number, settings, what each partition holds.
    pub(crate) topics: Vec<(u32, TopicSpec, Vec<Bounds>)>,
    /// The highest number that a topic was ever given.
    pub(crate) topic_max: u32,
    pub(crate) offsets: Vec<(Arc<str>, TopicPartition, Committed)>,
}

/// An open store.
pub(crate) struct Store {
    db: Database,
    meta: Keyspace,
    log: Keyspace,
    keys: Keyspace,
    bounds: Keyspace,
    offsets: Keyspace,
    mark: Mark,
    #[cfg(test)]
    pub(crate) faults: crate::tests::Faults,
}

impl Store {
    /// Opens the store of a directory, or makes one.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Loaded), BusError> {
        let kept = Kept::take(dir, &dir.join(FOLDER));
        match Self::open_checked(dir) {
            Ok(opened) => {
                kept.forget();
                Ok(opened)
            }
            Err(BusError::Storage(why)) if kept.dir().is_some() => Err(BusError::Storage(format!(
                "{why}. Its journals as they were before it was opened are kept in {}",
                kept.dir().unwrap_or(dir).display()
            ))),
            Err(error) => Err(error),
        }
    }

    fn open_checked(dir: &Path) -> Result<(Self, Loaded), BusError> {
        let failed = |why: String| damaged(dir, &why);
        let mark = Mark::open(dir).map_err(|e| failed(e.to_string()))?;
        if mark.commits() > 0 && !dir.join(FOLDER).exists() {
            return Err(failed("everything that was written is gone".into()));
        }
        // fjall may panic on bytes that it did not write.
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| Self::open_store(&dir.join(FOLDER), mark)));
        let mut store = match opened {
            Ok(opened) => opened.map_err(|e| failed(e.to_string()))?,
            Err(_) => return Err(failed("its files cannot be read".into())),
        };
        let loaded = std::panic::catch_unwind(AssertUnwindSafe(|| store.load(dir)));
        let loaded = loaded.unwrap_or_else(|_| Err(failed("its files cannot be read".into())))?;
        Ok((store, loaded))
    }

    fn open_store(path: &PathBuf, mark: Mark) -> fjall::Result<Self> {
        let db = Database::builder(path).worker_threads(1).max_journaling_size(JOURNAL_BYTES_MAX).open()?;
        let keyspace =
            |name: &str, memory: u64| db.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(memory));
        let (log, keys) = (keyspace("log", LOG_MEMORY_BYTES)?, keyspace("keys", KEYS_MEMORY_BYTES)?);
        let small = |name: &str| keyspace(name, SMALL_MEMORY_BYTES);
        let (meta, bounds, offsets) = (small("meta")?, small("bounds")?, small("offsets")?);
        Ok(Self {
            db,
            meta,
            log,
            keys,
            bounds,
            offsets,
            mark,
            #[cfg(test)]
            faults: crate::tests::Faults::default(),
        })
    }

    fn load(&mut self, dir: &Path) -> Result<Loaded, BusError> {
        let failed = |e: fjall::Error| damaged(dir, &e.to_string());
        let unreadable = |what: &str| damaged(dir, &format!("an entry of {what} cannot be read"));
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        match self.meta.get(FORMAT_KEY).map_err(failed)? {
            None if self.mark.commits() > 0 => return Err(damaged(dir, "everything that was written is gone")),
            None => self.create().map_err(failed)?,
            Some(format) if *format == FORMAT.to_be_bytes() => {}
            Some(format) => {
                let found = format.first_chunk::<4>().map_or(0, |f| u32::from_be_bytes(*f));
                let dir = dir.display();
                return Err(BusError::Storage(format!(
                    "the local log in {dir} has format {found}, this version of Petrel writes {FORMAT}: run the version that wrote it, or move the directory away to begin with an empty log"
                )));
            }
        }
        let commits = self.meta.get(COMMITS_KEY).map_err(failed)?.and_then(|c| number(&c)).unwrap_or(0);
        if commits < self.mark.commits() {
            let lost = self.mark.commits() - commits;
            return Err(damaged(dir, &format!("the last {lost} batches that were written are gone")));
        }
        self.mark.set_commits(commits);
        let cluster = self.meta.get(CLUSTER_KEY).map_err(failed)?.unwrap_or_default();
        let mut loaded = Loaded { cluster_id: String::from_utf8_lossy(&cluster).into_owned(), ..Loaded::default() };
        for entry in self.meta.prefix(TOPIC_PREFIX) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            let (id, spec) = layout::parse_topic(&key, &value).ok_or_else(|| unreadable("the topics"))?;
            let slots = (0..spec.partitions).map(|partition| Slot { topic: id, partition });
            let bounds = slots.map(|slot| self.bounds_of(slot)).collect::<fjall::Result<_>>().map_err(failed)?;
            loaded.topics.push((id, spec, bounds));
        }
        if let Some(max) = self.meta.get(TOPICS_KEY).map_err(failed)? {
            let max = max.first_chunk::<4>().map(|max| u32::from_be_bytes(*max));
            loaded.topic_max = max.ok_or_else(|| unreadable("the topics"))?;
        }
        for entry in self.offsets.iter() {
            let (key, value) = entry.into_inner().map_err(failed)?;
            let parsed = layout::parse_offsets_key(&key).zip(layout::parse_offsets_value(&value));
            let ((group, at), committed) = parsed.ok_or_else(|| unreadable("the offsets"))?;
            loaded.offsets.push((group, at, committed));
        }
        Ok(loaded)
    }

    fn create(&self) -> fjall::Result<()> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.meta, FORMAT_KEY, FORMAT.to_be_bytes());
        batch.insert(&self.meta, CLUSTER_KEY, format!("local-{}", uuid::Uuid::now_v7()));
        batch.commit()
    }

    fn bounds_of(&self, slot: Slot) -> fjall::Result<Bounds> {
        let written = self.bounds.get(layout::slot_key(slot))?;
        Ok(written.and_then(|v| layout::parse_bounds(&v)).unwrap_or_default())
    }

    /// Chunks whose last offset is in `from..end`, in order, until `each` says that it is enough.
    pub(crate) fn scan(
        &self,
        slot: Slot,
        from: i64,
        end: i64,
        mut each: impl FnMut(i64, Chunk) -> ControlFlow<()>,
    ) -> Result<(), String> {
        let mut unreadable = None;
        self.scan_raw(slot, from, end, |last, bytes| match Chunk::parse(bytes, last) {
            Some(chunk) => each(last, chunk),
            None => {
                unreadable = Some(format!("the chunk of topic {} up to offset {last} cannot be read", slot.topic));
                ControlFlow::Break(())
            }
        })?;
        unreadable.map_or(Ok(()), Err)
    }

    /// As [`Store::scan`], but with the bytes as they are: they may be no chunk.
    pub(crate) fn scan_raw(
        &self,
        slot: Slot,
        from: i64,
        end: i64,
        mut each: impl FnMut(i64, fjall::Slice) -> ControlFlow<()>,
    ) -> Result<(), String> {
        for entry in self.log.range(layout::log_key(slot, from)..layout::log_key(slot, end)) {
            let (key, value) = entry.into_inner().map_err(|e| e.to_string())?;
            if each(layout::offset_of_log_key(&key).unwrap_or(-1), value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// About `records_max` records from `from` on.
    pub(crate) fn read(&self, slot: Slot, from: i64, end: i64, records_max: usize) -> Result<Vec<Chunk>, String> {
        let (mut chunks, mut records, mut bytes) = (Vec::new(), 0, 0);
        self.scan(slot, from, end, |last, chunk| {
            records += usize::try_from(last + 1 - from.max(chunk.first())).unwrap_or(0);
            bytes += chunk.bytes();
            chunks.push(chunk);
            match records >= records_max || bytes >= READ_BYTES_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        Ok(chunks)
    }

    /// Offset of the last record with that key of a compacted topic, and the bytes of its chunk.
    pub(crate) fn last_of_key(&self, slot: Slot, key: &[u8]) -> fjall::Result<Option<(i64, u32)>> {
        let last = self.keys.get(layout::compaction_key(slot, key))?;
        Ok(last.and_then(|bytes| layout::parse_last(&bytes)))
    }

    /// Ends of the chunks of a topic, and its entries for record keys, as they stand in the store.
    pub(crate) fn keys_of_topic(&self, id: u32) -> fjall::Result<(Vec<fjall::Slice>, Vec<fjall::Slice>)> {
        let keys = |space: &Keyspace| -> fjall::Result<Vec<fjall::Slice>> {
            space.prefix(id.to_be_bytes()).map(|entry| entry.key()).collect()
        };
        Ok((keys(&self.log)?, keys(&self.keys)?))
    }

    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch { batch: self.db.batch(), store: self }
    }

    /// Notes, in a file that outlives a damaged store, how much was written; see [`Mark`].
    pub(crate) fn note_commits(&self, commits: u64) {
        self.mark.note(commits);
    }

    /// Number of the last batch, as it was when the store was opened.
    pub(crate) fn commits(&self) -> u64 {
        self.mark.commits()
    }

    pub(crate) fn sync(&self) -> fjall::Result<()> {
        #[cfg(test)]
        self.faults.sync()?;
        self.db.persist(PersistMode::SyncAll)
    }
}

/// Changes that become durable together.
pub(crate) struct Batch<'s> {
    batch: OwnedWriteBatch,
    store: &'s Store,
}

impl Batch<'_> {
    pub(crate) fn topic(&mut self, id: u32, spec: &TopicSpec) {
        self.batch.insert(&self.store.meta, layout::topic_key(&spec.name), layout::topic_value(id, spec));
    }

    /// Notes the highest number that a topic was ever given.
    pub(crate) fn topic_max(&mut self, id: u32) {
        self.batch.insert(&self.store.meta, TOPICS_KEY, id.to_be_bytes());
    }

    pub(crate) fn forget_topic(&mut self, name: &str) {
        self.batch.remove(&self.store.meta, layout::topic_key(name));
    }

    /// Removes everything that a topic of that number holds.
    pub(crate) fn remove_content(&mut self, id: u32, partitions: u32) -> fjall::Result<()> {
        let (chunks, keys) = self.store.keys_of_topic(id)?;
        chunks.into_iter().for_each(|key| self.batch.remove(&self.store.log, key));
        keys.into_iter().for_each(|key| self.batch.remove(&self.store.keys, key));
        for partition in 0..partitions {
            self.batch.remove(&self.store.bounds, layout::slot_key(Slot { topic: id, partition }));
        }
        Ok(())
    }

    pub(crate) fn chunk(&mut self, slot: Slot, last: i64, bytes: Vec<u8>) {
        self.batch.insert(&self.store.log, layout::log_key(slot, last), bytes);
    }

    pub(crate) fn remove_chunk(&mut self, slot: Slot, last: i64) {
        self.batch.remove(&self.store.log, layout::log_key(slot, last));
    }

    pub(crate) fn last_of_key(&mut self, slot: Slot, key: &[u8], offset: i64, bytes: u32) {
        self.batch.insert(&self.store.keys, layout::compaction_key(slot, key), layout::last_value(offset, bytes));
    }

    pub(crate) fn forget_key(&mut self, slot: Slot, key: &[u8]) {
        self.batch.remove(&self.store.keys, layout::compaction_key(slot, key));
    }

    pub(crate) fn bounds(&mut self, slot: Slot, bounds: Bounds) {
        self.batch.insert(&self.store.bounds, layout::slot_key(slot), layout::bounds_value(bounds));
    }

    pub(crate) fn offset(&mut self, group: &str, at: &TopicPartition, committed: Option<&Committed>) {
        let key = layout::offsets_key(group, at);
        match committed {
            Some((offset, metadata)) => {
                self.batch.insert(&self.store.offsets, key, layout::offsets_value(*offset, metadata.as_deref()));
            }
            None => self.batch.remove(&self.store.offsets, key),
        }
    }

    /// Writes everything; `commits` numbers the batch.
    pub(crate) fn write(mut self, commits: u64, to_disk: bool) -> fjall::Result<()> {
        #[cfg(test)]
        self.store.faults.write()?;
        self.batch.insert(&self.store.meta, COMMITS_KEY, commits.to_be_bytes());
        let mode = if to_disk { PersistMode::SyncData } else { PersistMode::Buffer };
        self.batch.durability(Some(mode)).commit()
    }
}

fn damaged(dir: &Path, why: &str) -> BusError {
    BusError::Storage(format!(
        "the local log in {} cannot be opened: {why}. Restore the directory from a copy, or move it away to begin with an empty log",
        dir.display()
    ))
}
