//! The store of objects: values that are too large for the log, by what is in them. The log has a reference
//! ([`ObjectRef`]), workers put them in, and workers and the API fetch them and look whether they are what was put in.
//!
//! `files` (a folder, which may be shared), `s3` (a bucket), `signature` (how requests for that are signed).

mod files;
mod s3;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::Clock;
use petrel_schemas::ObjectRef;
use ring::digest;
use tokio::sync::{Semaphore, SemaphorePermit};

use files::Files;
use s3::S3;
pub use s3::S3Options;

/// Media type of a result.
pub const JSON: &str = "application/json";

/// Pauses before a store that is away is tried again.
const RETRY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Longest time for an object to be put in, with all tries, and how much longer for each MiB of it.
const PUT: Duration = Duration::from_secs(5);
const PUT_MIB: Duration = Duration::from_secs(1);

/// Longest time for an object to be fetched.
const GET: Duration = Duration::from_secs(60);

/// Calls of the file system at the same time. Those on a mount that hangs never come back, and the runtime's threads for
/// what blocks are there for others, too.
const FILE_CALLS_MAX: usize = 8;

/// Objects that are taken for values at the same time: each is in memory several times meanwhile.
const READ_AT_ONCE: usize = 4;

/// How often objects that are over their time are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// Where objects are.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a folder, which is made once it is needed.
    Files(PathBuf),
    /// In a bucket.
    S3(Box<S3Options>),
}

/// Settings of a store.
#[derive(Debug, Clone)]
pub struct ObjectOptions {
    /// Where objects are.
    pub place: Place,
    /// Largest object, in bytes.
    pub object_bytes_max: usize,
    /// How long a folder keeps an object after it was put in last, in milliseconds.
    pub retention_ms: i64,
}

/// Why a value is not in the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// It may not be.
    #[error("it has {bytes} bytes, more than object_bytes_max, {bytes_max}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// The store did not take it.
    #[error("the store of objects does not take it: {0}")]
    Away(String),
}

/// Why there is no value for a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFetched {
    /// It is in another store than this process uses.
    #[error("it is in the store {0:?}, which is not the one that this process is configured with")]
    Elsewhere(String),
    /// It is not there any more.
    #[error("it is not in the store any more")]
    Gone,
    /// What is there is something else.
    #[error("what the store has in its place is not what was put in")]
    Damaged,
    /// It is larger than this process reads.
    #[error("it has {bytes} bytes, more than object_bytes_max, {bytes_max}")]
    TooLarge {
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        bytes_max: usize,
    },
    /// The store does not answer.
    #[error("the store of objects cannot be read: {0}")]
    Away(String),
}

/// A store of objects.
pub struct Objects {
    store: Store,
    object_bytes_max: usize,
    retention: Duration,
    clock: Arc<dyn Clock>,
    put_max: Duration,
    get_max: Duration,
    reading: Semaphore,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("store", &self.store).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Store {
    Files(Arc<Files>, Arc<Semaphore>),
    S3(Box<S3>),
}

impl Objects {
    /// A store with these settings. Nothing is looked at until something is put in.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(options: ObjectOptions, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let ObjectOptions { place, object_bytes_max, retention_ms } = options;
        let store = match place {
            Place::Files(folder) => {
                Store::Files(Arc::new(Files::new(folder)), Arc::new(Semaphore::new(FILE_CALLS_MAX)))
            }
            Place::S3(options) => Store::S3(Box::new(S3::new(*options)?)),
        };
        let retention = Duration::from_millis(u64::try_from(retention_ms).unwrap_or_default());
        let reading = Semaphore::new(READ_AT_ONCE);
        Ok(Self { store, object_bytes_max, retention, clock, put_max: PUT, get_max: GET, reading })
    }

    /// Puts bytes in. A store that is away is tried a few times, for a few seconds in all, and for one more for each MiB.
    ///
    /// # Errors
    /// [`NotStored`]
    pub async fn put(&self, bytes: Vec<u8>, media_type: &str) -> Result<ObjectRef, NotStored> {
        if bytes.len() > self.object_bytes_max {
            return Err(NotStored::TooLarge { bytes: bytes.len(), bytes_max: self.object_bytes_max });
        }
        let mib = u32::try_from(bytes.len() >> 20).unwrap_or(u32::MAX);
        let limit = self.put_max.saturating_add(PUT_MIB.saturating_mul(mib));
        within(limit, self.put_tried(bytes, media_type)).await.map_err(NotStored::Away)
    }

