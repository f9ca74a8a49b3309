//! What the kernel keeps an action from: Landlock. `reach` has the files of one that is held to some.
#![allow(unsafe_code)] // libc has no functions for Landlock.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::OnceLock;

use nix::unistd::{AccessFlags, access};

use super::clock::boot_ms;
use super::confinement::Reach;
use super::reach::{handled, rules};

/// `struct landlock_ruleset_attr`, as of the sixth version of its interface.
#[repr(C)]
#[derive(Default)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: RawFd,
}

const CREATE_RULESET_VERSION: libc::c_uint = 1;
const RULE_PATH_BENEATH: libc::c_int = 1;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
const SCOPE_SIGNAL: u64 = 1 << 1;
const ACCESS_NET_BIND_TCP: u64 = 1 << 0;
const ACCESS_NET_CONNECT_TCP: u64 = 1 << 1;
const ACCESS_FS_WRITE_FILE: u64 = 1 << 1;
const ACCESS_FS_REFER: u64 = 1 << 13;
/// Where control groups are, on every system that has them.
const CGROUPS: &str = "/sys/fs/cgroup";
/// The first version that can hold signals and abstract sockets back.
pub const ABI_SCOPES: u32 = 6;
/// The first version that knows of TCP.
const ABI_TCP: u32 = 4;
/// The first version that holds a file back from every way to write to it.
pub const ABI_FILES: u32 = 3;
/// The first version with a right that may be handled without forbidding anything.
pub const ABI_REFER: u32 = 2;

/// The version of Landlock's interface that this kernel has; 0 if it has none, or it is switched off.
pub fn landlock_abi() -> u32 {
    static ABI: OnceLock<u32> = OnceLock::new();
    *ABI.get_or_init(|| {
        // SAFETY: with this flag, the call takes no pointer and makes nothing.
        let abi = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, CREATE_RULESET_VERSION)
        };
        u32::try_from(abi).unwrap_or(0)
    })
}

/// Whether this process has root's rights.
pub fn is_root() -> bool {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::geteuid() == 0 }
}

/// What keeps an action from other processes, ready to be entered between `fork` and `exec`.
pub struct Domain {
    ruleset: OwnedFd,
    scopes_signals: bool,
}

/// How long it is believed what was found of the machine's folders and control groups, in milliseconds.
const BELIEVED_MS: u64 = 1_000;

/// Domains of actions that are held to no files of their own, for looking at the machine takes longer than starting one.
/// All that is in a domain is in one of its own, for entering it makes one.
#[derive(Default)]
pub struct Domains {
    /// Without signals to others, and with them; since when, in milliseconds of `CLOCK_BOOTTIME`.
    made: [Option<(u64, Rc<Domain>)>; 2],
}

impl Domains {
    /// One that was made of late, or a new one.
    ///
    /// # Errors
    /// As [`Domain::new`].
    pub fn get(&mut self, abi: u32, wanted: Wanted<'_>) -> io::Result<Option<Rc<Domain>>> {
        if wanted.reach.is_some() || wanted.no_tcp {
            return Ok(Domain::new(abi, wanted)?.map(Rc::new));
        }
        let (made, now_ms) = (&mut self.made[usize::from(wanted.signal_others)], boot_ms());
        if let Some((since_ms, domain)) = made
            && now_ms < since_ms.saturating_add(BELIEVED_MS)
        {
            return Ok(Some(domain.clone()));
        }
        let domain = Domain::new(abi, wanted)?.map(Rc::new);
        *made = domain.clone().map(|domain| (now_ms, domain));
        Ok(domain)
    }
}

/// What a domain is to hold back beside other processes' memory.
#[derive(Clone, Copy, Default)]
pub struct Wanted<'j> {
    /// Signals to other processes are not.
    pub signal_others: bool,
    /// All files but these.
    pub reach: Option<&'j Reach>,
    /// Connections of TCP.
    pub no_tcp: bool,
}

