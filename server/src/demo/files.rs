//! The files of the demo, which are part of the program.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// A file: where it goes, what is in it, its mode.
type File = (&'static str, &'static str, u32);

macro_rules! files {
    ($folder:literal: $($path:literal $mode:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../", $folder, "/", $path)), $mode)),+]
    };
}

/// The pack of the demo.
pub const TROUBLESHOOTING: &[File] = files! { "deploy/demo/troubleshooting":
    "pack.yaml" 0o644,
    "config.schema.yaml" 0o644,
    "README.md" 0o644,
    "triggers/sensu.yaml" 0o644,
    "rules/alert.yaml" 0o644,
    "rules/after_ping.yaml" 0o644,
    "rules/after_host_state.yaml" 0o644,
    "rules/after_cloud_state.yaml" 0o644,
    "actions/ping.yaml" 0o644,
    "actions/ping.sh" 0o755,
    "actions/host_state.yaml" 0o644,
    "actions/host_state.sh" 0o755,
    "actions/cloud_state.yaml" 0o644,
    "actions/slack.yaml" 0o644,
    "actions/jira.yaml" 0o644,
    "actions/jira.py" 0o755,
    "policies/once.yaml" 0o644,
    "policies/gentle.yaml" 0o644,
    "policies/quiet.yaml" 0o644,
    "policies/cloud.yaml" 0o644,
};

/// What of the pack core its rules need: the trigger that tells how executions end.
pub const CORE: &[File] = files! { "packs/core":
    "pack.yaml" 0o644,
    "config.schema.yaml" 0o644,
    "README.md" 0o644,
    "triggers/execution.yaml" 0o644,
    "actions/ask.yaml" 0o644,
    "actions/echo.yaml" 0o644,
    "actions/error.yaml" 0o644,
    "actions/fail.yaml" 0o644,
    "actions/http.yaml" 0o644,
    "actions/inject_trigger.yaml" 0o644,
    "actions/local.yaml" 0o644,
    "actions/local_sudo.yaml" 0o644,
    "actions/noop.yaml" 0o644,
    "actions/pause.yaml" 0o644,
    "actions/sendmail.yaml" 0o644,
    "actions/sleep.yaml" 0o644,
    "actions/uuid.yaml" 0o644,
};

/// Programs of the host that is looked at.
pub const HOST: &[File] = files! { "deploy/demo/host": "systemctl" 0o755, "journalctl" 0o755 };

/// Writes files into a folder; `change` may change what is in them.
///
/// # Errors
/// What the file system says.
pub fn write_all(folder: &Path, files: &[File], change: impl Fn(&str) -> String) -> anyhow::Result<()> {
    files.iter().try_for_each(|(path, text, mode)| write(&folder.join(path), &change(text), *mode))
}

/// Writes one file and the folders that it is in.
///
/// # Errors
/// What the file system says.
pub fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(context)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .with_context(context)?;
    file.write_all(text.as_bytes()).with_context(context)
}
