//! A worker that is not root and becomes another user by `sudo`: asked before, and never with a password.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/processes.rs"]
mod processes;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use petrel_execution::code;
use petrel_execution::worker::Why;
use petrel_executor::supervise::Ability;
use processes::{Bench, stdout};
use serde_json::{Value, json};

const SUPERVISOR: &str = "PETREL_TEST_SUPERVISOR";
const NOBODY: u32 = 65_534;
/// Does as the real one would that asks for no password, and says how it was called.
const WILLING: &str = "#!/bin/sh\n\
    [ \"$1 $2 $3\" = '--non-interactive --set-home --user=root' ] || exit 9\n\
    case $4 in --preserve-env=*) ;; *) exit 8 ;; esac\n\
    [ \"$5\" = -- ] || exit 7\n\
    echo \"$#\" >> \"$CALLS\"; shift 5; exec \"$@\"\n";
const UNWILLING: &str = "#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n";

/// Runs that test as a worker that is not root. Root runs this program again, from where the other user may go.
fn as_nobody(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let copied = |from: &Path, name: &str| {
        let to = dir.path().join(name);
        std::fs::copy(from, &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let program = copied(&std::env::current_exe().unwrap(), "tests");
    let supervisor = copied(Path::new(env!("CARGO_BIN_EXE_petrel-supervise")), "supervise");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut worker = Command::new(program);
    worker.args(["--exact", test, "--nocapture"]).env(SUPERVISOR, supervisor).env("TMPDIR", dir.path());
    if Ability::look().is_root {
        worker.uid(NOBODY).gid(NOBODY);
    }
    let ended = worker.current_dir(dir.path()).output().unwrap();
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// A pack with a `sudo` that does this, and keys of an action that finds it before any other.
fn bench(sudo: &str) -> Option<(Bench, Value)> {
    let bench = Bench::under(std::env::var_os(SUPERVISOR)?);
    bench.file("sudo", sudo, 0o755);
    let path = format!("{}:/usr/bin:/bin", bench.actions().display());
    let keys = json!({
        "script": "printf '%s|' \"$@\" \"$X\" \"${PETREL_WORK_DIR-none}\"; cat", "args": ["a b", "$(c)"],
        "env": { "PATH": path, "X": "-- x", "CALLS": bench.dir.path().join("calls") },
        "stdin": "in", "user": "root", "may": ["gain_privileges"],
    });
    Some((bench, keys))
}

#[tokio::test]
async fn willing_role() {
    let Some((bench, mut keys)) = bench(WILLING) else { return };
    let exit = bench.run("shell", keys.clone(), json!({})).await;
    assert_eq!((exit.why, &*stdout(&exit)), (Why::Exited, "a b|$(c)|-- x|none|in"), "{exit:?}");
    // It was asked for `true` first, and then for the shell with its text, name and arguments.
    assert_eq!(std::fs::read_to_string(bench.dir.path().join("calls")).unwrap(), "6\n11\n");
    keys["cwd"] = "work".into();
    let error = bench.run("shell", keys.clone(), json!({})).await.error.unwrap();
    assert_eq!(error, "who becomes another user by sudo has no work directory");
    keys["may"] = json!([]);
    let exit = bench.run("shell", keys, json!({})).await;
    assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED));
    assert!(exit.error.unwrap().starts_with("this worker is not root, and would become user \"root\" by sudo"));
}

#[tokio::test]
async fn unwilling_role() {
    let Some((bench, keys)) = bench(UNWILLING) else { return };
    let exit = bench.run("shell", keys, json!({})).await;
    assert_eq!((exit.why, exit.return_code), (Why::NotStarted(code::NOT_STARTED), None));
    assert_eq!(
        exit.error.as_deref(),
        Some("sudo does not let this worker be user \"root\" without a password: sudo: a password is required")
    );
}

/// What waits for `sudo` to answer has not begun, and is as good as new to the next worker.
#[tokio::test]
async fn slow_role() {
    let Some((mut bench, keys)) = bench("#!/bin/sh\nexec sleep 600\n") else { return };
    bench.lease_ms = 1_000;
    let exit = bench.run("shell", keys, json!({})).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
}

#[test]
fn what_loses_its_lease_while_sudo_is_asked_has_not_begun() {
    as_nobody("slow_role");
}

#[test]
fn a_process_becomes_another_user_by_sudo_with_its_arguments_as_they_are() {
    as_nobody("willing_role");
}

#[test]
fn a_sudo_that_wants_a_password_is_told_before_the_start() {
    as_nobody("unwilling_role");
}
