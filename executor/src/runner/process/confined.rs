//! What a process may reach of the machine's files, on this worker.

use std::path::{Path, PathBuf};

use petrel_execution::runner::{Confine, FileAccess, May};

use super::super::RunnerOptions;
use super::work::WorkDirectory;
use crate::supervise::{Confinement, Reach};

/// What a guard is told of it.
///
/// # Errors
/// If it asks for what this worker keeps to itself.
pub(in crate::runner) fn confined(
    confine: &Confine,
    may: May,
    options: &RunnerOptions,
    actions: &Path,
    work: Option<&WorkDirectory>,
) -> Result<Confinement, String> {
    let is_confined = match confine.files {
        FileAccess::Confined => true,
        FileAccess::Unconfined => false,
        // What gains rights by other programs cannot be confined.
        FileAccess::Default => options.confines_files && !may.gain_privileges,
    };
    let mut confinement = Confinement {
        files: None,
        no_unix_sockets: is_confined && !confine.unix_sockets,
        no_network: confine.no_network,
        required: confine.required.clone(),
    };
    if is_confined {
        for path in confine.reads.iter().chain(&confine.writes) {
            check(Path::new(path), &options.kept)?;
        }
        if let Some(path) = confine.writes.iter().find(|path| leads_into_the_kernel(Path::new(path))) {
            return Err(format!("\"confine\" asks to write {path}, which leads into /proc or /sys"));
        }
        let paths = |own: &Path, listed: &[String]| {
            std::iter::once(own.to_owned()).chain(listed.iter().map(PathBuf::from)).collect()
        };
        let reads = paths(pack_of(actions), &confine.reads);
        let writes = work.map_or_else(Vec::new, |work| paths(work.path(), &confine.writes));
        confinement.files = Some(Reach { reads, writes });
    }
    Ok(confinement)
}

/// Where a process finds room for what it writes beside, if it may not write where others do.
pub(in crate::runner) fn variables(work: &WorkDirectory) -> impl Iterator<Item = (String, String)> {
    let path = work.path().to_string_lossy().into_owned();
    ["HOME", "TMPDIR"].into_iter().map(move |name| (name.to_owned(), path.clone()))
}

/// The folder of the pack of that folder of programs.
fn pack_of(actions: &Path) -> &Path {
    match actions.parent() {
        Some(pack) if actions.ends_with("actions") => pack,
        _ => actions,
    }
}

/// As its text says where it stands itself, a link does not say that.
fn leads_into_the_kernel(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|real| ["/proc", "/sys"].iter().any(|root| real.starts_with(root)))
}

/// Links lead where they lead: what is compared is what would be opened.
fn check(path: &Path, kept: &[PathBuf]) -> Result<(), String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let asked = real(path);
    let is_kept = |own: &PathBuf| {
        let own = real(own);
        own.starts_with(&asked) || asked.starts_with(&own)
    };
    match kept.iter().any(is_kept) {
        true => {
            Err(format!("\"confine\" asks for {}, which is or holds what this worker keeps to itself", path.display()))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::work::WorkDirectories;
    use super::*;

    #[test]
    fn a_process_is_confined_where_it_or_its_worker_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkDirectories::open(dir.path().join("work")).unwrap();
        let work = work.make(None).unwrap();
        let of = |files, confines_files, may| {
            let options = RunnerOptions { confines_files, ..RunnerOptions::default() };
            let confine =
                Confine { files, reads: vec!["/r".to_owned()], writes: vec!["/w".to_owned()], ..Confine::default() };
            confined(&confine, may, &options, Path::new("/p/actions"), Some(&work)).unwrap()
        };
        let nothing = May::default();
        let asked = of(FileAccess::Confined, false, nothing);
        let reach = Reach { reads: vec!["/p".into(), "/r".into()], writes: vec![work.path().to_owned(), "/w".into()] };
        assert!(asked.no_unix_sockets && asked.files == Some(reach));
        assert_eq!(of(FileAccess::Default, true, nothing), asked);
        let gains = May { gain_privileges: true, ..nothing };
        for free in [
            of(FileAccess::Unconfined, true, nothing),
            of(FileAccess::Default, false, nothing),
            of(FileAccess::Default, true, gains),
        ] {
            assert_eq!(free, Confinement::default());
        }
    }

    #[test]
    fn what_a_worker_keeps_is_given_to_nobody_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        std::fs::create_dir_all(path.join("data/work")).unwrap();
        std::fs::create_dir(path.join("free")).unwrap();
        std::os::unix::fs::symlink(path.join("data"), path.join("link")).unwrap();
        let kept = [path.join("data")];
        for asked in ["data", "data/work", "link", ""] {
            assert!(check(&path.join(asked), &kept).is_err(), "{asked}");
        }
        assert_eq!(check(&path.join("free"), &kept), Ok(()));
        std::os::unix::fs::symlink("/proc/self/task", path.join("kernel")).unwrap();
        assert!(leads_into_the_kernel(&path.join("kernel")) && !leads_into_the_kernel(&path.join("link")));
        // It may come to be.
        assert!(check(&path.join("data/none"), &kept).is_err());
    }
}
