//! The name of this process among all of an installation.

use std::path::Path;

use anyhow::{Context, bail};

/// File in the data directory that keeps a name that was not configured.
const FILE: &str = "instance_id";
/// Longest name, in bytes.
const INSTANCE_ID_BYTES_MAX: usize = 64;

/// The configured name, else the one kept in `data_dir`, which is made on the first start. It names
/// transactional producers, so it must stay the same over restarts and differ between processes.
///
/// # Errors
/// If the name is unusable, or the file cannot be read or written.
pub fn instance_id(configured: Option<&str>, data_dir: &Path) -> anyhow::Result<String> {
    if let Some(name) = configured {
        return checked(name);
    }
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    let path = data_dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => checked(text.trim()).with_context(|| format!("{}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = uuid::Uuid::now_v7().simple().to_string();
            std::fs::write(&path, format!("{name}\n")).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(name)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn checked(name: &str) -> anyhow::Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > INSTANCE_ID_BYTES_MAX || !name.chars().all(fits) {
        bail!("{name:?} is no instance id: 1 to {INSTANCE_ID_BYTES_MAX} letters, digits, `-`, `_` and `.`");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_the_same_and_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let first = instance_id(None, dir.path()).unwrap();
        assert_eq!(instance_id(None, dir.path()).unwrap(), first);
        assert_eq!(instance_id(Some("node-1"), dir.path()).unwrap(), "node-1");
        assert!(instance_id(Some("a b"), dir.path()).is_err());
        std::fs::write(dir.path().join(FILE), "").unwrap();
        assert!(instance_id(None, dir.path()).is_err());
    }
}
