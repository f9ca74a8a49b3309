//! One database: opened or begun, used until something in it fails, then removed.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice};
use petrel_bus::StoreError;

use crate::journals::Sealed;
use crate::layout::{self, GARBAGE_PREFIX, NAMES_PREFIX, Slot};
use crate::options::CacheOptions;

const KEYSPACE: &str = "state";
/// Most keys of slots that are to be removed that a batch takes with it.
const GARBAGE_KEYS_PER_BATCH: usize = 256;
/// fjall stops writers for good if its threads died while so much waits for them; the cache stops before.
const WAITING_TABLES_MAX: usize = 3;
const UNMERGED_TABLES_MAX: usize = 18;
/// Pause of a writer that waits for them. There is nothing to wait on that would wake it.
const STALL_PAUSE: Duration = Duration::from_millis(2);
/// Two threads, so that what was written reaches the disk while old tables are merged.
const WORKER_THREADS: usize = 2;
/// Journals of this size altogether have the oldest tables in memory written to disk.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
const OPEN_FILES_MAX: usize = 128;

pub(crate) struct Database {
    /// Taken when it is closed.
    open: Option<(fjall::Database, Keyspace)>,
    dir: PathBuf,
    stall_ms_max: u64,
    broken: AtomicBool,
    garbage: Mutex<Garbage>,
    /// Above every slot that was ever used since the database was opened: one that is being swept must
    /// not be given away.
    next_slot: AtomicU32,
}

/// Slots whose content is to be removed.
#[derive(Debug, Default)]
struct Garbage {
    slots: BTreeSet<u32>,
    /// Everything of the first slot below this key is gone.
    from: Vec<u8>,
}

/// Why a directory was not opened.
pub(crate) enum OpenError {
    /// Another process has it.
    InUse,
    /// It cannot be read.
    Damaged(String),
}

