//! Options of the store of objects.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use petrel_bus::Clock;
use petrel_executor::objects::{self, ObjectOptions, Place, S3Options};
use serde::{Deserialize, Serialize};

use super::Hidden;

/// Options of the store of objects; of the roles `worker` and `api`, which need the same one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objects {
    /// Where objects are.
    pub store: ObjectsStore,
    /// Folder of `store: files`; none is `objects` in `data_dir`.
    pub folder: Option<PathBuf>,
    /// Largest object, in bytes.
    pub object_bytes_max: usize,
    /// How long a folder keeps an object, in milliseconds; a bucket has rules of its own.
    pub retention_ms: i64,
    /// The bucket of `store: s3`.
    pub s3: S3,
}

/// Where objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectsStore {
    /// In a folder.
    Files,
    /// In a bucket.
    S3,
}

/// A bucket of S3, or of what speaks like it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Such as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: Option<String>,
    /// Name of the bucket, which has to be there.
    pub bucket: Option<String>,
    /// Beginning of the names of objects.
    pub prefix: String,
    /// Region that signatures are for.
    pub region: String,
    /// Who asks.
    pub access_key_id: Option<String>,
    /// By what that is known: better in a file.
    pub secret_access_key: Option<Hidden>,
    /// File that holds it, instead of `secret_access_key`.
    pub secret_access_key_file: Option<PathBuf>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            store: ObjectsStore::Files,
            folder: None,
            object_bytes_max: 64 << 20,
            retention_ms: 30 * 24 * 3_600_000,
            s3: S3::default(),
        }
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            endpoint: None,
            bucket: None,
            prefix: "petrel/".into(),
            region: "us-east-1".into(),
            access_key_id: None,
            secret_access_key: None,
            secret_access_key_file: None,
        }
    }
}

impl Objects {
    /// Whether only processes of one machine reach it.
    pub fn is_of_one_machine(&self) -> bool {
        self.store == ObjectsStore::Files && self.folder.is_none()
    }

    /// The store with these options.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn open(&self, data_dir: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<objects::Objects> {
        let place = match self.store {
            ObjectsStore::Files => Place::Files(self.folder.clone().unwrap_or_else(|| data_dir.join("objects"))),
            ObjectsStore::S3 => Place::S3(Box::new(self.s3.options()?)),
        };
        let options = ObjectOptions { place, object_bytes_max: self.object_bytes_max, retention_ms: self.retention_ms };
        objects::Objects::new(options, clock).map_err(|why| anyhow::anyhow!("objects: {why}"))
    }
}

impl S3 {
    fn options(&self) -> anyhow::Result<S3Options> {
        let needs = |name: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| anyhow::anyhow!("objects.s3.{name} is needed with `objects.store: s3`"))
        };
        let secret_access_key = match (&self.secret_access_key, &self.secret_access_key_file) {
            (Some(key), None) => key.expose().to_owned(),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file);
                text.map_err(|e| anyhow::anyhow!("objects.s3.secret_access_key_file: {e}"))?.trim_end().to_owned()
            }
            _ => anyhow::bail!("one of objects.s3.secret_access_key and objects.s3.secret_access_key_file is needed"),
        };
        Ok(S3Options {
            endpoint: needs("endpoint", &self.endpoint)?,
            bucket: needs("bucket", &self.bucket)?,
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            access_key_id: needs("access_key_id", &self.access_key_id)?,
            secret_access_key,
        })
    }
}
