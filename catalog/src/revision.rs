//! A revision that can be published: its content, and all of it compiled, so that every problem was told.

use std::sync::Arc;

use petrel_schemas::CatalogBlob;

use crate::archive;
use crate::compile::compile;
use crate::content::{Content, StoredPack, tell};
use crate::pack::{self, PackDraft, PackSource};
use crate::problems::{Code, Problems};

pub use crate::compile::CompiledRevision;

/// A revision that can be published: compiled, and with the content of its packs.
#[derive(Debug, Clone)]
pub struct Revision {
    compiled: Arc<CompiledRevision>,
    content: Content,
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
        let content = Content::of(drafts.iter().filter_map(|draft| stored(draft, &mut problems)));
        let compiled = compile(content.hash().to_owned(), drafts, before, &mut problems);
        let compiled = problems.or(Arc::new(compiled))?;
        Ok(Self { compiled, content })
    }

    /// Loads packs into the content of a revision: each replaces the pack of its name or joins it. Rules that
    /// are unchanged since the revision `before` are not compiled again.
    ///
    /// # Errors
    /// Every problem of the given packs, and of the others with them.
    pub fn load_into(
        base: &Content,
        before: Option<&CompiledRevision>,
        sources: Vec<PackSource>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let (mut all, replaced) = keeping_given(base, sources, &mut problems);
        for pack in base.packs().iter().filter(|pack| !replaced.iter().any(|name| name == pack.name())) {
            match pack.files() {
                Ok(files) => all.push(PackSource { label: pack.name().to_owned(), files, special: Vec::new() }),
                Err(e) => tell(&e, pack, &mut problems),
            }
        }
        problems.or(())?;
        Self::load_after(before, all)
    }

    /// Loads packs in the place of all that a revision has; each keeps what the pack of its name was given.
    ///
    /// # Errors
    /// Every problem of the given packs.
    pub fn load_instead(
        base: &Content,
        before: Option<&CompiledRevision>,
        sources: Vec<PackSource>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let (sources, _) = keeping_given(base, sources, &mut problems);
        problems.or(())?;
        Self::load_after(before, sources)
    }

    /// Compiles a revision that is stored, to be applied again.
    ///
    /// # Errors
    /// As [`CompiledRevision::compile`].
    pub fn of_content(content: Content, before: Option<&CompiledRevision>) -> Result<Self, Problems> {
        let compiled = Arc::new(CompiledRevision::compile(&content, before)?);
        Ok(Self { compiled, content })
    }

    /// A revision without packs.
    pub fn empty() -> Self {
        let content = Content::of([]);
        let compiled = compile(content.hash().to_owned(), Vec::new(), None, &mut Problems::new());
        Self { compiled: Arc::new(compiled), content }
    }

    /// Hash of the revision: 32 hexadecimal digits over the hashes of its packs.
    pub fn hash(&self) -> &str {
        self.compiled.hash()
    }

    /// All of it, compiled.
    pub fn compiled(&self) -> &Arc<CompiledRevision> {
        &self.compiled
    }

    /// What is stored of it.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// `name version` of each pack, sorted.
    pub fn pack_versions(&self) -> Vec<String> {
        self.compiled.packs().map(|pack| format!("{} {}", pack.name, pack.version)).collect()
    }
}

impl CompiledRevision {
    /// Compiles all that a revision holds. Takes as long as there are rules: never call it within a step, nor
    /// where somebody waits for a lock. Rules that are unchanged since the revision `before` are not compiled
    /// again.
    ///
    /// # Errors
    /// Why this release cannot compile it; an older or newer release may have been able to.
    pub fn compile(content: &Content, before: Option<&Self>) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let mut drafts = Vec::new();
        for stored in content.packs() {
            match stored.files() {
                Ok(files) => {
                    let source = PackSource { label: stored.name().to_owned(), files, special: Vec::new() };
                    drafts.push(pack::read(source, &mut problems));
                }
                Err(error) => tell(&error, stored, &mut problems),
            }
        }
        let compiled = compile(content.hash().to_owned(), drafts, before, &mut problems);
        problems.or(compiled)
    }
}

/// The packs with what those of their names were given before, unless they are given something; and their names.
fn keeping_given(
    base: &Content,
    mut sources: Vec<PackSource>,
    problems: &mut Problems,
) -> (Vec<PackSource>, Vec<String>) {
    let names: Vec<String> = sources.iter().map(PackSource::name).collect();
    for (source, name) in sources.iter_mut().zip(&names) {
        let Some(before) = base.pack(name) else { continue };
        match before.files() {
            Ok(files) => pack::keep_given(source, &files),
            Err(e) => tell(&e, before, problems),
        }
    }
    (sources, names)
}

fn stored(draft: &PackDraft, problems: &mut Problems) -> Option<StoredPack> {
    match archive::pack(&draft.files) {
        Ok(content) => {
            let blob = CatalogBlob { pack: draft.name.value.clone(), content };
            Some(StoredPack::new(&draft.content_hash, Arc::new(blob)))
        }
        Err(e) => {
            problems.add(&draft.name.place, Code::TooLarge, e.to_string());
            None
        }
    }
}
