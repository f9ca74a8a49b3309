//! A revision as content: the archives of its packs, addressed by hash. Nothing is read of a pack until somebody
//! needs it, and then only what they need.

use std::sync::Arc;

use petrel_schemas::{CatalogBlob, ENDS_TRIGGER};

use crate::archive::{self, ArchiveError, content_hash, hash_hex};
use crate::pack::PackFile;
use crate::problems::{At, Code, Problems};
use crate::yaml::{self, Data, Node};

/// A pack as it is stored. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPack {
    hash: Arc<str>,
    blob: Arc<CatalogBlob>,
}

/// Why the files of a stored pack cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Its archive is damaged, or of another release.
    #[error("pack {pack}: {source}")]
    Archive {
        /// Name of the pack.
        pack: String,
        /// What is wrong with it.
        source: ArchiveError,
    },
    /// A blob is its hash; anything else under that name must not be used.
    #[error("pack {pack}: the content of blob {hash} has the hash {found}")]
    Hash {
        /// Name of the pack.
        pack: String,
        /// The hash under which it is stored.
        hash: String,
        /// That of its files.
        found: String,
    },
}

/// A revision as its hash and its packs. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    hash: Arc<str>,
    packs: Arc<[StoredPack]>,
}

impl StoredPack {
    /// A pack under the hash that it is stored with.
    pub fn new(hash: &str, blob: Arc<CatalogBlob>) -> Self {
        Self { hash: hash.into(), blob }
    }

    /// Name of the pack.
    pub fn name(&self) -> &str {
        &self.blob.pack
    }

    /// Hash of its content, 32 hexadecimal digits: the same hash, the same files.
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }

    /// Its files, packed.
    pub fn archive(&self) -> &[u8] {
        &self.blob.content
    }

    pub(crate) fn blob(&self) -> &CatalogBlob {
        &self.blob
    }

    /// Unpacks its files, sorted by path, and checks that they are what the hash says. Takes as long as the
    /// pack is large; nothing of it is kept.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn files(&self) -> Result<Vec<PackFile>, ContentError> {
        let wrong = |source| ContentError::Archive { pack: self.name().to_owned(), source };
        let files = archive::unpack(self.archive()).map_err(wrong)?;
        let found = content_hash(&files).map_err(wrong)?;
        if *found != *self.hash {
            let (pack, hash) = (self.name().to_owned(), self.hash.to_string());
            return Err(ContentError::Hash { pack, hash, found });
        }
        Ok(files)
    }

    /// Whether one of its files defines an action (`actions`) or a rule (`rules`) of that name, as far as the files can tell
    /// without being compiled. Of what cannot be read it says so.
    pub fn may_define(&self, folder: &str, name: &str) -> bool {
        let may = |file: &PackFile| {
            let path = file.path.strip_prefix(folder).and_then(|path| path.strip_prefix('/'));
            path.is_some_and(|path| path.ends_with(".yaml") && may_say(&file.bytes, "name", name))
        };
        self.files().map_or(true, |files| files.iter().any(may))
    }
}

impl Content {
    /// A revision of these packs.
    pub fn of(packs: impl IntoIterator<Item = StoredPack>) -> Self {
        let mut packs: Vec<StoredPack> = packs.into_iter().collect();
        packs.sort_by(|one, other| one.hash.cmp(&other.hash));
        let hash = revision_hash(packs.iter().map(|pack| &*pack.hash));
        Self { hash: hash.into(), packs: packs.into() }
    }

    /// Hash of the revision: 32 hexadecimal digits over the hashes of its packs.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Its packs, sorted by hash.
    pub fn packs(&self) -> &[StoredPack] {
        &self.packs
    }

    /// Whether rules of it may react to how executions end, as far as their files can tell without being compiled: where it
    /// says so and none does, events are written that nobody reads. Of what cannot be read it says so.
    pub fn may_react_to_ends(&self) -> bool {
        let may_name_it =
            |file: &PackFile| file.path.starts_with("rules/") && may_say(&file.bytes, "trigger", ENDS_TRIGGER);
        self.packs.iter().any(|pack| pack.files().map_or(true, |files| files.iter().any(may_name_it)))
    }

    /// A pack by its name.
    pub fn pack(&self, name: &str) -> Option<&StoredPack> {
        self.packs.iter().find(|pack| pack.name() == name)
    }
}

/// Whether a file may have that text at a key, however it writes it.
fn may_say(file: &[u8], key: &str, text: &str) -> bool {
    let Ok(file) = yaml::parse(file) else { return true };
    let Data::Map(entries) = &file.data else { return true };
    let is_it = |node: &Node| matches!(&node.data, Data::Text(found, _) if found == text);
    entries.iter().any(|(found, value)| found.text == key && is_it(value))
}

/// The hash of a revision whose packs have these hashes, sorted.
pub(crate) fn revision_hash<'a>(packs: impl Iterator<Item = &'a str>) -> String {
    let parts: Vec<&[u8]> = std::iter::once("revision/1").chain(packs).map(str::as_bytes).collect();
    hash_hex(&parts)
}

/// Reports content that cannot be had.
pub(crate) fn tell(error: &ContentError, pack: &StoredPack, problems: &mut Problems) {
    problems.add_at(pack.name(), At::START, Code::BadPath, error.to_string());
}
