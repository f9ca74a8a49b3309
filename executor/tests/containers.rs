//! Containers of a real Docker daemon: what they are given, what they may do, and how they end.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/containers.rs"]
mod containers;
#[path = "support/docker.rs"]
mod docker;
#[path = "support/registry.rs"]
mod registry;

use std::io::Write;
use std::sync::Arc;

use petrel_execution::code;
use petrel_execution::worker::{Exit, Why};
use serde_json::{Value, json};
use tokio::sync::watch;

use actions::{CANCEL, alive_with, assert_gone, holding};
use containers::Bench;
use docker::{Docker, IMAGE};

/// A bench with a daemon; behind each test nothing of its execution is left.
struct Test {
    docker: Arc<Docker>,
    bench: Bench,
    _dir: tempfile::TempDir,
}

impl Test {
    fn new(execution: &str) -> Self {
        let (docker, dir) = (Docker::get(), tempfile::tempdir().unwrap());
        let bench = Bench::new(dir.path(), &docker.socket, execution);
        Self { docker, bench, _dir: dir }
    }

    /// Runs a script of the image's shell.
    async fn sh(&self, script: &str, more: Value) -> Exit {
        self.bench.run(keys(script, more), json!({})).await
    }

    fn nothing_is_left(&self) {
        let execution = &self.bench.attempt.execution_id;
        assert_eq!(self.docker.containers_of(execution), 0);
        assert_gone(execution);
    }

    async fn runs(&self, marks: usize) {
        let execution = self.bench.attempt.execution_id.clone();
        eventually("the container runs", || alive_with(&execution).len() >= marks).await;
    }
}

/// A script of the image's shell whose processes are marked with the execution's id.
fn keys(script: &str, more: Value) -> Value {
    let mut keys = json!({"image": IMAGE, "pull": "never", "command": ["sh", "-c", script]});
    keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    keys
}

fn marked(execution: &str) -> Value {
    json!({"env": {"MARK": execution}})
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waits = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(actions::LIMIT, waits).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn parameters_reach_a_container_as_they_are_and_a_result_comes_back() {
    let test = Test::new("c-success");
    std::fs::write(test.bench.folder.join("pack/actions/lib.txt"), "of the pack").unwrap();
    let hostile = "$(echo x); ' \" \\ `id` \u{e9}\n--privileged";
    let keys = json!({
        "image": IMAGE,
        "command": ["sh", "-c", "printf %s \"$1\" > /petrel/work/a; printf %s \"$HOST\" > b; cat - > c; \
                     test \"$1\" = \"$HOST\" && test \"$(cat a)\" = \"$(cat b)\" && cat c; cat $PETREL_ACTION_DIR/lib.txt >&2; exit 3",
                    "sh", "${parameters.host}"],
        "env": {"HOST": "${parameters.host}"},
        "stdin": {"host": "${parameters.host}"},
        "cwd": "work",
        "success_codes": [3],
        "output": {"format": "json"},
    });
    let exit = test.bench.run(keys, json!({"host": hostile})).await;
    assert_eq!(
        (exit.why, exit.return_code, &exit.error),
        (Why::Succeeded, Some(3), &None),
        "{}",
        text(&exit.stderr.bytes)
    );
    assert_eq!(exit.result, Some(json!({"host": hostile})));
    assert_eq!(text(&exit.stderr.bytes), "of the pack");
    test.nothing_is_left();
}

#[tokio::test]
async fn a_container_has_nothing_of_its_machine_by_default() {
    let test = Test::new("c-default");
    let script =
        "cat /proc/self/status /proc/net/dev; echo x > /petrel/actions/x; echo root:x >> /etc/passwd && echo wrote";
    let exit = test.sh(script, json!({})).await;
    let (stdout, stderr) = (text(&exit.stdout.bytes), text(&exit.stderr.bytes));
    for expected in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "wrote"]
    {
        assert!(stdout.contains(expected), "{expected} in {stdout}");
    }
    let devices: Vec<&str> = stdout
        .lines()
        .filter(|line| line.contains(": "))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .filter(|name| ["lo", "eth0"].contains(name))
        .collect();
    assert_eq!(devices, ["lo"]);
    assert!(stderr.contains("/petrel/actions/x: Read-only file system"), "{stderr}");
    let more = json!({"read_only": true, "user": "1000:1001", "may": ["cap_net_raw"], "cwd": "/tmp"});
    let exit = test.sh("id -u; id -g; pwd; echo > /tmp/x || echo > /petrel/work/x && echo wrote", more).await;
    assert_eq!(text(&exit.stdout.bytes), "1000\n1001\n/tmp\nwrote\n", "{}", text(&exit.stderr.bytes));
    let exit = test.sh("cat /proc/self/status", json!({"may": ["gain_privileges"]})).await;
    let stdout = text(&exit.stdout.bytes);
    assert!(stdout.contains("NoNewPrivs:\t0") && !stdout.contains("CapEff:\t0000000000000000"), "{stdout}");
    test.nothing_is_left();
}

