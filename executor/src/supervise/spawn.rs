//! Starts the action itself.
#![allow(unsafe_code)] // `pre_exec` is the only way to set what a process passes on through `exec`.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl::{set_dumpable, set_no_new_privs, set_pdeathsig, set_thp_disable};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{pipe2, setsid};
use petrel_execution::runner::Limits;

use super::bounds::Cell;
use super::clock::boot_ms;
use super::protocol::{Job, STREAM_FD_MAX};

/// The kernel's lack of memory ends an action before it ends the worker.
const OOM_SCORE_ADJ: &CStr = c"500";
/// What the child says whose lease has passed; no call that it makes says that.
const TOO_LATE: Errno = Errno::ETIME;
/// Highest number of a signal.
const SIGNAL_MAX: libc::c_int = 64;
/// Bytes of the kernel's `sigset_t`.
const SIGNAL_SET_BYTES: usize = 8;

/// An action that was started, and the ends of its pipes that are its guard's.
pub struct Started {
    /// The action.
    pub child: Child,
    /// One for each stream of the job.
    pub streams: Vec<OwnedFd>,
    /// Its standard input, if it has any.
    pub stdin: Option<OwnedFd>,
}

/// Starts the job's program in a session of its own. It dies with its guard, finds signals, umask and descriptors
/// as POSIX has them, and is put into this cell. `given` is its standard input in the place of the job's.
///
/// # Errors
/// What the system says: no such file, not executable, too many arguments. [`is_its_own`] tells them from what is no
/// fault of the action.
pub fn spawn(job: &Job, cell: Cell, given: Option<OwnedFd>) -> io::Result<Started> {
    let (program, arguments) =
        job.argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
    let mut command = Command::new(program_path(program, &job.directory));
    command
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(&job.environment)
        .current_dir(&job.directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let is_given = given.is_some();
    let stdin = match (job.stdin_bytes, given) {
        (_, Some(given)) => {
            command.stdin(given);
            None
        }
        (0, None) => None,
        (_, None) => {
            let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
            command.stdin(theirs);
            Some(ours)
        }
    };
    if stdin.is_none() && !is_given {
        command.stdin(Stdio::null());
    }
    if let Some(user) = &job.user {
        command.uid(user.uid).gid(user.gid);
    }
    let (mut streams, mut beside) = (Vec::new(), Vec::new());
    for stream in &job.streams {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        streams.push(ours);
        match stream.fd {
            1 => _ = command.stdout(theirs),
            2 => _ = command.stderr(theirs),
            3..=STREAM_FD_MAX => beside.push((above_streams(&theirs)?, stream.fd)),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such stream")),
        }
    }
    let (may, limits, lease_deadline_ms) = (job.may, job.limits, job.lease_deadline_ms);
    // SAFETY: between fork and exec only async-signal-safe functions may be called; all that `prepare` does are system
    // calls, and neither it nor the wrappers allocate or lock.
    unsafe {
        command.pre_exec(move || {
            set_defaults()?;
            limit(&limits)?;
            cell.join()?;
            let has_left = cell.leave_network()?;
            if !may.gain_privileges {
                set_no_new_privs()?;
            }
            let confined = cell.close(has_left);
            // An action that may gain rights cannot be confined by a worker that is not root.
            if !may.gain_privileges {
                confined?;
            }
            leave_open(&beside)?;
            // What comes before may have taken long, on a machine that slept, say.
            if boot_ms() >= lease_deadline_ms { Err(TOO_LATE.into()) } else { Ok(()) }
        });
    }
    let child = command.spawn()?;
    Ok(Started { child, streams, stdin })
}

/// Whether a start failed by what the action is, and would anywhere: everything else may be what this machine lacks at
/// this moment, as memory, processes or descriptors, or a lease that has passed.
pub fn is_its_own(error: &io::Error) -> bool {
    use libc::{E2BIG, EACCES, EINVAL, EISDIR, ELIBBAD, ELOOP, ENAMETOOLONG, ENOENT, ENOEXEC, ENOTDIR, EPERM};
    let own = [E2BIG, EACCES, EINVAL, EISDIR, ELIBBAD, ELOOP, ENAMETOOLONG, ENOENT, ENOEXEC, ENOTDIR, EPERM];
    // Without a number, it is what the standard library refuses by itself.
    error.raw_os_error().is_none_or(|number| own.contains(&number))
}

/// `./x` and `a/b` are meant relative to the working directory, `x` is searched in PATH.
fn program_path(program: &str, directory: &Path) -> PathBuf {
    if program.contains('/') { directory.join(program) } else { PathBuf::from(program) }
}

/// A duplicate that no stream's number is in the way of.
fn above_streams(fd: &OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let duplicate = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(STREAM_FD_MAX + 1))?;
    // SAFETY: it was just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

fn set_defaults() -> io::Result<()> {
    // No process of the action can then join the group of its guard, which is spared when groups are signalled.
    setsid()?;
    set_pdeathsig(Signal::SIGKILL)?;
    // This program's allocator has switched huge pages off, for its own memory. Without them the command runs, too.
    let _ = set_thp_disable(false);
    for signal in 1..=SIGNAL_MAX {
        let default = [0_u64; 4];
        // SAFETY: the kernel reads its own `struct sigaction`, of at most these bytes and all zero: the default action.
        // libc's function keeps two signals to itself. SIGKILL and SIGSTOP refuse, as they should.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u8>(), SIGNAL_SET_BYTES);
        }
    }
    SigSet::empty().thread_set_mask()?;
    // SAFETY: it sets a number.
    unsafe { libc::umask(0o022) };
    // The file belongs to root while this process is not dumpable, which `exec` ends anyway.
    set_dumpable(true)?;
    // SAFETY: constants that end in NUL; a descriptor that nobody else knows. Where it does not work, nothing is lost.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, OOM_SCORE_ADJ.as_ptr().cast(), OOM_SCORE_ADJ.count_bytes());
            libc::close(file);
        }
    }
    Ok(())
}

