//! Whom the kernel ends first for want of memory: an action before what watches it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use nix::sys::prctl::{get_dumpable, set_dumpable};

use super::confine::{ABI_REFER, is_root, landlock_abi};

/// The score of an action: the kernel's lack of memory ends it before it ends the worker.
pub const OF_ACTIONS: &[u8] = b"500";
const PATH: &str = "/proc/self/oom_score_adj";

/// This process's own score, which children inherit.
pub struct Score {
    file: File,
    own: Vec<u8>,
}

impl Score {
    /// The file of it, where this process may have it. It belongs to root while the process is not dumpable; who is not root
    /// opens it while it is, which is no time for secrets to be in memory, and only where the kernel keeps actions, and all
    /// else of that user, from looking into it then: who looks in once may look for as long as the process lives.
    ///
    /// # Errors
    /// If the process could not be made what it was.
    pub fn open() -> std::io::Result<Option<Self>> {
        let was_dumpable = get_dumpable()?;
        let opens = !was_dumpable && !is_root();
        if opens && (landlock_abi() < ABI_REFER || !keeps_out_its_own_user()) {
            return Ok(None);
        }
        if opens {
            set_dumpable(true)?;
        }
        let file = File::options().read(true).write(true).open(PATH);
        if opens {
            set_dumpable(false)?;
        }
        let Ok(mut file) = file else { return Ok(None) };
        let mut own = Vec::new();
        Ok(file.read_to_end(&mut own).is_ok().then_some(Self { file, own }))
    }

    /// What is started now inherits the score of an action; whether it does.
    pub fn raise(&self) -> bool {
        self.file.write_all_at(OF_ACTIONS, 0).is_ok()
    }

    /// This process has its own again.
    pub fn lower(&self) {
        // What may be set once may be set again; else this process goes when its action does.
        let _ = self.file.write_all_at(&self.own, 0);
    }
}

/// Whether a process is kept from looking into others of its user that it has not started itself.
fn keeps_out_its_own_user() -> bool {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    scope.trim().parse::<u8>().is_ok_and(|scope| scope >= 1)
}
