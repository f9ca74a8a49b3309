//! A child process between its beginning and `exec`, which shares its parent's memory where it may.
//!
//! Copying the page tables of a guard, and then the pages that either of both writes to, costs more than all else about a
//! start. So the child runs in the memory of its parent, which stands still until the child has executed its program or
//! ended (`CLONE_VM`, `CLONE_VFORK`). Descriptors, handlers of signals, working directory and identity are its own. What
//! belongs to the memory is not to be changed in it: whether it is dumpable, and whether it has huge pages.
#![allow(unsafe_code)] // Neither the call nor what the child may do there can be said otherwise.

use std::io;
use std::os::raw::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::score::Score;

/// Bytes for the stack of a child, which makes system calls and little else, and for what it says.
const STACK_BYTES: usize = 256 << 10;

/// Where children begin. One at a time does.
pub struct Launcher {
    /// Shared with a child that has a memory of its own, too.
    area: *mut c_void,
    score: Option<Score>,
}

/// What a child does before its program; it returns only if it could not execute that.
///
/// It may share the memory of its parent, so it makes system calls and nothing else: it neither allocates nor locks, and
/// frees nothing that it has not made.
pub type Steps<'s> = dyn FnMut() -> io::Error + 's;

struct Begun<'s, 'b> {
    steps: &'b mut Steps<'s>,
    said: *const AtomicI32,
}

impl Launcher {
    /// Takes room for it.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        let score = Score::open()?;
        let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: new pages, which nobody else knows.
        let area = unsafe { libc::mmap(std::ptr::null_mut(), STACK_BYTES, rights, kind, -1, 0) };
        if area == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { area, score }) }
    }

    /// What is started now has the score of an action from its beginning; whether it has.
    pub fn raise_score(&self) -> bool {
        self.score.as_ref().is_some_and(Score::raise)
    }

    /// This process has its own score again.
    pub fn lower_score(&self) {
        self.score.iter().for_each(Score::lower);
    }

    /// Starts a child, and waits until it has executed its program.
    ///
    /// # Errors
    /// What the system says, or its steps: then there is no child any more.
    pub fn start(&mut self, shares_memory: bool, steps: &mut Steps<'_>) -> io::Result<Pid> {
        let said = self.area.cast::<AtomicI32>();
        // SAFETY: the beginning of the area is aligned, lives as long as this, and is written to by atomics only.
        unsafe { (*said).store(0, Ordering::SeqCst) };
        let mut begun = Begun { steps, said };
        let flags = libc::CLONE_VFORK | libc::SIGCHLD | if shares_memory { libc::CLONE_VM } else { 0 };
        // No handler of this process may run in the child.
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
        // SAFETY: the stack is the area's, but for its beginning, and grows towards that; nobody else uses it, for the
        // call returns when the child is done with it. `begun` lives as long.
        let pid = unsafe {
            let stack_end = self.area.cast::<u8>().add(STACK_BYTES);
            libc::clone(begin, stack_end.cast(), flags, (&raw mut begun).cast())
        };
        let error = Errno::last();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
        if pid < 0 {
            return Err(error.into());
        }
        let pid = Pid::from_raw(pid);
        // SAFETY: as above.
        match unsafe { (*said).load(Ordering::SeqCst) } {
            0 => Ok(pid),
            number => {
                while waitpid(pid, None) == Err(Errno::EINTR) {}
                Err(io::Error::from_raw_os_error(number))
            }
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // SAFETY: it is this value's own, and no child uses it any more.
        unsafe { libc::munmap(self.area, STACK_BYTES) };
    }
}

extern "C" fn begin(begun: *mut c_void) -> c_int {
    // SAFETY: what `start` has given, which stands still meanwhile; in a memory of its own, the child has a copy of it.
    let begun = unsafe { &mut *begun.cast::<Begun<'_, '_>>() };
    let error = (begun.steps)();
    // What the standard library says by itself has no number.
    let number = error.raw_os_error().unwrap_or(libc::EINVAL);
    // SAFETY: the area is mapped here, too.
    unsafe { (*begun.said).store(number, Ordering::SeqCst) };
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_cannot_go_on_says_why_and_is_gone() {
        let mut launcher = Launcher::new().unwrap();
        let parent = std::process::id();
        for shares_memory in [true, false] {
            let mut written = 0;
            let error = launcher
                .start(shares_memory, &mut || {
                    written = 7;
                    // SAFETY: it takes nothing.
                    assert_ne!(unsafe { libc::getpid() }.unsigned_abs(), parent);
                    Errno::EXDEV.into()
                })
                .unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EXDEV));
            // Which memory it was.
            assert_eq!(written, if shares_memory { 7 } else { 0 });
        }
    }

    #[test]
    fn what_it_executes_runs_beside_its_parent() {
        let mut launcher = Launcher::new().unwrap();
        for shares_memory in [true, false] {
            let program = [c"/bin/sh".as_ptr(), c"-c".as_ptr(), c"exit 9".as_ptr(), std::ptr::null()];
            let pid = launcher.start(shares_memory, &mut || {
                // SAFETY: texts that end in NUL, and a list of them that ends in null.
                unsafe { libc::execve(program[0], program.as_ptr(), [std::ptr::null()].as_ptr()) };
                io::Error::last_os_error()
            });
            let pid = pid.unwrap();
            assert_eq!(waitpid(pid, None), Ok(nix::sys::wait::WaitStatus::Exited(pid, 9)));
        }
    }
}