impl Domain {
    /// A Landlock domain. What is in it cannot look into a process outside of it (`ptrace`, `/proc/<pid>/environ`, `mem`,
    /// `fd`), be it of the same user or by root's rights. Unless `signal_others`, from the sixth version on it cannot
    /// signal one either; and it cannot write to control groups where this user may, for who freezes the group of a worker
    /// stops whatever watches. From the sixth version on it cannot reach an abstract socket that was bound outside. Of files
    /// it reaches those that are wanted, of which control groups are never to be written to. What can be reached by other
    /// means is not changed. Nothing, where the kernel has no such domains.
    ///
    /// # Errors
    /// What the system says: most of all that there are no descriptors left. A path that is wanted and cannot be opened
    /// is named.
    pub fn new(abi: u32, wanted: Wanted<'_>) -> io::Result<Option<Self>> {
        if abi < ABI_REFER {
            return Ok(None);
        }
        let Wanted { signal_others, reach, no_tcp } = wanted;
        let mut attr = RulesetAttr::default();
        if abi >= ABI_SCOPES {
            attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | if signal_others { 0 } else { SCOPE_SIGNAL };
        }
        if no_tcp && abi >= ABI_TCP {
            attr.handled_access_net = ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP;
        }
        if let Some(reach) = reach {
            attr.handled_access_fs = handled(abi);
            let domain = Self::empty(&attr)?;
            domain.allow_reach(reach, abi)?;
            return Ok(Some(domain));
        }
        let kept_from = (!signal_others && are_cgroups_writable()).then(|| Path::new(CGROUPS));
        if kept_from.is_some() {
            attr.handled_access_fs = ACCESS_FS_WRITE_FILE | ACCESS_FS_REFER;
        } else if abi < ABI_SCOPES {
            // A domain has to handle something.
            attr.handled_access_fs = ACCESS_FS_REFER;
        }
        let domain = Self::empty(&attr)?;
        match kept_from {
            Some(path) => domain.allow_all_but(path)?,
            None if attr.handled_access_fs != 0 => domain.allow(Path::new("/"), attr.handled_access_fs)?,
            None => {}
        }
        Ok(Some(domain))
    }

    fn empty(attr: &RulesetAttr) -> io::Result<Self> {
        Ok(Self { ruleset: create_ruleset(attr)?, scopes_signals: attr.scoped & SCOPE_SIGNAL != 0 })
    }

    /// Whether what is in it can signal nothing outside of it.
    pub fn scopes_signals(&self) -> bool {
        self.scopes_signals
    }

