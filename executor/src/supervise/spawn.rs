//! Starts the action itself.
#![allow(unsafe_code)] // What a process passes on through `exec` is set by system calls of the child alone.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::raw::c_char;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::prctl::{get_thp_disable, set_dumpable, set_no_new_privs, set_pdeathsig, set_thp_disable};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, pipe2, setsid};
use petrel_execution::runner::Limits;

use super::bounds::Cell;
use super::clock::boot_ms;
use super::launch::Launcher;
use super::protocol::{Job, STREAM_FD_MAX, User};
use super::score::OF_ACTIONS;

/// What the child says whose lease has passed; no call that it makes says that.
const TOO_LATE: Errno = Errno::ETIME;
/// Standard input, output and error.
const STANDARD: usize = 3;
/// Highest number of a signal.
const SIGNAL_MAX: libc::c_int = 64;
/// Bytes of the kernel's `sigset_t`.
const SIGNAL_SET_BYTES: usize = 8;
/// Where programs are looked for without PATH, as the C library does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// What runs a program that the kernel can execute in no way, as POSIX has it.
const SHELL: &CStr = c"/bin/sh";

/// An action that was started, and the ends of its pipes that are its guard's.
pub struct Started {
    /// The action.
    pub main: Pid,
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
pub fn spawn(launcher: &mut Launcher, job: &Job, cell: &Cell, given: Option<OwnedFd>) -> io::Result<Started> {
    let mut theirs = Vec::new();
    let (stdin_fd, stdin) = match (job.stdin_bytes, given) {
        (_, Some(given)) => (Some(given), None),
        (0, None) => (None, None),
        (_, None) => {
            let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
            (Some(theirs), Some(ours))
        }
    };
    theirs.extend(stdin_fd.map(|fd| (fd, libc::STDIN_FILENO)));
    let mut streams = Vec::new();
    for stream in &job.streams {
        let (ours, end) = pipe2(OFlag::O_CLOEXEC)?;
        streams.push(ours);
        match stream.fd {
            1 | 2 => theirs.push((end, stream.fd)),
            3..=STREAM_FD_MAX => theirs.push((above_streams(&end)?, stream.fd)),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such stream")),
        }
    }
    // What an action sets of a descriptor is set for all who share it: this one is its own.
    for fd in 0..=2 {
        if theirs.iter().all(|(_, number)| *number != fd) {
            let kind = if fd == 0 { OFlag::O_RDONLY } else { OFlag::O_WRONLY };
            theirs.push((open("/dev/null", kind | OFlag::O_CLOEXEC, Mode::empty())?, fd));
        }
    }
    theirs.sort_by_key(|(_, number)| *number);
    let main = launch(launcher, job, cell, &theirs)?;
    Ok(Started { main, streams, stdin })
}

/// `theirs` begins with the standard streams.
fn launch(launcher: &mut Launcher, job: &Job, cell: &Cell, theirs: &[(OwnedFd, RawFd)]) -> io::Result<Pid> {
    let mut program = Program::new(job)?;
    let directory = text(job.directory.as_os_str().as_bytes())?;
    let shares_memory = may_share_memory(job, cell) && launcher.raise_score();
    // What a guard's allocator has switched off for itself is on for the action. Without huge pages it runs, too.
    let has_huge_pages = !get_thp_disable().unwrap_or(false);
    let prepare = || -> io::Result<()> {
        set_defaults()?;
        if !shares_memory {
            set_score()?;
        }
        // Before there are limits; and last of all the others, which may have the numbers of what is needed until then.
        let (standard, others) = theirs.split_at(STANDARD);
        take(standard)?;
        job.user.as_ref().map_or(Ok(()), become_user)?;
        // SAFETY: a path that ends in NUL.
        check(unsafe { libc::chdir(directory.as_ptr()) })?;
        set_pdeathsig(Signal::SIGKILL)?;
        limit(&job.limits)?;
        cell.join()?;
        let has_left = cell.leave_network()?;
        if !job.may.gain_privileges {
            set_no_new_privs()?;
        }
        let confined = cell.close(has_left);
        // An action that may gain rights cannot be confined by a worker that is not root.
        if !job.may.gain_privileges {
            confined?;
        }
        keep_from_others();
        take(others)?;
        // What comes before may have taken long, on a machine that slept, say.
        if boot_ms() >= job.lease_deadline_ms { Err(TOO_LATE.into()) } else { Ok(()) }
    };
    let _ = set_thp_disable(false);
    let started = launcher.start(shares_memory, &mut || match prepare() {
        Ok(()) => program.execute(),
        Err(error) => error,
    });
    let _ = set_thp_disable(!has_huge_pages);
    if shares_memory {
        launcher.lower_score();
    }
    started
}

/// Whether an action may begin in its guard's memory. Not one that becomes another user, for whom some systems make a memory
/// readable; nor what leaves the network by a user namespace, for the kernel refuses that.
fn may_share_memory(job: &Job, cell: &Cell) -> bool {
    job.user.is_none() && !cell.needs_memory_of_its_own()
}

/// What is executed, as `execvp` would in the directory and the environment of the job: texts that end in NUL, and lists of
/// them that end in null.
struct Program {
    /// In the order in which they are tried.
    paths: Vec<CString>,
    argv: Vec<*const c_char>,
    /// The same for a shell; behind its name goes the path.
    shell_argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// What is pointed to.
    _texts: [Vec<CString>; 2],
}

impl Program {
    fn new(job: &Job) -> io::Result<Self> {
        let program = job.argv.first().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
        let arguments: Vec<CString> = job.argv.iter().map(|one| text(one.as_bytes())).collect::<io::Result<_>>()?;
        let variables = job.environment.iter().map(|(name, value)| text(format!("{name}={value}").as_bytes()));
        let variables: Vec<CString> = variables.collect::<io::Result<_>>()?;
        let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
        let argv = [pointers(&arguments), vec![null()]].concat();
        let shell_argv = [&[SHELL.as_ptr(), null()], &argv[1..]].concat();
        let environment = [pointers(&variables), vec![null()]].concat();
        let paths = program_paths(program, job).iter().map(|path| text(path)).collect::<io::Result<_>>()?;
        Ok(Self { paths, argv, shell_argv, environment, _texts: [arguments, variables] })
    }