#[tokio::test]
async fn failures_say_what_failed() {
    let test = Test::new("c-failure");
    let exit = test.sh("echo no >&2; exit 7", json!({})).await;
    assert_eq!((exit.why, exit.return_code, text(&exit.stderr.bytes)), (Why::Exited, Some(7), "no\n".to_owned()));
    let exit = test.bench.run(json!({"image": IMAGE, "command": ["/no/such/program"]}), json!({})).await;
    assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED));
    assert!(exit.error.as_ref().unwrap().contains("/no/such/program"), "{exit:?}");
    let exit = test.sh("true", json!({"network": "no-such-network"})).await;
    assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED), "{exit:?}");
    // What nobody knows is not given to an image that has a shell, either.
    let exit = test.sh("kill -9 $$; sleep 1; exit 0", json!({})).await;
    assert_eq!(
        (exit.why, exit.return_code),
        (Why::Exited, Some(0)),
        "process 1 of a container hears no signal from within"
    );
    test.nothing_is_left();
}

#[tokio::test]
async fn an_image_is_the_one_that_was_named_or_none() {
    let test = Test::new("c-image");
    let run = async |keys: Value| test.bench.run(keys, json!({})).await;
    let by_id = run(json!({"image": test.docker.image_id(), "command": ["true"]})).await;
    assert_eq!((by_id.why, by_id.return_code), (Why::Exited, Some(0)), "{by_id:?}");
    let wrong = format!("petrel-test@sha256:{}", "0".repeat(64));
    let missing = Why::Failed { code: code::IMAGE_MISSING, retriable: true };
    for (keys, expected) in [
        (
            json!({"image": "no-such-image:1", "pull": "never"}),
            "the image no-such-image:1 is not there, and is not to be fetched",
        ),
        (json!({"image": wrong, "pull": "never"}), "is not there, and is not to be fetched"),
        // Nobody listens there.
        (json!({"image": "127.0.0.1:1/x/y:2"}), "the image 127.0.0.1:1/x/y:2 cannot be fetched"),
        (json!({"image": format!("127.0.0.1:1/{IMAGE}"), "pull": "always"}), "cannot be fetched"),
    ] {
        let exit = run(keys.clone()).await;
        assert_eq!(exit.why, missing, "{exit:?} of {keys}");
        assert!(exit.error.as_ref().unwrap().contains(expected), "{exit:?} of {keys}");
    }
    test.nothing_is_left();
}

#[tokio::test]
async fn an_image_is_fetched_as_its_action_says() {
    let test = Test::new("c-pull");
    let registry = registry::Registry::start(&test.docker);
    let missing = Why::Failed { code: code::IMAGE_MISSING, retriable: true };
    let (tagged, digest) =
        (format!("{}:{}", registry.name, registry::TAG), format!("{}@{}", registry.name, registry.digest));
    let run = async |image: &str, pull: &str, password: &str| {
        let keys = json!({
            "image": image, "pull": pull, "command": ["true"],
            "registry": {"username": "petrel", "password": "${parameters.password}"},
        });
        let exit = test.bench.run(keys, json!({"password": password})).await;
        let is_good = (exit.why, exit.return_code) == (Why::Exited, Some(0));
        assert!(is_good || exit.why == missing, "{exit:?} of {image}");
        is_good
    };
    let asked = || registry.asked.load(std::sync::atomic::Ordering::SeqCst);
    assert!(!run(&tagged, "never", "abc").await && !run(&tagged, "missing", "wrong").await);
    assert_eq!(asked(), 0);
    assert!(run(&tagged, "missing", "abc").await);
    let first = asked();
    assert!(first > 0);
    assert!(
        run(&tagged, "missing", "abc").await
            && run(&tagged, "never", "abc").await
            && run(&digest, "never", "abc").await
    );
    assert_eq!(asked(), first, "what is there is not asked for");
    assert!(run(&tagged, "always", "abc").await);
    assert!(asked() > first);
    assert!(!run(&tagged, "always", "wrong").await);
    let other = format!("{}@sha256:{}", registry.name, "0".repeat(64));
    assert!(!run(&other, "missing", "abc").await);
    test.docker.ask(&["rmi", &tagged]);
    assert!(run(&digest, "missing", "abc").await);
    test.nothing_is_left();
}

#[tokio::test]
async fn output_is_kept_up_to_its_limit_and_as_it_is() {
    let test = Test::new("c-output");
    let exit = test.sh("printf 'a\\377b\\000c'; printf 'x\\376' >&2", json!({})).await;
    assert_eq!((&*exit.stdout.bytes, &*exit.stderr.bytes), (&b"a\xffb\0c"[..], &b"x\xfe"[..]));
    let exit = test.sh("yes | head -c 20000000; yes n | head -c 10000000 >&2", json!({})).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(0)));
    for stream in [&exit.stdout, &exit.stderr] {
        assert_eq!((stream.kept_bytes(), stream.truncated), (test.bench.attempt.output_bytes_max, true));
    }
    // What closes its output goes on.
    let exit = test.sh("echo a; exec >&- 2>&-; sleep 1; exit 5", json!({})).await;
    assert_eq!((exit.return_code, text(&exit.stdout.bytes)), (Some(5), "a\n".to_owned()));
    test.nothing_is_left();
}