    async fn put_tried(&self, bytes: Vec<u8>, media_type: &str) -> Result<ObjectRef, String> {
        let bytes: Arc<[u8]> = bytes.into();
        let mut reference = ObjectRef {
            store: String::new(),
            sha256: sha256(&bytes),
            bytes: bytes.len() as u64,
            media_type: media_type.to_owned(),
        };
        let mut pauses = RETRY.iter();
        loop {
            let put = match &self.store {
                Store::Files(files, calls) => {
                    let (files, sha256, bytes) = (files.clone(), reference.sha256.clone(), bytes.clone());
                    off_runtime(calls, move || files.put(&sha256, &bytes)).await
                }
                Store::S3(s3) => s3.put(&reference, &bytes, self.clock.now_ms()).await.map(|()| s3.name().to_owned()),
            };
            match (put, pauses.next()) {
                (Ok(store), _) => {
                    reference.store = store;
                    return Ok(reference);
                }
                (Err(why), Some(pause)) => {
                    tracing::warn!(why, "the store of objects did not take one, trying again");
                    tokio::time::sleep(*pause).await;
                }
                (Err(why), None) => return Err(why),
            }
        }
    }

    /// The bytes of a reference, which are what was put in.
    ///
    /// # Errors
    /// [`NotFetched`]
    pub async fn get(&self, reference: &ObjectRef) -> Result<Vec<u8>, NotFetched> {
        let bytes = reference.bytes;
        if !usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.object_bytes_max) {
            return Err(NotFetched::TooLarge { bytes, bytes_max: self.object_bytes_max });
        }
        let found = within(self.get_max, self.find(reference)).await.map_err(NotFetched::Away)?;
        let found = found?.ok_or(NotFetched::Gone)?;
        if found.len() as u64 != bytes || sha256(&found) != reference.sha256 {
            return Err(NotFetched::Damaged);
        }
        Ok(found)
    }

    async fn find(&self, reference: &ObjectRef) -> Result<Result<Option<Vec<u8>>, NotFetched>, String> {
        let elsewhere = || Ok(Err(NotFetched::Elsewhere(reference.store.clone())));
        match &self.store {
            Store::Files(files, calls) => {
                let (files, reference) = (files.clone(), reference.clone());
                let found = off_runtime(calls, move || match files.name()? {
                    Some(name) if name == reference.store => files.get(&reference.sha256, reference.bytes).map(Some),
                    _ => Ok(None),
                });
                found.await?.map_or_else(elsewhere, |found| Ok(Ok(found)))
            }
            Store::S3(s3) if s3.name() == reference.store => s3.get(reference, self.clock.now_ms()).await.map(Ok),
            Store::S3(_) => elsewhere(),
        }
    }

    /// A turn to fetch objects and take them for values.
    ///
    /// # Errors
    /// There was none for as long as an object may take to be fetched.
    pub(crate) async fn turn_to_read(&self) -> Result<SemaphorePermit<'_>, String> {
        within(self.get_max, async { self.reading.acquire().await.map_err(|error| error.to_string()) }).await
    }

    /// Removes what was put in longer ago than it is kept; how many there were. In a bucket a rule of the bucket does so.
    ///
    /// # Errors
    /// What the system says.
    pub async fn sweep(&self) -> Result<u64, String> {
        let Store::Files(files, calls) = &self.store else { return Ok(0) };
        let (files, retention) = (files.clone(), self.retention);
        off_runtime(calls, move || files.sweep(retention)).await
    }

    /// Sweeps for ever.
    pub(crate) async fn keep_clean(self: Arc<Self>) {
        loop {
            match self.sweep().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "objects that were over their time are removed"),
                Err(why) => tracing::warn!(why, "objects that are over their time cannot be removed"),
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }
}

/// Hexadecimal digits of bytes.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Files block, which is not for the runtime's threads. A call that is not waited for any more counts until it comes back.
async fn off_runtime<T: Send + 'static>(
    calls: &Arc<Semaphore>,
    call: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let permit = calls.clone().acquire_owned().await.map_err(|error| error.to_string())?;
    let call = move || {
        let _permit = permit;
        call()
    };
    match tokio::task::spawn_blocking(call).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the call panicked".to_owned()),
    }
}

/// What is over its time has failed.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| Err(format!("it has not answered within {} s", limit.as_secs_f64()));
    tokio::time::timeout(limit, call).await.unwrap_or_else(late)
}
