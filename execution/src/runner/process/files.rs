//! What of its pack a process is started with: files that are run, and the folder where.

use super::super::PackFiles;
use super::super::keys::{Keys, Mistake};

/// Where a process is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// The folder `actions/` of its pack.
    Actions,
    /// A folder of its pack, relative to `actions/`.
    Pack(String),
    /// The work directory of the attempt.
    Work,
    /// A folder of the worker's machine.
    Machine(String),
}

impl Folder {
    /// Reads the key `cwd`.
    pub(in super::super) fn read(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Self {
        const AT: &str = "/cwd";
        let Some(cwd) = keys.get("cwd").and_then(|cwd| keys.text(cwd, AT, "cwd")) else { return Self::Actions };
        if !check_constant(keys, AT, "the working directory", cwd) {
            return Self::Actions;
        }
        if cwd == "work" {
            return Self::Work;
        }
        if cwd.starts_with('/') {
            return Self::Machine(cwd.to_owned());
        }
        let Some(inside) = cwd.strip_prefix("./") else {
            let message = format!(
                "{cwd:?} is no working directory: write \"./folder\" for one under actions/ of the pack, an absolute \
                 path, or \"work\" for the attempt's own"
            );
            keys.error(AT, Mistake::BadPath, message);
            return Self::Actions;
        };
        let inside = inside.trim_end_matches('/');
        if inside.is_empty() {
            return Self::Actions;
        }
        if !is_plain(inside) {
            keys.error(AT, Mistake::BadPath, format!("{cwd:?} leaves the pack"));
        } else if !files.has_folder(&format!("actions/{inside}")) {
            keys.error(AT, Mistake::Missing, format!("the pack has no folder actions/{inside}"));
        }
        Self::Pack(inside.to_owned())
    }
}

/// Whether it holds no expression, which is told; `what` begins the sentence.
pub(in super::super) fn check_constant(keys: &mut Keys<'_>, at: &str, what: &str, text: &str) -> bool {
    let is_constant = !text.contains("${");
    if !is_constant {
        let message = format!("{what} must be a constant, so that a parameter cannot choose it");
        keys.error(at, Mistake::BadValue, message);
    }
    is_constant
}

/// A file under `actions/`, relative to that, which must be there; with `executable` it must be that, too.
pub(in super::super) fn check_file(
    keys: &mut Keys<'_>,
    at: &str,
    file: &str,
    executable: bool,
    files: &dyn PackFiles,
) -> Option<String> {
    let relative = file.strip_prefix("./").unwrap_or(file);
    if !is_plain(relative) {
        keys.error(at, Mistake::BadPath, format!("{file:?} leaves the pack"));
        return None;
    }
    let path = format!("actions/{relative}");
    match files.executable(&path) {
        None => {
            let message = format!("the pack has no file {path}{}", files.hint(&path));
            keys.error(at, Mistake::Missing, message);
            None
        }
        Some(false) if executable => {
            keys.error(at, Mistake::BadValue, format!("{path} is not executable: chmod +x it"));
            None
        }
        Some(_) => Some(relative.to_owned()),
    }
}

/// Whether a path has names alone.
pub(super) fn is_plain(path: &str) -> bool {
    !path.contains('\0') && !path.split('/').any(|part| part.is_empty() || part == "." || part == "..")
}
