//! What this kernel and this user can give to keep actions in, in sentences.

use std::path::{Path, PathBuf};

use super::confine::{ABI_REFER, ABI_SCOPES, is_root, landlock_abi};
use super::filter::Filter;

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ability {
    /// The version of Landlock's interface; 0 if there is none.
    pub landlock_abi: u32,
    /// Whether system calls can be held back (seccomp).
    pub filters_calls: bool,
    /// Whether this process is root.
    pub is_root: bool,
    /// The own control group, where this user may make others in it and the kernel can kill one as a whole.
    pub cgroup: Option<PathBuf>,
    /// Whether the kernel lists the children of a process.
    pub lists_children: bool,
}

/// Something that is given or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is.
    pub is_given: bool,
    /// A sentence for people.
    pub sentence: String,
}

impl Ability {
    /// Looks at this machine and this process.
    pub fn look() -> Self {
        Self {
            landlock_abi: landlock_abi(),
            filters_calls: Filter::new().is_some(),
            is_root: is_root(),
            cgroup: own_cgroup().filter(|cgroup| can_delegate(cgroup)),
            lists_children: Path::new("/proc/thread-self/children").exists(),
        }
    }

    /// What follows from it for actions.
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |is_given, sentence: &str| Finding { is_given, sentence: sentence.to_owned() };
        let abi = self.landlock_abi;
        let signals = match abi >= ABI_SCOPES {
            true => "An action cannot signal, stop or kill Petrel's processes, nor another action's (Landlock).",
            false => {
                "An action can signal Petrel's processes of the same user: this kernel's Landlock cannot forbid it \
                 (Linux 6.12 can). A guard or supervisor that is stopped or killed is noticed, and what ran under it is \
                 ended; one that kills the worker, the supervisor and its guard at once gets away."
            }
        };
        let calls = match self.filters_calls {
            true => {
                "An action cannot change limits, priority and processors of Petrel's processes, nor another action's \
                 (seccomp)."
            }
            false => {
                "An action can change limits, priority and processors of Petrel's processes of the same user: this kernel \
                 has no seccomp, or Petrel does not know the system calls of this processor."
            }
        };
        let secrets = match abi >= ABI_REFER {
            true => "An action cannot read memory, environment and descriptors of Petrel's processes (Landlock).",
            false if self.is_root => {
                "An action can read memory, environment and descriptors of Petrel's processes: it runs as root, and this \
                 kernel has no Landlock (Linux 5.19 has)."
            }
            false => {
                "Petrel's processes cannot be read by others of their user, but only because they are not dumpable."
            }
        };
        let root = match self.is_root {
            false => "The worker is not root.",
            true => {
                "The worker is root, and so are its actions: what is forbidden to them here they may yet reach over files \
                 and devices. Run the worker as a user of its own."
            }
        };
        let children = match self.lists_children {
            true => "Processes of an action are found by the kernel's lists of children.",
            false => "This kernel lists no children (CONFIG_PROC_CHILDREN): ending an action reads all of /proc.",
        };
        vec![
            finding(abi >= ABI_SCOPES, signals),
            finding(self.filters_calls, calls),
            finding(abi >= ABI_REFER || !self.is_root, secrets),
            finding(!self.is_root, root),
            finding(self.lists_children, children),
            match &self.cgroup {
                Some(cgroup) => Finding {
                    is_given: true,
                    sentence: format!(
                        "Control groups can be made in {}; this release makes none yet, and ends actions process by process.",
                        cgroup.display()
                    ),
                },
                None => finding(
                    false,
                    "No control group was delegated to this user (cgroup v2; `Delegate=yes` in a service of systemd): \
                     memory and processes of an action have no limit in common.",
                ),
            },
        ]
    }
}

/// By cgroup v2 alone.
fn own_cgroup() -> Option<PathBuf> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(at))
    })?;
    Some(mount.join(path))
}

/// Whether the user may make groups in it, and move itself there. The root group is nobody's to share out.
fn can_delegate(cgroup: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    let may_write = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    cgroup.join("cgroup.kill").exists() && may_write(cgroup) && may_write(&cgroup.join("cgroup.procs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let nothing =
            Ability { landlock_abi: 0, filters_calls: false, is_root: true, cgroup: None, lists_children: false };
        assert!(nothing.findings().iter().all(|finding| !finding.is_given));
        let all = Ability {
            landlock_abi: 6,
            filters_calls: true,
            is_root: false,
            cgroup: Some("/x".into()),
            lists_children: true,
        };
        assert!(all.findings().iter().all(|finding| finding.is_given));
        let old = Ability { landlock_abi: 5, is_root: false, ..nothing };
        let given: Vec<_> = old.findings().iter().map(|f| f.is_given).collect();
        assert_eq!(given, [false, false, true, true, false, false]);
    }
}
