//! Copies of the journals, made before the store is opened and kept if it is found damaged.
//!
//! Opening cuts off of a journal what cannot be read; see [`super::mark`]. Whoever wants to save
//! something from a damaged log needs the journals as they were.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const FOLDER: &str = "journals.kept";

#[derive(Debug)]
pub(super) struct Kept(PathBuf);

impl Kept {
    /// Copies the journals of the store in `dir`, unless an opening that did not succeed left copies.
    pub(super) fn take(dir: &Path, store: &Path) -> Self {
        let kept = Self(dir.join(FOLDER));
        if !kept.0.exists()
            && let Err(error) = kept.copy(store)
        {
            // A full disk, as a rule; an undamaged log must open all the same.
            tracing::warn!(%error, "the journals of the local log could not be copied before opening");
            kept.forget();
        }
        kept
    }

    /// Where the copies are, if there are any.
    pub(super) fn dir(&self) -> Option<&Path> {
        self.0.exists().then_some(&*self.0)
    }

    /// The store is fine.
    pub(super) fn forget(&self) {
        if self.0.exists()
            && let Err(error) = fs::remove_dir_all(&self.0)
        {
            tracing::warn!(%error, "copies of journals could not be removed");
        }
    }

    fn copy(&self, store: &Path) -> io::Result<()> {
        if !store.exists() {
            return Ok(());
        }
        // Under another name until they are whole.
        let unfinished = self.0.with_extension("unfinished");
        fs::create_dir_all(&unfinished)?;
        for entry in fs::read_dir(store)? {
            let path = entry?.path();
            if let (Some(name), true) = (path.file_name(), path.extension().is_some_and(|e| e == "jnl")) {
                fs::copy(&path, unfinished.join(name))?;
            }
        }
        fs::rename(unfinished, &self.0)
    }
}
