//! Where a demo plays: a folder that goes when the demo ends, which may be asked for at any time.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};

/// The folder of a demo.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// The folder that was asked for, which must not be there yet or be empty; else one in the system's folder for what is
    /// temporary, that goes in the end.
    ///
    /// # Errors
    /// If it cannot be made, or something is in it.
    pub fn make(asked_for: Option<PathBuf>, name: &str) -> anyhow::Result<Self> {
        let is_kept = asked_for.is_some();
        let path = asked_for.unwrap_or_else(|| std::env::temp_dir().join(name));
        let path = std::path::absolute(&path)?;
        // Keys are in it.
        std::fs::DirBuilder::new()
            .recursive(is_kept)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        let is_empty = std::fs::read_dir(&path)?.next().is_none();
        ensure!(is_empty, "{} is not empty: name a folder that is not there yet", path.display());
        Ok(Self { path, is_kept })
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed is in the system's folder for what is temporary.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Whether somebody has asked the demo to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM. The second one ends the demo at once.
    ///
    /// # Errors
    /// If signals cannot be watched.
    pub fn listen(runtime: &tokio::runtime::Runtime) -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = Self::default();
        let told = interrupt.clone();
        let _inside = runtime.enter();
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot watch signals")?;
        let mut terminated = signal(SignalKind::terminate()).context("cannot watch signals")?;
        runtime.spawn(async move {
            loop {
                tokio::select! { _ = interrupted.recv() => {}, _ = terminated.recv() => {} }
                if told.0.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
            }
        });
        Ok(interrupt)
    }

    /// Whether it was.
    pub fn was_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_unless_it_was_asked_for_and_none_is_taken_that_holds_something() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("kept");
        let kept = Folder::make(Some(path.clone()), "x").unwrap();
        std::fs::write(kept.at("a"), "").unwrap();
        drop(kept);
        assert!(path.join("a").is_file());
        assert!(Folder::make(Some(path), "x").is_err());
        let name = format!("petrel-test-{}", crate::demo::random_text().unwrap());
        let gone = Folder::make(None, &name).unwrap();
        std::fs::write(gone.at("a"), "").unwrap();
        let path = gone.path().to_owned();
        assert!(path.is_dir());
        drop(gone);
        assert!(!path.exists());
    }
}