const STUBBORN: &str = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 600' & (sleep 0.1 & exec sleep 600) & sleep 600 & sleep 600; sleep 600";

#[tokio::test]
async fn a_time_out_ends_everything_of_it() {
    let mut test = Test::new("c-timeout");
    test.bench.attempt.timeout_ms = 2_500;
    let exit = test.sh(STUBBORN, marked("c-timeout")).await;
    assert_eq!((exit.why, exit.is_cut), (Why::Timeout, true), "{exit:?}");
    test.nothing_is_left();
}

#[tokio::test]
async fn a_cancel_asks_first() {
    for (script, expected) in
        [("trap 'echo bye; exit 0' TERM; echo hi; while true; do sleep 0.1; done", "hi\nbye\n"), (STUBBORN, "")]
    {
        let test = Test::new("c-cancel");
        let (director, held) = watch::channel(holding(120_000));
        let run = test.bench.held(keys(script, marked("c-cancel")), json!({}), held);
        let cancel = async {
            // The second one is started behind the trap.
            test.runs(2).await;
            director.send_modify(|held| held.order(CANCEL));
        };
        let (exit, ()) = tokio::join!(run, cancel);
        assert_eq!((exit.why, text(&exit.stdout.bytes)), (Why::Stopped, expected.to_owned()), "{exit:?}");
        test.nothing_is_left();
    }
}

#[tokio::test]
async fn zombies_and_daemons_go_with_their_container() {
    let test = Test::new("c-daemons");
    let script = "(sleep 0.05 & exec sleep 600) & setsid sh -c 'sleep 600 & sleep 600' & sleep 0.5; echo done";
    let exit = test.sh(script, marked("c-daemons")).await;
    assert_eq!((exit.why, exit.return_code, text(&exit.stdout.bytes)), (Why::Exited, Some(0), "done\n".to_owned()));
    test.nothing_is_left();
}

#[tokio::test]
async fn limits_are_kept_by_the_kernel() {
    let test = Test::new("c-limits");
    let more = json!({"limits": {"memory_bytes_max": 16_777_216, "work_bytes_max": 1_048_576}});
    let exit = test
        .sh("dd if=/dev/zero of=/petrel/work/x bs=65536 count=64 2>/dev/null; wc -c < /petrel/work/x", more.clone())
        .await;
    assert_eq!(text(&exit.stdout.bytes), "1048576\n", "{exit:?}");
    let exit = test.sh("exec dd if=/dev/zero of=/dev/null bs=200000000 count=1", more).await;
    // Kernels without the notifications of control groups of version 1 do not tell the daemon.
    let is_told = exit.why == Why::Failed { code: code::OUT_OF_MEMORY, retriable: true };
    writeln!(std::io::stderr(), "this machine's daemon tells of a lack of memory: {is_told}").unwrap();
    assert!(is_told || exit.why == Why::Exited, "{exit:?}");
    assert!(exit.return_code == Some(137) && exit.error.as_ref().unwrap().contains("memory_bytes_max"), "{exit:?}");
    let more = json!({"limits": {"processes_max": 5, "cpus_max": 0.5}});
    let exit = test.sh("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo no", more).await;
    assert!(text(&exit.stderr.bytes).contains("can't fork"), "{exit:?}");
    test.nothing_is_left();
}

#[tokio::test]
async fn without_a_daemon_what_never_began_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path(), &dir.path().join("nobody"), "c-away");
    let exit = bench.run(keys("true", json!({})), json!({})).await;
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    assert!(exit.error.as_ref().unwrap().contains("cannot be reached"), "{exit:?}");
}

#[tokio::test]
async fn nothing_of_a_secret_is_kept_by_the_daemon_once_it_has_ended() {
    let test = Test::new("c-secret");
    let keys =
        keys("echo $TOKEN; cat", json!({"env": {"TOKEN": "${parameters.token}"}, "stdin": "${parameters.token}"}));
    let exit = test.bench.run(keys, json!({"token": "s3cr3t-of-a-container"})).await;
    assert_eq!(text(&exit.stdout.bytes), "s3cr3t-of-a-container\ns3cr3t-of-a-container");
    test.nothing_is_left();
    let found = std::process::Command::new("grep")
        .args(["-rlsa", "s3cr3t-of-a-container"])
        .arg(test.docker.data().join("data/containers"))
        .output();
    assert_eq!(text(&found.unwrap().stdout), "");
}
