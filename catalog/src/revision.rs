//! A revision: the whole catalog, content-addressed and compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_schemas::CatalogBlob;

use crate::archive::{self, hash_hex};
use crate::compile::compile;
use crate::pack::{self, CatchUp, PackDraft, PackSource, TriggerSource};
use crate::problems::{At, Code, Problems};

pub use crate::compile::CompiledRevision;

/// A pack's content, addressed by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Hash of the content; see [`crate::archive`].
    pub hash: String,
    /// Name of the pack.
    pub pack: String,
    /// Its files, packed.
    pub archive: Vec<u8>,
}

/// A revision that can be published: compiled, and with the content of its packs.
#[derive(Debug, Clone)]
pub struct Revision {
    compiled: Arc<CompiledRevision>,
    blobs: Vec<Blob>,
}

impl Revision {
    /// Loads the packs of a whole catalog.
    ///
    /// # Errors
    /// Every problem of every pack.
    pub fn load(sources: Vec<PackSource>) -> Result<Self, Problems> {
        Self::load_after(None, sources)
    }

    fn load_after(before: Option<&CompiledRevision>, sources: Vec<PackSource>) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let drafts: Vec<PackDraft> = sources.into_iter().map(|source| pack::read(source, &mut problems)).collect();
        let mut blobs: Vec<Blob> = drafts.iter().filter_map(|draft| blob_of(draft, &mut problems)).collect();
        blobs.sort_by(|a, b| a.hash.cmp(&b.hash));
        let hash = revision_hash(blobs.iter().map(|blob| blob.hash.as_str()));
        let compiled = compile(hash, drafts, before, &mut problems);
        let compiled = problems.or(Arc::new(compiled))?;
        Ok(Self { compiled, blobs })
    }

    /// Loads packs into an existing revision: each replaces the pack of its name or joins it.
    ///
    /// # Errors
    /// Every problem of the given packs, and of the others with them.
    pub fn load_into(base: &Self, sources: Vec<PackSource>) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let read = |source: &PackSource| pack::read(source.clone(), &mut Problems::new()).name.value;
        let replaced: Vec<String> = sources.iter().map(read).collect();
        let mut all = sources;
        for blob in base.blobs.iter().filter(|blob| !replaced.contains(&blob.pack)) {
            match archive::unpack(&blob.archive) {
                Ok(files) => all.push(PackSource { label: blob.pack.clone(), files, special: Vec::new() }),
                Err(e) => problems.add_at(&blob.pack, At::START, Code::BadPath, e.to_string()),
            }
        }
        problems.or(())?;
        Self::load_after(Some(&base.compiled), all)
    }

    /// A revision without packs.
    pub fn empty() -> Self {
        let compiled = compile(revision_hash(std::iter::empty()), Vec::new(), None, &mut Problems::new());
        Self { compiled: Arc::new(compiled), blobs: Vec::new() }
    }

    pub(crate) fn stored(compiled: Arc<CompiledRevision>, blobs: &[(String, Arc<CatalogBlob>)]) -> Self {
        let blob = |(hash, blob): &(String, Arc<CatalogBlob>)| Blob {
            hash: hash.clone(),
            pack: blob.pack.clone(),
            archive: blob.content.clone(),
        };
        Self { compiled, blobs: blobs.iter().map(blob).collect() }
    }

    /// Hash of the revision: 32 hexadecimal digits over the hashes of its blobs.
    pub fn hash(&self) -> &str {
        self.compiled.hash()
    }

    /// What the roles work with.
    pub fn compiled(&self) -> &Arc<CompiledRevision> {
        &self.compiled
    }

    /// The packs' content, sorted by hash.
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// `name version` of each pack, sorted.
    pub fn pack_versions(&self) -> Vec<String> {
        self.compiled.packs().map(|pack| format!("{} {}", pack.name, pack.version)).collect()
    }
}

impl CompiledRevision {
    /// Compiles what the catalog's log holds: blobs with the hashes under which they are stored. Rules that
    /// are unchanged since the revision `before` are not compiled again.
    ///
    /// # Errors
    /// Why this release cannot compile them; an older or newer release may have been able to.
    pub fn from_blobs(before: Option<&Self>, blobs: &[(String, Arc<CatalogBlob>)]) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let drafts = drafts_of(blobs, &mut problems);
        let mut hashes: Vec<&str> = blobs.iter().map(|(hash, _)| hash.as_str()).collect();
        hashes.sort_unstable();
        let compiled = compile(revision_hash(hashes.into_iter()), drafts, before, &mut problems);
        problems.or(compiled)
    }
}

fn revision_hash<'a>(blobs: impl Iterator<Item = &'a str>) -> String {
    let parts: Vec<&[u8]> = std::iter::once("revision/1").chain(blobs).map(str::as_bytes).collect();
    hash_hex(&parts)
}

fn blob_of(draft: &PackDraft, problems: &mut Problems) -> Option<Blob> {
    match archive::pack(&draft.files) {
        Ok(archive) => Some(Blob { hash: draft.content_hash.clone(), pack: draft.name.value.clone(), archive }),
        Err(e) => {
            problems.add(&draft.name.place, Code::TooLarge, e.to_string());
            None
        }
    }
}

fn drafts_of(blobs: &[(String, Arc<CatalogBlob>)], problems: &mut Problems) -> Vec<PackDraft> {
    let mut drafts = Vec::new();
    for (hash, blob) in blobs {
        let files = match archive::unpack(&blob.content) {
            Ok(files) => files,
            Err(e) => {
                problems.add_at(&blob.pack, At::START, Code::BadPath, e.to_string());
                continue;
            }
        };
        let source = PackSource { label: blob.pack.clone(), files, special: Vec::new() };
        let draft = pack::read(source, problems);
        if draft.content_hash == *hash {
            drafts.push(draft);
        } else {
            let message = format!("the content of blob {hash} has the hash {}", draft.content_hash);
            problems.add_at(&blob.pack, At::START, Code::BadPath, message);
        }
    }
    drafts
}

/// The interval triggers of stored packs, as far as their trigger files can be read.
pub(crate) fn interval_triggers(blobs: &[(String, Arc<CatalogBlob>)]) -> BTreeMap<String, (i64, CatchUp)> {
    let mut timers = BTreeMap::new();
    for draft in drafts_of(blobs, &mut Problems::new()) {
        for trigger in &draft.triggers {
            if let TriggerSource::Interval { every_ms, catch_up } = trigger.source {
                timers.insert(format!("{}.{}", draft.name.value, trigger.name.value), (every_ms, catch_up));
            }
        }
    }
    timers
}