    /// Puts the calling thread, and what it will start, into it.
    ///
    /// Allocates nothing and takes no lock: it may be called between `fork` and `exec`.
    ///
    /// # Errors
    /// What the system says: most of all `EPERM`, without `PR_SET_NO_NEW_PRIVS` and without CAP_SYS_ADMIN.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: no pointers.
        let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.ruleset.as_raw_fd(), 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn allow_reach(&self, reach: &Reach, abi: u32) -> io::Result<()> {
        for rule in rules(reach) {
            let opened = open(&rule.path).and_then(|file| Ok((file.metadata()?.is_dir(), file)));
            match opened {
                Ok((is_folder, file)) => self.allow_opened(&file, rule.rights(abi, is_folder))?,
                Err(e) if rule.is_listed => {
                    return Err(io::Error::new(e.kind(), format!("{}: {e}", rule.path.display())));
                }
                // What the system has not, or its user may not open.
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
                Err(e) if e.raw_os_error() == Some(libc::ENXIO) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Allows writing and moving everywhere but beneath that folder. Rules can only allow, and hold for what is beneath:
    /// so everything else that is in the folders over it is allowed by itself. What is put right into one of these later
    /// cannot be written to.
    fn allow_all_but(&self, kept_from: &Path) -> io::Result<()> {
        let over: Vec<&Path> = kept_from.ancestors().collect();
        for folder in &over[1..] {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let (path, kind) = (entry.path(), entry.file_type()?);
                // Where a link leads is allowed, or not, by itself.
                if over.contains(&path.as_path()) || kind.is_symlink() {
                    continue;
                }
                let rights = match kind.is_dir() {
                    true => ACCESS_FS_WRITE_FILE | ACCESS_FS_REFER,
                    false => ACCESS_FS_WRITE_FILE,
                };
                // What cannot be opened cannot be written to.
                if let Err(e) = self.allow(&path, rights)
                    && !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
                {
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    fn allow(&self, path: &Path, access: u64) -> io::Result<()> {
        self.allow_opened(&open(path)?, access)
    }

    fn allow_opened(&self, parent: &File, access: u64) -> io::Result<()> {
        let attr = PathBeneathAttr { allowed_access: access, parent_fd: parent.as_raw_fd() };
        let ruleset = self.ruleset.as_raw_fd();
        // SAFETY: the kernel reads the struct, which lives until the call returns.
        let result =
            unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &raw const attr, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_PATH).open(path)
}

fn create_ruleset(attr: &RulesetAttr) -> io::Result<OwnedFd> {
    // Older kernels refuse bytes that they do not know unless they are zero.
    let bytes = size_of::<RulesetAttr>();
    // SAFETY: the kernel reads that many bytes of the struct.
    let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::from_ref(attr), bytes, 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: it was just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether this user may move processes to other control groups: at the root of any hierarchy, or from where this process
/// is in it.
fn are_cgroups_writable() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own: Vec<&str> = own.lines().filter_map(|line| line.rsplit_once(":/").map(|(_, path)| path)).collect();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        let (Some(at), Some(kind)) = (fields.next().map(Path::new), fields.next()) else { return false };
        let may_write = |path: &str| access(&at.join(path).join("cgroup.procs"), AccessFlags::W_OK).is_ok();
        kind.starts_with("cgroup")
            && at.starts_with(CGROUPS)
            && (may_write("") || own.iter().any(|path| may_write(path)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use nix::sys::prctl::set_no_new_privs;

    use super::*;

    /// What a shell says that tries in such a domain to signal its parent and to look into it, and moves a file to
    /// another folder by its name alone.
    fn try_in_domain(abi: u32, signal_others: bool) -> String {
        let text = "kill -0 $PPID 2>/dev/null && printf signal\n(: < /proc/$PPID/mem) 2>/dev/null && printf memory\n\
                    mkdir a b && echo x > a/x && ln a/x b/x 2>&1 && printf linked";
        let dir = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", text]).current_dir(dir.path());
        let domain = Domain::new(abi, Wanted { signal_others, ..Wanted::default() }).unwrap().unwrap();
        // SAFETY: it only makes system calls.
        unsafe { shell.pre_exec(move || set_no_new_privs().map_err(io::Error::from).and_then(|()| domain.enter())) };
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_domain_holds_back_what_its_version_can() {
        let abi = landlock_abi();
        if abi < ABI_REFER {
            return assert!(Domain::new(abi, Wanted::default()).unwrap().is_none());
        }
        // As an older kernel would.
        assert_eq!(try_in_domain(ABI_REFER, false), "signallinked");
        if abi >= ABI_SCOPES {
            assert_eq!(try_in_domain(abi, false), "linked");
            assert_eq!(try_in_domain(abi, true), "signallinked");
        }
    }

    #[test]
    fn a_folder_is_kept_from_what_may_write_everywhere_else() {
        let abi = landlock_abi();
        if abi < ABI_REFER {
            return assert!(Domain::new(abi, Wanted::default()).unwrap().is_none());
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        for folder in ["kept", "free"] {
            std::fs::create_dir(path.join(folder)).unwrap();
        }
        let attr = RulesetAttr { handled_access_fs: ACCESS_FS_WRITE_FILE | ACCESS_FS_REFER, ..RulesetAttr::default() };
        let domain = Domain::empty(&attr).unwrap();
        domain.allow_all_but(&path.join("kept")).unwrap();
        let text = "(echo > kept/a) 2>/dev/null && printf kept; echo > free/a && mv free/a free/b && ln free/b free/c && \
                    printf free; cat kept/* && echo > /dev/null && printf null";
        std::fs::write(path.join("kept/read"), "read").unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", text]).current_dir(&path);
        // SAFETY: it only makes system calls.
        unsafe { shell.pre_exec(move || set_no_new_privs().map_err(io::Error::from).and_then(|()| domain.enter())) };
        assert_eq!(String::from_utf8(shell.output().unwrap().stdout).unwrap(), "freereadnull");
    }
}
