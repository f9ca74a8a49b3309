//! What this kernel and this user can give to keep actions in, in sentences.

use std::path::{Path, PathBuf};

use petrel_execution::runner::Guarantee;

use super::confine::{ABI_FILES, ABI_REFER, ABI_SCOPES, is_root, landlock_abi};
use super::filter::filters;
use super::group::Delegated;
use super::network;

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ability {
    /// The version of Landlock's interface; 0 if there is none.
    pub landlock_abi: u32,
    /// Whether system calls can be held back (seccomp).
    pub filters_calls: bool,
    /// Whether this process is root.
    pub is_root: bool,
    /// The control group in which this user may make others, where the kernel can kill one as a whole.
    pub cgroup: Option<PathBuf>,
    /// What such groups give.
    pub of_groups: Vec<Guarantee>,
    /// Whether an action can have a network of its own, in which nothing is.
    pub has_network_namespaces: bool,
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
        let delegated = Delegated::find();
        Self {
            landlock_abi: landlock_abi(),
            filters_calls: filters(),
            is_root: is_root(),
            of_groups: delegated.iter().flat_map(Delegated::guarantees).collect(),
            cgroup: delegated.map(|delegated| delegated.path().to_owned()),
            has_network_namespaces: network::can_leave(),
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
        let mut findings = vec![
            finding(abi >= ABI_SCOPES, signals),
            finding(self.filters_calls, calls),
            finding(abi >= ABI_REFER || !self.is_root, secrets),
            self.files(),
            self.network(),
            finding(!self.is_root, root),
            finding(self.lists_children, children),
        ];
        findings.extend(self.groups());
        findings
    }

    fn files(&self) -> Finding {
        let sentence = match self.landlock_abi {
            abi if abi >= ABI_FILES => {
                "An action with \"files: confined\" reads its pack and the system's programs, and writes its work directory \
                 (Landlock)."
            }
            abi if abi >= ABI_REFER => {
                "An action with \"files: confined\" is held to its files, but can empty others of its user (truncate): this \
                 kernel's Landlock cannot forbid it (Linux 6.2 can)."
            }
            _ => {
                "An action with \"files: confined\" is held to no files: this kernel has no Landlock (Linux 5.19 has)."
            }
        };
        Finding { is_given: self.landlock_abi >= ABI_FILES, sentence: sentence.to_owned() }
    }

    fn network(&self) -> Finding {
        let sentence = match (self.filters_calls, self.has_network_namespaces) {
            (true, true) => {
                "An action with \"network: none\" is in a network of its own, in which it can speak to itself only."
            }
            (true, false) => {
                "An action with \"network: none\" makes no sockets of networks, not even to speak to itself (seccomp): this \
                 user may make no network namespaces."
            }
            (false, true) => {
                "An action with \"network: none\" is in a network of its own, but reaches what is in no such namespace, as \
                 the host of a virtual machine (vsock): there is no seccomp."
            }
            (false, false) => {
                "An action with \"network: none\" has a network, but for connections of TCP where Landlock knows of them \
                 (Linux 6.7): there is no seccomp, and this user may make no network namespaces."
            }
        };
        Finding { is_given: self.filters_calls, sentence: sentence.to_owned() }
    }

    fn groups(&self) -> Vec<Finding> {
        let Some(cgroup) = &self.cgroup else {
            let sentence = "No control group was delegated to this user (cgroup v2; `Delegate=yes` and `DelegateSubgroup=petrel` \
                            in a service of systemd): memory, processes and processors of an action have no limit in common.";
            return vec![Finding { is_given: false, sentence: sentence.to_owned() }];
        };
        let at = cgroup.display();
        let mut findings = vec![Finding {
            is_given: true,
            sentence: format!("What an action starts can be ended in one step, by a control group in {at}."),
        }];
        let limits = [
            (Guarantee::TreeMemory, "tree_memory_bytes_max", "memory"),
            (Guarantee::TreeProcesses, "tree_processes_max", "pids"),
            (Guarantee::TreeCpus, "tree_cpus_max", "cpu"),
        ];
        findings.extend(limits.into_iter().map(|(guarantee, limit, controller)| {
            let is_given = self.of_groups.contains(&guarantee);
            let sentence = match is_given {
                true => format!("The limit {limit} holds for all that an action starts."),
                false => format!(
                    "The limit {limit} does not hold: {at} has no controller {controller} (cgroup v2) for groups in it, or \
                     processes of its own (`DelegateSubgroup=`)."
                ),
            };
            Finding { is_given, sentence }
        }));
        if self.landlock_abi < ABI_REFER {
            let sentence = "An action whose user may write to control groups can leave its own, so that none of that can be \
                            required: this kernel has no Landlock (Linux 5.19 has).";
            findings.push(Finding { is_given: false, sentence: sentence.to_owned() });
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let nothing = Ability {
            landlock_abi: 0,
            filters_calls: false,
            is_root: true,
            cgroup: None,
            of_groups: Vec::new(),
            has_network_namespaces: false,
            lists_children: false,
        };
        assert!(nothing.findings().iter().all(|finding| !finding.is_given));
        let all = Ability {
            landlock_abi: 6,
            filters_calls: true,
            is_root: false,
            cgroup: Some("/x".into()),
            of_groups: Guarantee::ALL.to_vec(),
            has_network_namespaces: true,
            lists_children: true,
        };
        assert!(all.findings().iter().all(|finding| finding.is_given));
        let given = |ability: &Ability| ability.findings().iter().map(|f| f.is_given).collect::<Vec<_>>();
        let old = Ability { landlock_abi: 5, is_root: false, ..nothing.clone() };
        assert_eq!(given(&old), [false, false, true, true, false, true, false, false]);
        let older = Ability { landlock_abi: ABI_REFER, filters_calls: true, ..nothing };
        assert_eq!(given(&older), [false, true, true, false, true, false, false, false]);
        // Of limits of the tree, some may be given.
        let some = Ability { of_groups: vec![Guarantee::Kill, Guarantee::TreeProcesses], ..all };
        assert_eq!(given(&some)[7..], [true, false, true, false]);
        // None of them can be required where an action can leave its group.
        let open = Ability { landlock_abi: 0, ..some };
        assert_eq!(given(&open).last(), Some(&false));
    }
}