impl Database {
    /// Opens what is in a directory, or makes it.
    pub(crate) fn open(dir: &Path, options: &CacheOptions) -> Result<Self, OpenError> {
        let damaged = |why: &dyn std::fmt::Display| OpenError::Damaged(why.to_string());
        let opened = catch_unwind(AssertUnwindSafe(|| {
            std::fs::create_dir_all(dir)?;
            let sealed = Sealed::look(dir)?;
            let database = fjall::Database::builder(dir)
                .cache_size(options.blocks_bytes())
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .max_cached_files(Some(OPEN_FILES_MAX))
                .worker_threads(WORKER_THREADS)
                .open()?;
            let keyspace = database.keyspace(KEYSPACE, || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(options.memtable_bytes())
                    .data_block_size_policy(BlockSizePolicy::all(4 * 1024))
                    .data_block_compression_policy(CompressionPolicy::all(fjall::CompressionType::Lz4))
            })?;
            Ok::<_, fjall::Error>((database, keyspace, sealed))
        }));
        let (database, keyspace, sealed) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(fjall::Error::Locked)) => return Err(OpenError::InUse),
            Ok(Err(error)) => return Err(damaged(&error)),
            Err(_) => return Err(damaged(&"it made the store panic")),
        };
        let opened = Self {
            open: Some((database, keyspace)),
            dir: dir.to_owned(),
            stall_ms_max: options.stall_ms_max,
            broken: AtomicBool::new(false),
            garbage: Mutex::default(),
            next_slot: AtomicU32::new(1),
        };
        if !sealed.are_whole() {
            opened.broken.store(true, Ordering::Relaxed);
            return Err(damaged(&"a journal has a hole"));
        }
        opened.know_slots().map_err(|e| damaged(&e))?;
        Ok(opened)
    }

    fn know_slots(&self) -> Result<(), StoreError> {
        let unreadable = || self.broke("a slot cannot be read");
        let mut garbage = self.garbage();
        for entry in self.scan(GARBAGE_PREFIX.to_vec(), end_of(GARBAGE_PREFIX)) {
            garbage.slots.insert(layout::parse_garbage_key(&entry?.0).ok_or_else(unreadable)?.0);
        }
        let mut last = garbage.slots.last().copied().unwrap_or(0);
        for entry in self.names() {
            last = last.max(layout::parse_name(&entry?.1).ok_or_else(unreadable)?.0.0);
        }
        self.next_slot.store(last + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it failed and is not to be used again.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, key: Vec<u8>) -> Result<Option<Slice>, StoreError> {
        self.attempt(|_, keyspace| keyspace.get(key))
    }

    /// Entries in order; behind an error comes nothing.
    pub(crate) fn scan(&self, from: Vec<u8>, end: Vec<u8>) -> impl Iterator<Item = Result<(Slice, Slice), StoreError>> {
        let mut range = self.attempt(|_, keyspace| Ok(keyspace.range(from..end)));
        let mut failed = false;
        std::iter::from_fn(move || {
            let next = match &mut range {
                _ if failed => return None,
                Ok(range) => self.attempt(|_, _| range.next().map(fjall::Guard::into_inner).transpose()).transpose()?,
                Err(error) => Err(error.clone()),
            };
            failed = next.is_err();
            Some(next)
        })
    }

    /// Writes changes, all or nothing, and takes some garbage with them. A key occurs once.
    pub(crate) fn write(&self, fill: impl FnOnce(&mut Batch<'_>)) -> Result<(), StoreError> {
        self.wait_for_room()?;
        let Some((database, keyspace)) = &self.open else { return Err(self.broke("it is closed")) };
        let mut batch = Batch { batch: database.batch().durability(Some(PersistMode::Buffer)), keyspace };
        fill(&mut batch);
        self.sweep(&mut batch)?;
        let Batch { batch, .. } = batch;
        self.attempt(|_, _| batch.commit())
    }

    /// Remembers a slot whose content is to be removed; the same is in the batch that leaves it.
    pub(crate) fn leave(&self, slot: Slot) {
        self.garbage().slots.insert(slot.0);
    }

    /// A slot that nobody has.
    pub(crate) fn free_slot(&self) -> Slot {
        Slot(self.next_slot.fetch_add(1, Ordering::Relaxed))
    }

    /// Names of partitions and what stands behind them.
    pub(crate) fn names(&self) -> impl Iterator<Item = Result<(Slice, Slice), StoreError>> {
        self.scan(NAMES_PREFIX.to_vec(), end_of(NAMES_PREFIX))
    }

    /// What was found is not what was written.
    pub(crate) fn broke(&self, why: &str) -> StoreError {
        if !self.broken.swap(true, Ordering::Relaxed) {
            tracing::warn!(dir = %self.dir.display(), why, "the state cache is broken and will be made anew");
        }
        StoreError(why.to_owned())
    }

    fn attempt<T>(&self, call: impl FnOnce(&fjall::Database, &Keyspace) -> fjall::Result<T>) -> Result<T, StoreError> {
        let Some((database, keyspace)) = &self.open else { return Err(self.broke("it is closed")) };
        if self.is_broken() {
            return Err(StoreError("it broke before".into()));
        }
        match catch_unwind(AssertUnwindSafe(|| call(database, keyspace))) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.broke(&error.to_string())),
            Err(_) => Err(self.broke("the store panicked")),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "how long the disk may take, whatever the time of day")]
    fn wait_for_room(&self) -> Result<(), StoreError> {
        let Some((_, keyspace)) = &self.open else { return Ok(()) };
        let is_full = || {
            keyspace.sealed_memtable_count() >= WAITING_TABLES_MAX || keyspace.l0_table_count() >= UNMERGED_TABLES_MAX
        };
        let began = Instant::now();
        while is_full() {
            if began.elapsed() > Duration::from_millis(self.stall_ms_max) {
                return Err(self.broke("what was written does not reach the disk"));
            }
            std::thread::sleep(STALL_PAUSE);
        }
        Ok(())
    }

    fn sweep(&self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let mut garbage = self.garbage();
        let Some(slot) = garbage.slots.first().copied().map(Slot) else { return Ok(()) };
        let from = std::mem::take(&mut garbage.from).max(slot.first_key());
        let mut last = None;
        let mut left = GARBAGE_KEYS_PER_BATCH;
        for entry in self.scan(from, Slot(slot.0 + 1).first_key()).take(GARBAGE_KEYS_PER_BATCH) {
            let (key, _) = entry?;
            left -= 1;
            last = Some(key.to_vec());
            batch.remove(key.to_vec());
        }
        if left > 0 {
            garbage.slots.remove(&slot.0);
            batch.remove(slot.garbage_key());
        } else {
            garbage.from = last.unwrap_or_default();
        }
        Ok(())
    }

    fn garbage(&self) -> MutexGuard<'_, Garbage> {
        // Half done it names too much or begins too early, which a sweep does not mind.
        self.garbage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.open.take());
        if self.is_broken()
            && let Err(error) = std::fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(dir = %self.dir.display(), %error, "a broken state cache could not be removed");
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("dir", &self.dir).field("broken", &self.broken).finish_non_exhaustive()
    }
}

/// Changes that become visible together.
pub(crate) struct Batch<'a> {
    batch: OwnedWriteBatch,
    keyspace: &'a Keyspace,
}

impl Batch<'_> {
    pub(crate) fn insert(&mut self, key: Vec<u8>, value: &[u8]) {
        self.batch.insert(self.keyspace, key, value);
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.batch.remove(self.keyspace, key);
    }
}

/// Behind all keys with that prefix, whose last byte is a letter.
fn end_of(mut prefix: [u8; 5]) -> Vec<u8> {
    prefix[4] += 1;
    prefix.to_vec()
}