fn limit(limits: &Limits) -> io::Result<()> {
    let values = [
        (libc::RLIMIT_NOFILE, limits.open_files_max),
        (libc::RLIMIT_FSIZE, limits.file_bytes_max),
        (libc::RLIMIT_AS, limits.memory_bytes_max),
        (libc::RLIMIT_NPROC, limits.processes_max),
        (libc::RLIMIT_CPU, limits.cpu_s_max),
    ];
    for (resource, most) in values {
        let Some(most) = most else { continue };
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the kernel writes the struct, and then reads it.
        let result = unsafe {
            libc::getrlimit(resource, &raw mut limit);
            // Nobody but root can have more than the worker may.
            limit.rlim_max = limit.rlim_max.min(most);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(resource, &raw const limit)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Descriptors that are passed on: 0, 1, 2 and those of the other streams.
fn leave_open(beside: &[(OwnedFd, RawFd)]) -> io::Result<()> {
    // SAFETY: numbers only. Kernels before 5.11 do not know the first call; there, what a library opened without
    // O_CLOEXEC is passed on.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        for (from, to) in beside {
            if libc::dup2(from.as_raw_fd(), *to) < 0 {
                return Err(Errno::last().into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use petrel_execution::runner::May;

    use super::super::bounds::Bounds;
    use super::super::confinement::Confinement;
    use super::super::protocol::Telling;
    use super::*;

    #[test]
    fn nothing_is_executed_behind_the_end_of_its_lease() {
        let dir = tempfile::tempdir().unwrap();
        let job = Job {
            argv: ["sh", "-c", "echo > ran"].map(str::to_owned).to_vec(),
            environment: BTreeMap::new(),
            directory: dir.path().to_owned(),
            stdin_bytes: 0,
            streams: Vec::new(),
            telling: Telling::default(),
            timeout_ms: 1_000,
            lease_deadline_ms: boot_ms(),
            kill_grace_ms: 0,
            user: None,
            limits: Limits::default(),
            may: May::default(),
            container: None,
            confinement: Confinement::default(),
        };
        let spawn = |job: &Job| spawn(job, Bounds::new(job).unwrap().cell, None);
        let error = spawn(&job).err().unwrap();
        assert!(error.raw_os_error() == Some(TOO_LATE as i32) && !is_its_own(&error));
        assert!(!dir.path().join("ran").exists());
        let mut started = spawn(&Job { lease_deadline_ms: boot_ms() + 60_000, ..job }).unwrap();
        assert!(started.child.wait().unwrap().success());
        assert!(dir.path().join("ran").exists());
    }
}
