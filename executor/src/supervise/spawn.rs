//! Starts the command itself.
#![allow(unsafe_code)] // `pre_exec` is the only way to set a death signal and to reset the signal mask

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::prctl::{set_pdeathsig, set_thp_disable};
use nix::sys::signal::{SigSet, Signal};

use super::protocol::Job;

/// Starts the job's command in a process group of its own, its stdin empty, its stdout and stderr piped.
/// The command dies with the supervisor; and it sees none of the signals blocked that the supervisor blocks.
///
/// # Errors
/// What the system says: no such file, not executable, too many arguments.
pub fn spawn(job: &Job) -> io::Result<Child> {
    let (program, arguments) =
        job.argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
    let mut command = Command::new(program_path(program, &job.directory));
    command
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(&job.environment)
        .current_dir(&job.directory)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: between fork and exec only async-signal-safe functions may be called; `prctl`,
    // `pthread_sigmask` and `close_range` are system calls, and neither closure nor wrappers allocate or lock.
    unsafe {
        command.pre_exec(|| {
            set_pdeathsig(Signal::SIGKILL)?;
            // This program's allocator has switched huge pages off, for its own memory. Without them the command runs, too.
            let _ = set_thp_disable(false);
            SigSet::empty().thread_set_mask()?;
            // What the worker's libraries left open for children is none of the command's business. Kernels
            // before 5.11 do not know the call; there the command inherits it.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            Ok(())
        });
    }
    command.spawn()
}

/// `./x` and `a/b` are meant relative to the working directory, `x` is searched in PATH.
fn program_path(program: &str, directory: &Path) -> PathBuf {
    if program.contains('/') { directory.join(program) } else { PathBuf::from(program) }
}
