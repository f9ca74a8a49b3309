//! Commands that inherit this terminal, and cargo within cargo.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use petrel_testkit::workspace_root;

/// What `cargo run` tells this process about its own package. A cargo started from here must not
/// take it for its own: build scripts would run again, and with them a whole build of librdkafka.
const OWN_VARIABLES: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// The cargo that started this process, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OWN_VARIABLES.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    if on_ci() {
        // Nothing is compiled a second time there; the files would only fill the disk.
        command.env("CARGO_INCREMENTAL", "0");
        // Nobody looks at lines of backtraces there; a panic says where it is without them.
        command.env("CARGO_PROFILE_DEV_DEBUG", "none");
    }
    command.current_dir(workspace_root());
    command
}

/// A program of the release build, in the target directory that this process lies in.
pub(crate) fn release_binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let target = own.ancestors().nth(2).with_context(|| format!("{} lies in no target directory", own.display()))?;
    Ok(target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// Whether this is a continuous-integration run, in which nothing may be skipped.
pub(crate) fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// Runs a command in this terminal; anything but success is an error that quotes it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start: {line}"))?;
    ensure!(status.success(), "{line}: {status}");
    Ok(())
}

fn command_line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_as_one_types_them() {
        let mut command = Command::new("/somewhere/bin/cargo");
        assert_eq!(command_line(command.args(["fmt", "--check"])), "cargo fmt --check");
    }

    #[test]
    fn failures_are_errors_and_say_what_failed() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
        let error = run(&mut Command::new("no-such-program-anywhere")).unwrap_err().to_string();
        assert_eq!(error, "cannot start: no-such-program-anywhere");
        run(&mut Command::new("true")).unwrap();
    }

    #[test]
    fn a_cargo_within_does_not_take_our_package_for_its_own() {
        let removed: Vec<_> =
            cargo().get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name.to_owned()).collect();
        assert!(removed.iter().any(|name| name == "CARGO_MANIFEST_DIR"), "{removed:?}");
        assert!(removed.iter().any(|name| name == "CARGO_PKG_NAME"), "{removed:?}");
    }
}
