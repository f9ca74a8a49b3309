//! The files of the demos, which are part of the program.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// A file: where it goes, what is in it, its mode.
pub type File = (&'static str, &'static str, u32);

macro_rules! files {
    ($folder:literal: $($path:literal $mode:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../", $folder, "/", $path)), $mode)),+]
    };
}

/// The pack of `troubleshooting`.
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

/// The pack of `remediation`.
pub const REMEDIATION: &[File] = files! { "deploy/demo/remediation":
    "pack.yaml" 0o644,
    "config.schema.yaml" 0o644,
    "README.md" 0o644,
    "triggers/masakari.yaml" 0o644,
    "rules/host_failed.yaml" 0o644,
    "rules/claimed.yaml" 0o644,
    "policies/once.yaml" 0o644,
    "policies/few.yaml" 0o644,
    "workflows/evacuate_host.yaml" 0o644,
    "tests/evacuate_host.yaml" 0o644,
    "actions/claim.yaml" 0o644,
    "actions/evacuate_host.yaml" 0o644,
    "actions/service_state.yaml" 0o644,
    "actions/set_service.yaml" 0o644,
    "actions/servers.yaml" 0o644,
    "actions/evacuate.yaml" 0o644,
    "actions/nova.py" 0o755,
    "actions/mail.yaml" 0o644,
    "actions/page.yaml" 0o644,
    "actions/close_page.yaml" 0o644,
};

/// The pack of `deploy`.
pub const DEPLOYMENT: &[File] = files! { "deploy/demo/deployment":
    "pack.yaml" 0o644,
    "config.schema.yaml" 0o644,
    "README.md" 0o644,
    "triggers/github.yaml" 0o644,
    "rules/released.yaml" 0o644,
    "rules/claimed.yaml" 0o644,
    "policies/in_turn.yaml" 0o644,
    "policies/once.yaml" 0o644,
    "workflows/roll_out.yaml" 0o644,
    "tests/roll_out.yaml" 0o644,
    "actions/claim.yaml" 0o644,
    "actions/create_deployment.yaml" 0o644,
    "actions/create_service.yaml" 0o644,
    "actions/delete_deployment.yaml" 0o644,
    "actions/delete_service.yaml" 0o644,
    "actions/errors.yaml" 0o644,
    "actions/page.yaml" 0o644,
    "actions/ready.yaml" 0o644,
    "actions/report.yaml" 0o644,
    "actions/roll_out.yaml" 0o644,
    "actions/route.yaml" 0o644,
    "actions/shift.yaml" 0o644,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left out of a list is in the folder, and missing in the program.
    #[test]
    fn lists_have_all_that_is_in_the_folders() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (folder, files) in [
            ("packs/core", CORE),
            ("deploy/demo/troubleshooting", TROUBLESHOOTING),
            ("deploy/demo/remediation", REMEDIATION),
            ("deploy/demo/deployment", DEPLOYMENT),
            ("deploy/demo/host", HOST),
        ] {
            let folder = root.join(folder);
            let entries = walkdir::WalkDir::new(&folder).into_iter().map(Result::unwrap);
            let found = entries.filter(|entry| entry.file_type().is_file());
            let found = found.map(|entry| entry.path().strip_prefix(&folder).unwrap().display().to_string());
            let mut found: Vec<String> = found.filter(|path| !path.contains("__pycache__")).collect();
            let mut listed: Vec<&str> = files.iter().map(|(path, _, _)| *path).collect();
            found.sort_unstable();
            listed.sort_unstable();
            assert_eq!(listed, found, "{}", folder.display());
        }
    }
}
