//! Children that never outlive the test.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A shell that waits for the end of its standard input, which comes when this process ends, however
/// it ends; then it kills the process that it guards and removes its directory.
///
/// `Drop` alone is not enough: it does not run for statics, nor after `kill -9` or an abort.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
}

impl Guardian {
    /// Guards the process `pid`; `dir` is removed with it.
    pub(crate) fn watch(pid: u32, dir: Option<&Path>) -> Result<Guardian> {
        // `$1` and `$2` are arguments, not text of the script: no path can break out of it.
        // Ctrl-C reaches the whole foreground group; the shell must survive it to do its work.
        let script = r#"trap '' INT TERM HUP; read -r _; kill -9 "$1" 2>/dev/null; [ -z "$2" ] || { sleep 0.2; rm -rf -- "$2"; }"#;
        let shell = Command::new("sh")
            .args(["-c", script, "guardian"])
            .arg(pid.to_string())
            .arg(dir.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh, which guards the processes of a test")?;
        Ok(Guardian { shell })
    }

    /// Does what the end of this process would do.
    #[cfg(test)]
    pub(crate) fn close_input(&mut self) {
        drop(self.shell.stdin.take());
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Killed before its input ends: whoever drops it has dealt with the process already, and the
        // pid may belong to another one by now.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
