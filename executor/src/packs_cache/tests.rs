use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::view::EachFile;

struct Pack(String, Vec<(&'static str, &'static str, bool)>);

impl PackContent for Pack {
    fn name(&self) -> String {
        format!("revision/{}", self.0)
    }

    fn hash(&self) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn files(&self, each: &mut EachFile<'_>) -> Result<(), String> {
        self.1.iter().try_for_each(|(path, content, executable)| each(path, content.as_bytes(), *executable))
    }
}

fn pack(hash: &str) -> Pack {
    Pack(hash.to_owned(), vec![("pack.yaml", "name: x", false), ("actions/run.sh", "#!/bin/sh\n", true)])
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_pack_is_laid_out_once_and_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PacksCache::open(dir.path().join("packs")).unwrap();
    assert!(cache.find(&pack("abc")).is_none());
    let first = cache.lay_out(&pack("abc")).unwrap();
    assert_eq!(cache.find(&pack("abc")).unwrap().path(), first.path());
    for (name, mode) in [("pack.yaml", 0o444), ("actions/run.sh", 0o555)] {
        let metadata = fs::metadata(first.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    let made = fs::metadata(first.path()).unwrap().modified().unwrap();
    let second = cache.lay_out(&pack("abc")).unwrap();
    assert_eq!(fs::metadata(second.path()).unwrap().modified().unwrap(), made);
    assert_eq!(names(&dir.path().join("packs")), ["abc"]);
}

#[test]
fn what_leaves_the_pack_is_refused_and_nothing_stays() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PacksCache::open(dir.path().join("packs")).unwrap();
    for path in ["../x", "/etc/x", "a/../../x", ""] {
        let error = cache.lay_out(&Pack("abc".into(), vec![("ok", "", false), (path, "", false)])).unwrap_err();
        assert!(matches!(error, CacheError::Content { .. }), "{path}: {error}");
    }
    for hash in ["..", "a/b", "", ".hidden"] {
        assert!(matches!(cache.lay_out(&pack(hash)), Err(CacheError::Content { .. })), "{hash}");
        assert!(cache.find(&pack(hash)).is_none(), "{hash}");
    }
    assert!(names(&dir.path().join("packs")).is_empty());
    assert_eq!(names(dir.path()), ["packs"]);
}

/// What is wrong with the pack is so everywhere; what the disk refuses, another one may take.
#[test]
fn what_the_pack_is_and_what_the_disk_lacks_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PacksCache::open(dir.path().join("packs")).unwrap();
    let long: &'static str = "n".repeat(300).leak();
    for files in [
        vec![("a", "", false), ("a", "", false)],
        vec![("a", "", false), ("a/b", "", false)],
        vec![(long, "", false)],
        // No system takes that name.
        vec![("a\0b", "", false)],
    ] {
        let error = cache.lay_out(&Pack("abc".into(), files)).unwrap_err();
        assert!(matches!(error, CacheError::Content { .. }), "{error}");
    }
    // Names that one file system takes and another one does not.
    for (errno, is_own) in [(libc::EILSEQ, true), (libc::EINVAL, true), (libc::EACCES, false), (libc::ENOSPC, false)] {
        assert_eq!(is_its_own(&io::Error::from_raw_os_error(errno)), is_own, "{errno}");
    }
    fs::remove_dir(dir.path().join("packs")).unwrap();
    fs::write(dir.path().join("packs"), "").unwrap();
    let error = cache.lay_out(&pack("abc")).unwrap_err();
    assert!(matches!(error, CacheError::Io { .. }), "{error}");
}

#[test]
fn many_may_race_for_one_pack() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            // A cache of its own each, as processes have.
            let cache = PacksCache::open(dir.path().to_owned()).unwrap();
            scope.spawn(move || {
                for n in 0..20 {
                    let laid_out = cache.lay_out(&pack(&format!("p{n}"))).unwrap();
                    assert!(laid_out.path().join("actions/run.sh").is_file());
                }
            });
        }
    });
    assert_eq!(names(dir.path()).len(), 20);
}

#[test]
fn the_oldest_unused_pack_goes_beyond_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let cache = PacksCache::open(dir.path().to_owned()).unwrap();
    let used = cache.lay_out(&pack("used")).unwrap();
    for n in 0..PACKS_MAX + 3 {
        cache.lay_out(&Pack(format!("p{n:04}"), vec![])).unwrap();
    }
    let names = names(dir.path());
    assert_eq!(names.len(), PACKS_MAX);
    assert!(used.path().is_dir() && names.contains(&format!("p{:04}", PACKS_MAX + 2)));
}
