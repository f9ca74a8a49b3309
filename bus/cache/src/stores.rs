//! The stores of a process, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_bus::{StateStore, StateStores, StoreError, StoreName, is_fresh};

use crate::attempts::Attempt;
use crate::database::{Database, OpenError};
use crate::layout::{self, Slot};
use crate::options::CacheOptions;
use crate::store::{DiskStore, Lease};

/// Caches of partitions' states in a directory; clones are the same.
#[derive(Debug, Clone)]
pub struct DiskStores {
    options: Arc<CacheOptions>,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug)]
struct Current {
    database: Arc<Database>,
    /// Number of its folder.
    number: u64,
    leases: BTreeMap<Vec<u8>, Arc<Lease>>,
}

impl DiskStores {
    /// Opens the caches of a directory. What cannot be used is thrown away; what was used by a killed
    /// process can be.
    ///
    /// # Errors
    /// If another process uses the directory, or it cannot be written to.
    pub fn open(options: CacheOptions) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError(format!("{}: {error}", options.dir.display()));
        std::fs::create_dir_all(&options.dir).map_err(failed)?;
        let folders = folders(&options.dir).map_err(failed)?;
        let last = folders.last().copied().unwrap_or(0);
        let attempt = Attempt::begin(&options.dir).map_err(failed)?;
        let known = match attempt {
            Some(attempt) => {
                let known = open_known(&options, last);
                attempt.end().map_err(failed)?;
                known?
            }
            None => {
                tracing::warn!(dir = %options.dir.display(), "opening the state cache never ended: it is thrown away");
                None
            }
        };
        let (number, database) = match known {
            Some(database) => (last, database),
            None => (last + 1, begin(&options, last + 1)?),
        };
        for old in folders.into_iter().filter(|folder| *folder != number) {
            let path = folder(&options, old);
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(dir = %path.display(), %error, "an old state cache could not be removed");
            }
        }
        let current = Current { database: Arc::new(database), number, leases: BTreeMap::new() };
        Ok(Self { options: Arc::new(options), current: Arc::new(Mutex::new(current)) })
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Its parts are replaced whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStores for DiskStores {
    fn open(&self, name: &StoreName, now_ms: i64) -> Result<Box<dyn StateStore>, StoreError> {
        let mut current = self.lock();
        if current.database.is_broken() {
            let number = current.number + 1;
            current.database = Arc::new(begin(&self.options, number)?);
            current.number = number;
        }
        let name_key = layout::name_key(name);
        let lease = current.leases.entry(name_key.clone()).or_default().clone();
        let turn = lease.take();
        let database = current.database.clone();
        forget_old(&database, &current.leases, now_ms, self.options.age_ms_max)?;
        let incarnation = self.options.incarnations.get(&name.changelog).cloned().unwrap_or_default();
        let mut store = DiskStore { database, lease, turn, name_key, incarnation, slot: Slot(0), head: None };
        match look_up(&store, now_ms, self.options.age_ms_max)? {
            Found::Usable(slot, head) => (store.slot, store.head) = (slot, Some(head)),
            Found::Useless(slot) => {
                store.slot = slot;
                store.discard()?;
            }
            Found::Nothing => {
                store.slot = store.database.free_slot();
                let value = layout::name_value(store.slot, &store.incarnation);
                store.database.write(|batch| batch.insert(store.name_key.clone(), &value))?;
            }
        }
        Ok(Box::new(store))
    }
}

enum Found {
    Nothing,
    Usable(Slot, layout::Head),
    Useless(Slot),
}

fn look_up(store: &DiskStore, now_ms: i64, age_ms_max: i64) -> Result<Found, StoreError> {
    let database = &store.database;
    let Some(value) = database.get(store.name_key.clone())? else { return Ok(Found::Nothing) };
    let (slot, incarnation) = layout::parse_name(&value).ok_or_else(|| database.broke("a name cannot be read"))?;
    let head = read_head(database, slot)?;
    Ok(match head {
        Some(head) if incarnation == store.incarnation && is_fresh(head.at_ms, now_ms, age_ms_max) => {
            Found::Usable(slot, head)
        }
        _ => Found::Useless(slot),
    })
}

fn read_head(database: &Database, slot: Slot) -> Result<Option<layout::Head>, StoreError> {
    let Some(value) = database.get(slot.head_key())? else { return Ok(None) };
    layout::parse_head(&value).map(Some).ok_or_else(|| database.broke("a head cannot be read"))
}

/// Partitions that went elsewhere may come back, but not after so long.
fn forget_old(
    database: &Database,
    leases: &BTreeMap<Vec<u8>, Arc<Lease>>,
    now_ms: i64,
    age_ms_max: i64,
) -> Result<(), StoreError> {
    let mut old = Vec::new();
    for entry in database.names() {
        let (key, value) = entry?;
        if leases.get(&*key).is_some_and(|lease| lease.is_open()) {
            continue;
        }
        let (slot, _) = layout::parse_name(&value).ok_or_else(|| database.broke("a name cannot be read"))?;
        if !read_head(database, slot)?.is_some_and(|head| is_fresh(head.at_ms, now_ms, age_ms_max)) {
            old.push((key.to_vec(), slot));
        }
    }
    if old.is_empty() {
        return Ok(());
    }
    database.write(|batch| {
        for (name_key, slot) in &old {
            batch.remove(name_key.clone());
            batch.insert(slot.garbage_key(), b"");
        }
    })?;
    old.into_iter().for_each(|(_, slot)| database.leave(slot));
    Ok(())
}

/// The database in that folder, if it is of this cluster and can be read.
fn open_known(options: &CacheOptions, number: u64) -> Result<Option<Database>, StoreError> {
    let dir = folder(options, number);
    if !dir.exists() {
        return Ok(None);
    }
    let why = match Database::open(&dir, options) {
        Ok(database) => match database.get(layout::IDENTITY_KEY.to_vec()) {
            Ok(Some(identity)) if *identity == *identity_of(options) => return Ok(Some(database)),
            Ok(_) => "it is of another log, format or size".to_owned(),
            Err(error) => error.to_string(),
        },
        Err(OpenError::InUse) => {
            return Err(StoreError(format!("{} is in use by another process", options.dir.display())));
        }
        Err(OpenError::Damaged(why)) => why,
    };
    tracing::warn!(dir = %dir.display(), why, "the state cache is thrown away; state is read from its changelogs");
    Ok(None)
}

fn begin(options: &CacheOptions, number: u64) -> Result<Database, StoreError> {
    let dir = folder(options, number);
    let database = Database::open(&dir, options).map_err(|error| match error {
        OpenError::InUse => StoreError(format!("{} is in use by another process", dir.display())),
        OpenError::Damaged(why) => StoreError(format!("{}: {why}", dir.display())),
    })?;
    database.write(|batch| batch.insert(layout::IDENTITY_KEY.to_vec(), &identity_of(options)))?;
    Ok(database)
}

fn identity_of(options: &CacheOptions) -> Vec<u8> {
    layout::identity(options.memtable_bytes(), &options.cluster_id)
}

fn folder(options: &CacheOptions, number: u64) -> PathBuf {
    options.dir.join(number.to_string())
}

/// Numbers of the folders, in order.
fn folders(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