    /// Returns only if nothing could be executed: why. Makes system calls alone.
    fn execute(&mut self) -> io::Error {
        let (mut error, mut is_closed) = (Errno::ENOENT, false);
        for path in &self.paths {
            // SAFETY: what is pointed to lives as long as this, and ends as the kernel wants it.
            unsafe {
                libc::execve(path.as_ptr(), self.argv.as_ptr(), self.environment.as_ptr());
                if Errno::last() == Errno::ENOEXEC {
                    self.shell_argv[1] = path.as_ptr();
                    libc::execve(SHELL.as_ptr(), self.shell_argv.as_ptr(), self.environment.as_ptr());
                }
            }
            error = Errno::last();
            match error {
                Errno::EACCES => is_closed = true,
                Errno::ENOENT | Errno::ESTALE | Errno::ENOTDIR | Errno::ENODEV | Errno::ETIMEDOUT => {}
                _ => return error.into(),
            }
        }
        if is_closed { Errno::EACCES.into() } else { error.into() }
    }
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
fn program_paths(program: &str, job: &Job) -> Vec<Vec<u8>> {
    if program.contains('/') {
        return vec![job.directory.join(program).into_os_string().into_encoded_bytes()];
    }
    let folders = job.environment.get("PATH").map_or(DEFAULT_PATH, String::as_str).split(':');
    // An empty one is the working directory.
    folders.map(|folder| Path::new(folder).join(program).into_os_string().into_encoded_bytes()).collect()
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    Ok(CString::new(bytes)?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn become_user(user: &User) -> io::Result<()> {
    // By the calls themselves: functions of the C library would change all threads of a process, and may wait for them.
    // SAFETY: numbers, and a list of none.
    unsafe {
        let of_root = libc::geteuid() == 0;
        let result = |result: libc::c_long| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        result(libc::syscall(libc::SYS_setgid, user.gid))?;
        if of_root {
            result(libc::syscall(libc::SYS_setgroups, 0, null::<libc::gid_t>()))?;
        }
        result(libc::syscall(libc::SYS_setuid, user.uid))
    }
}

/// A duplicate that no stream's number is in the way of.
fn above_streams(fd: &OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let duplicate = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(STREAM_FD_MAX + 1))?;
    // SAFETY: it was just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

/// What POSIX promises.
fn set_defaults() -> io::Result<()> {
    // No process of the action can then join the group of its guard, which is spared when groups are signalled.
    setsid()?;
    for signal in 1..=SIGNAL_MAX {
        let default = [0_u64; 4];
        // SAFETY: the kernel reads its own `struct sigaction`, of at most these bytes and all zero: the default action.
        // libc's function keeps two signals to itself. SIGKILL and SIGSTOP refuse, as they should.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), null::<u8>(), SIGNAL_SET_BYTES);
        }
    }
    SigSet::empty().thread_set_mask()?;
    // SAFETY: it sets a number.
    unsafe { libc::umask(0o022) };
    Ok(())
}

/// Sets the score that was not inherited, in a memory of its own.
fn set_score() -> io::Result<()> {
    // The file belongs to root while this process is not dumpable, which `exec` ends anyway.
    set_dumpable(true)?;
    // SAFETY: constants, one of which ends in NUL; a descriptor that nobody else knows. Where it does not work, nothing is
    // lost.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, OF_ACTIONS.as_ptr().cast(), OF_ACTIONS.len());
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

/// Of the descriptors that this process has but for the standard ones, what it executes gets none.
fn keep_from_others() {
    // SAFETY: numbers only. Kernels before 5.11 do not know the call; there, what a library opened without O_CLOEXEC is
    // passed on.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// Passes descriptors on under these numbers.
fn take(theirs: &[(OwnedFd, RawFd)]) -> io::Result<()> {
    for (from, to) in theirs {
        // SAFETY: numbers only.
        if unsafe { libc::dup2(from.as_raw_fd(), *to) } < 0 {
            return Err(Errno::last().into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nix::sys::wait::{WaitStatus, waitpid};
    use petrel_execution::runner::May;

    use super::super::bounds::Bounds;
    use super::super::confine::Domains;
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
        let mut launcher = Launcher::new().unwrap();
        let mut spawn =
            |job: &Job| spawn(&mut launcher, job, &Bounds::new(job, &mut Domains::default()).unwrap().cell, None);
        let error = spawn(&job).err().unwrap();
        assert!(error.raw_os_error() == Some(TOO_LATE as i32) && !is_its_own(&error));
        assert!(!dir.path().join("ran").exists());
        let started = spawn(&Job { lease_deadline_ms: boot_ms() + 60_000, ..job }).unwrap();
        assert_eq!(waitpid(started.main, None), Ok(WaitStatus::Exited(started.main, 0)));
        assert!(dir.path().join("ran").exists());
    }
}
