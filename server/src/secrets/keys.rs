//! The master keys, as the configuration names them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use petrel_secrets::{MasterKey, MasterKeys};
use zeroize::Zeroizing;

use crate::config::Secrets;

/// What nobody but the owner of a key's file may: its group may read it, as with keys that an orchestrator mounts.
const FORBIDDEN_MODE: u32 = 0o037;

/// The master keys of this process; none where none is configured.
///
/// # Errors
/// A file that cannot be read, that others can read, or that holds no key; nothing of what it holds is told.
pub fn load(config: &Secrets) -> anyhow::Result<Option<MasterKeys>> {
    let current = match (&config.master_key_file, &config.master_key) {
        (Some(path), _) => from_file(path)?,
        (None, Some(text)) => MasterKey::parse(text.expose()).context("secrets.master_key")?,
        (None, None) if config.earlier_master_key_files.is_empty() => return Ok(None),
        (None, None) => bail!("secrets.earlier_master_key_files needs a secrets.master_key_file beside it"),
    };
    let earlier = config.earlier_master_key_files.iter().map(|path| from_file(path));
    let keys = MasterKeys::new(current, earlier.collect::<anyhow::Result<_>>()?)?;
    Ok(Some(keys))
}

fn from_file(path: &Path) -> anyhow::Result<MasterKey> {
    let named = || format!("master key file {}", path.display());
    let mode = std::fs::metadata(path).with_context(named)?.permissions().mode();
    if mode & FORBIDDEN_MODE != 0 {
        bail!(
            "{}: its mode is {:03o}, and others than its owner must not be able to use it: chmod 600 {}",
            named(),
            mode & 0o777,
            path.display()
        );
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).with_context(named)?);
    MasterKey::parse(&text).with_context(named)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Thirty-two bytes, twice.
    const KEYS: [&str; 2] =
        ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="];

    fn write(path: &Path, text: &str, mode: u32) -> PathBuf {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_owned()
    }

    fn with(file: PathBuf) -> Secrets {
        Secrets { master_key_file: Some(file), ..Secrets::default() }
    }

    #[test]
    fn a_master_key_comes_from_a_file_that_others_cannot_read_or_from_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(&Secrets::default()).unwrap().is_none());
        for mode in [0o600, 0o400, 0o440, 0o640] {
            let keys = load(&with(write(&dir.path().join("key"), &format!("{}\n", KEYS[0]), mode))).unwrap().unwrap();
            assert_eq!(keys.current().id(), MasterKey::parse(KEYS[0]).unwrap().id());
        }
        for mode in [0o644, 0o604, 0o660, 0o602, 0o777] {
            let error = load(&with(write(&dir.path().join("open"), KEYS[0], mode))).unwrap_err().to_string();
            assert!(error.contains(&format!("its mode is {mode:03o}")) && error.contains("chmod 600"), "{error}");
        }
        let bad = write(&dir.path().join("bad"), "hunter2hunter2", 0o600);
        let error = format!("{:#}", load(&with(bad.clone())).unwrap_err());
        assert!(error.contains("32 bytes in base64") && !error.contains("hunter"), "{error}");
        let gone = format!("{:#}", load(&with(dir.path().join("gone"))).unwrap_err());
        assert!(gone.contains("gone"), "{gone}");
        let (key, earlier) =
            (write(&dir.path().join("a"), KEYS[0], 0o600), write(&dir.path().join("b"), KEYS[1], 0o600));
        let both = Secrets { earlier_master_key_files: vec![earlier.clone()], ..with(key.clone()) };
        assert!(load(&both).unwrap().unwrap().get(MasterKey::parse(KEYS[1]).unwrap().id()).is_some());
        assert!(load(&Secrets { earlier_master_key_files: vec![earlier], ..Secrets::default() }).is_err());
        assert!(load(&Secrets { earlier_master_key_files: vec![key.clone()], ..with(key) }).is_err());
        let direct = Secrets { master_key: Some(KEYS[0].to_owned().into()), ..Secrets::default() };
        assert!(load(&direct).unwrap().is_some());
        assert!(!format!("{direct:?} {}", serde_json::to_string(&direct).unwrap()).contains("AQEB"));
    }
}
