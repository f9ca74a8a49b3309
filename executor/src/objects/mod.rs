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
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::Clock;
use petrel_schemas::ObjectRef;
use ring::digest;

use files::Files;
use s3::S3;
pub use s3::S3Options;

/// Media type of a result.
pub const JSON: &str = "application/json";

/// Pauses before a store that is away is tried again.
const RETRY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

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
    retention_ms: i64,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("store", &self.store).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Store {
    Files(Arc<Files>),
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
            Place::Files(folder) => Store::Files(Arc::new(Files::new(folder))),
            Place::S3(options) => Store::S3(Box::new(S3::new(*options)?)),
        };
        Ok(Self { store, object_bytes_max, retention_ms, clock })
    }

    fn name(&self) -> &str {
        match &self.store {
            Store::Files(_) => "files",
            Store::S3(s3) => s3.name(),
        }
    }

    /// Puts bytes in. A store that is away is tried a few times, for little more than a second beside its own time-outs.
    ///
    /// # Errors
    /// [`NotStored`]
    pub async fn put(&self, bytes: Vec<u8>, media_type: &str) -> Result<ObjectRef, NotStored> {
        if bytes.len() > self.object_bytes_max {
            return Err(NotStored::TooLarge { bytes: bytes.len(), bytes_max: self.object_bytes_max });
        }
        let bytes: Arc<[u8]> = bytes.into();
        let reference = ObjectRef {
            store: self.name().to_owned(),
            sha256: sha256(&bytes),
            bytes: bytes.len() as u64,
            media_type: media_type.to_owned(),
        };
        let mut pauses = RETRY.iter();
        loop {
            let put = match &self.store {
                Store::Files(files) => {
                    let (files, sha256, bytes) = (files.clone(), reference.sha256.clone(), bytes.clone());
                    off_runtime(move || files.put(&sha256, &bytes)).await
                }
                Store::S3(s3) => s3.put(&reference, &bytes, self.clock.now_ms()).await,
            };
            match (put, pauses.next()) {
                (Ok(()), _) => return Ok(reference),
                (Err(why), Some(pause)) => {
                    tracing::warn!(why, "the store of objects did not take one, trying again");
                    tokio::time::sleep(*pause).await;
                }
                (Err(why), None) => return Err(NotStored::Away(why)),
            }
        }
    }

    /// The bytes of a reference, which are what was put in.
    ///
    /// # Errors
    /// [`NotFetched`]
    pub async fn get(&self, reference: &ObjectRef) -> Result<Vec<u8>, NotFetched> {
        if reference.store != self.name() {
            return Err(NotFetched::Elsewhere(reference.store.clone()));
        }
        let bytes = reference.bytes;
        if !usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.object_bytes_max) {
            return Err(NotFetched::TooLarge { bytes, bytes_max: self.object_bytes_max });
        }
        let found = match &self.store {
            Store::Files(files) => {
                let (files, sha256) = (files.clone(), reference.sha256.clone());
                off_runtime(move || files.get(&sha256, bytes)).await
            }
            Store::S3(s3) => s3.get(reference, self.clock.now_ms()).await,
        };
        let found = found.map_err(NotFetched::Away)?.ok_or(NotFetched::Gone)?;
        if found.len() as u64 != bytes || sha256(&found) != reference.sha256 {
            return Err(NotFetched::Damaged);
        }
        Ok(found)
    }

    /// Removes what was put in longer ago than it is kept; how many there were. In a bucket a rule of the bucket does so.
    ///
    /// # Errors
    /// What the system says.
    pub async fn sweep(&self) -> Result<u64, String> {
        let Store::Files(files) = &self.store else { return Ok(0) };
        let (files, before_ms) = (files.clone(), self.clock.now_ms().saturating_sub(self.retention_ms));
        off_runtime(move || files.sweep(before_ms)).await
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

/// Files block, which is not for the runtime's threads.
async fn off_runtime<T: Send + 'static>(
    call: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(call).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the call panicked".to_owned()),
    }
}
