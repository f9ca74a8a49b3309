//! The runners that are processes, with real ones: what they are given, what they result in, and where they may write.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/processes.rs"]
mod processes;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use petrel_execution::code;
use petrel_execution::worker::{Exit, Why};
use petrel_executor::runner::WorkDirectories;
use petrel_executor::supervise::{Ability, boot_ms};
use processes::{Bench, stdout};
use serde_json::{Value, json};

/// What has done harm somewhere as a parameter.
const HOSTILE: [&str; 16] = [
    "; touch owned",
    "$(touch owned)",
    "`touch owned`",
    "\"; touch owned; \"",
    "'; touch owned; '",
    "\n touch owned\n",
    "-rf",
    "--",
    "-n",
    "${HOME} $HOME ~ *",
    "| touch owned & touch owned",
    "a\\\\b\\n\\\"",
    "\u{1}\u{7f}\u{1b}[31m",
    "ü\u{202e}\u{feff}",
    "",
    " ",
];

/// Nothing of these ran.
fn assert_not_owned(bench: &Bench) {
    for folder in [bench.actions(), bench.dir.path().to_owned()] {
        assert!(!folder.join("owned").exists());
    }
    assert!(!Path::new("owned").exists());
}

#[tokio::test]
async fn hostile_parameters_are_nothing_but_text() {
    let bench = Bench::new();
    bench.file("print.sh", "#!/bin/sh\nprintf '%s|' \"$@\" \"$X\" \"$(cat)\"", 0o644);
    let (argument, env, stdin) = ("${parameters.x}", json!({ "X": "${parameters.x}" }), "${parameters.x}");
    let shell = json!({
        "script": "printf '%s|' \"$@\" \"$X\" \"$(cat)\"", "args": [argument, "end"], "env": env, "stdin": stdin,
    });
    let bash = {
        let mut keys = shell.clone();
        keys["shell"] = "bash".into();
        keys
    };
    let cases = [
        ("shell", shell),
        ("shell", bash),
        ("script", json!({ "file": "print.sh", "args": [argument, "end"], "env": env, "stdin": stdin })),
        ("command", json!({ "command": ["sh", "print.sh", argument, "end"], "env": env, "stdin": stdin })),
    ];
    for hostile in HOSTILE {
        for (runner, keys) in &cases {
            let exit = bench.run(runner, keys.clone(), json!({ "x": hostile })).await;
            // What a shell substitutes loses the line feeds at its end.
            let expected = format!("{hostile}|end|{hostile}|{}|", hostile.trim_end_matches('\n'));
            assert_eq!(stdout(&exit), expected, "{runner} {exit:?}");
        }
    }
    assert_not_owned(&bench);
}

#[tokio::test]
async fn a_script_is_given_hostile_parameters_as_stackstorm_gives_them() {
    let bench = Bench::new();
    bench.file("args.sh", "#!/bin/sh\nfor a in \"$@\"; do printf '%s|' \"$a\"; done", 0o644);
    for hostile in HOSTILE {
        let exit =
            bench.run_with("script", json!({ "file": "args.sh" }), json!({ "x": hostile, "first": hostile })).await;
        // An empty one is left out by name, and has its place otherwise.
        let named = if hostile.is_empty() { String::new() } else { format!("--x={hostile}|") };
        assert_eq!(stdout(&exit), format!("{named}{hostile}|"), "{exit:?}");
    }
    let given = json!({ "x": ["a", 2], "first": { "k": [true] }, "flag": true });
    let exit = bench.run_with("script", json!({ "file": "args.sh", "end_of_options": true }), given).await;
    assert_eq!(stdout(&exit), "--x=a,2|--flag|--|{\"k\":[true]}|");
    assert_not_owned(&bench);
}

#[tokio::test]
async fn a_text_of_a_shell_is_never_taken_for_options() {
    let bench = Bench::new();
    for script in ["-c 'touch owned' 2>/dev/null; echo $0", "+x 2>/dev/null; echo $0", "--version 2>/dev/null; echo $0"]
    {
        for shell in ["sh", "bash"] {
            let exit = bench.run("shell", json!({ "script": script, "shell": shell }), json!({})).await;
            assert_eq!(stdout(&exit), "demo.act\n", "{script} {exit:?}");
        }
    }
    assert_not_owned(&bench);
}

#[tokio::test]
async fn a_script_runs_by_its_first_line_or_by_its_interpreter() {
    let bench = Bench::new();
    bench.file("plain.sh", "#! /bin/sh -e\necho ran; false; echo not here", 0o644);
    bench.file("data.txt", "echo \"$0\"", 0o644);
    bench.file("through.sh", "#!/bin/sh\necho through; exec /bin/sh \"$@\"", 0o755);
    bench.file("lib/deep.sh", "#!/usr/bin/env sh\npwd -P; echo \"$PETREL_ACTION_DIR\"", 0o644);
    let exit = bench.run("script", json!({ "file": "plain.sh" }), json!({})).await;
    assert_eq!((&*stdout(&exit), exit.return_code), ("ran\n", Some(1)));
    let actions = bench.actions();
    for (interpreter, before) in [(json!("sh"), ""), (json!(["sh", "-u"]), ""), (json!("./through.sh"), "through\n")] {
        let keys = json!({ "file": "./data.txt", "interpreter": interpreter, "cwd": "/" });
        let exit = bench.run("script", keys, json!({})).await;
        assert_eq!(stdout(&exit), format!("{before}{}\n", actions.join("data.txt").display()), "{exit:?}");
    }
    let exit = bench.run("script", json!({ "file": "lib/deep.sh", "cwd": "./lib" }), json!({})).await;
    let real = actions.canonicalize().unwrap();
    assert_eq!(stdout(&exit), format!("{}\n{}\n", real.join("lib").display(), actions.display()));
    // A program of the pack is one wherever it starts.
    let exit = bench.run("command", json!({ "command": ["./through.sh", "-c", "pwd"], "cwd": "/" }), json!({})).await;
    assert_eq!(stdout(&exit), "through\n/\n");
}

#[tokio::test]
async fn output_that_is_no_utf8_harms_nothing() {
    let bench = Bench::new();
    let print = |format: &str| json!({ "script": "printf 'a\\377\\376\\n\\000b\\n'", "output": { "format": format } });
    let exit = bench.run("shell", print("text"), json!({})).await;
    assert_eq!((exit.why, exit.result), (Why::Exited, Some(json!("a\u{fffd}\u{fffd}\n\0b"))));
    assert_eq!(exit.stdout.bytes, b"a\xff\xfe\n\0b\n");
    let exit = bench.run("shell", print("lines"), json!({})).await;
    assert_eq!(exit.result, Some(json!(["a\u{fffd}\u{fffd}", "\0b"])));
    let exit = bench.run("shell", print("auto"), json!({})).await;
    assert_eq!(exit.result, Some(json!("a\u{fffd}\u{fffd}\n\0b")));
    let exit = bench.run("shell", print("json"), json!({})).await;
    assert_eq!(exit.why, Why::Failed { code: code::OUTPUT_INVALID, retriable: false });
    assert_eq!(exit.error.as_deref(), Some("standard output is no JSON: byte 1 is no UTF-8"));
}

#[tokio::test]
async fn results_are_parsed_and_exit_codes_judged() {
    let bench = Bench::new();
    let run = async |script: &str, output: Value, codes: Value| {
        let keys = json!({ "script": script, "output": output, "success_codes": codes });
        bench.run("shell", keys, json!({})).await
    };
    let exit = run("echo '{\"a\": 1}'", json!({ "format": "json" }), json!(0)).await;
    assert_eq!((exit.why, exit.result), (Why::Exited, Some(json!({ "a": 1 }))));
    let exit = run("echo 5; exit 3", json!({}), json!([0, "2-4"])).await;
    assert_eq!((exit.why, exit.return_code, exit.result), (Why::Succeeded, Some(3), Some(json!(5))));
    let exit = run("echo '{\"why\": 1}'; exit 9", json!({ "format": "json" }), json!(0)).await;
    assert_eq!((exit.why, exit.return_code, exit.result), (Why::Exited, Some(9), Some(json!({ "why": 1 }))));
    // More than is kept is no result.
    let exit = run("head -c 200000 /dev/zero | tr '\\0' 1", json!({ "format": "auto" }), json!(0)).await;
    assert_eq!(exit.why, Why::Failed { code: code::OUTPUT_INVALID, retriable: false });
    assert!(exit.error.unwrap().contains("longer than output_bytes_max"));
}

/// What is over the limits of the system is refused by their names, and what is just below them runs.
#[tokio::test]
async fn arguments_are_limited_by_the_system_and_standard_input_is_not() {
    const LONGEST: usize = 131_071;
    let bench = Bench::new();
    let refused = |exit: &Exit, name: &str| {
        let is_told = exit.error.as_ref().is_some_and(|error| error.contains(name));
        assert!(exit.why == Why::NotStarted(code::NOT_STARTED) && is_told, "{:?} {:?}", exit.why, exit.error);
    };
    let long = |bytes: usize| json!({ "x": "x".repeat(bytes) });
    let one = json!({ "command": ["sh", "-c", "echo $${#1}", "sh", "${parameters.x}"] });
    assert_eq!(stdout(&bench.run("command", one.clone(), long(LONGEST)).await).trim(), LONGEST.to_string());
    refused(&bench.run("command", one.clone(), long(LONGEST + 1)).await, "MAX_ARG_STRLEN");
    refused(&bench.run("command", one, long(2 << 20)).await, "MAX_ARG_STRLEN");
    let variable = json!({ "script": "echo ${#X}", "env": { "X": "${parameters.x}" } });
    let exit = bench.run("shell", variable.clone(), long(LONGEST - 2)).await;
    assert_eq!(stdout(&exit).trim(), (LONGEST - 2).to_string());
    refused(&bench.run("shell", variable, long(LONGEST - 1)).await, "variable X has");
    // As many as there is room for by the limit of the stack, which is that of this machine.
    let many = |count: usize| {
        let args = vec!["${parameters.x}"; count];
        json!({ "script": "echo $#", "args": args })
    };
    let most = (limit_of_the_stack() / 4).clamp(128 << 10, 6 << 20);
    let each = 100_000;
    let fitting = (most - 40_000) / (each + 9);
    let exit = bench.run("shell", many(fitting), long(each)).await;
    assert_eq!(stdout(&exit).trim(), fitting.to_string(), "{:?}", exit.error);
    refused(&bench.run("shell", many(most / each + 1), long(each)).await, "ARG_MAX");
    let exit = bench.run("shell", json!({ "script": "wc -c", "stdin": "${parameters.x}" }), long(2 << 20)).await;
    assert_eq!(stdout(&exit).trim(), (2 << 20).to_string());
    let count = json!({ "script": "wc -c", "stdin": "${parameters.x}" });
    refused(&bench.run("shell", count, long((64 << 20) + 1)).await, "STDIN_BYTES_MAX");
}

/// The soft limit in bytes, as this process has it.
fn limit_of_the_stack() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max stack size")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}

#[tokio::test]
async fn whoever_does_not_read_its_input_or_reads_it_slowly_is_waited_for() {
    let bench = Bench::new();
    let long = json!({ "x": "0123456789abcde\n".repeat(1 << 18) });
    let run = async |script: &str| {
        bench.run("shell", json!({ "script": script, "stdin": "${parameters.x}" }), long.clone()).await
    };
    for script in [
        "exec <&-; echo ok",
        "head -c 10 >/dev/null; exec </dev/null; echo ok",
        "echo ok",
        "(exec 3<&0; exec <&-; read line <&3; exec 3<&-); echo ok",
    ] {
        let exit = run(script).await;
        assert_eq!((exit.why, exit.return_code, &*stdout(&exit)), (Why::Exited, Some(0), "ok\n"), "{script} {exit:?}");
    }
    let slowly =
        "for i in 1 2 3 4 5 6 7 8; do dd bs=65536 count=1 iflag=fullblock 2>/dev/null | cksum; sleep 0.05; done; wc -c";
    let exit = run(slowly).await;
    let told = stdout(&exit);
    assert_eq!(told.lines().last().unwrap().trim(), ((1 << 22) - 8 * 65_536).to_string());
    let sums: Vec<&str> = told.lines().take(8).collect();
    assert!(sums.len() == 8 && sums.iter().all(|sum| *sum == sums[0]), "{told}");
    // Who never reads and never ends is ended by its time.
    let mut attempt = Bench::attempt();
    attempt.timeout_ms = 500;
    let keys = json!({ "script": "sleep 600", "stdin": "${parameters.x}" });
    assert_eq!(bench.run_attempt("shell", keys, long.clone(), attempt).await.why, Why::Timeout);
}

#[tokio::test]
async fn each_attempt_has_a_work_directory_that_goes_with_it() {
    let bench = Bench::new();
    let script = "pwd -P; cd \"$PETREL_WORK_DIR\" && pwd -P && stat -c %a . && mkdir -p a/b && echo x > a/b/c && \
                  chmod 0 a && ln -s / link && echo $PETREL_ATTEMPT";
    let exit = bench.run("shell", json!({ "script": script, "cwd": "work" }), json!({})).await;
    let told = stdout(&exit);
    let told: Vec<&str> = told.lines().collect();
    assert_eq!((told[0], told[2], told.len()), (told[1], "700", 4), "{exit:?}");
    let folder = Path::new(told[0]).to_owned();
    processes::eventually("the work directory is gone", || !folder.exists()).await;
    assert!(Path::new("/").exists() && bench.dir.path().join("work").exists());
    // Also of one that was ended.
    let mut attempt = Bench::attempt();
    attempt.timeout_ms = 300;
    let keys = json!({ "script": "pwd -P; echo x > file; sleep 600", "cwd": "work" });
    let exit = bench.run_attempt("shell", keys, json!({}), attempt).await;
    assert_eq!(exit.why, Why::Timeout);
    let folder = Path::new(stdout(&exit).trim()).to_owned();
    assert!(folder.starts_with(bench.dir.path()));
    processes::eventually("the work directory is gone", || !folder.exists()).await;
}

/// Where an action ran that did nothing there.
async fn folder_of_next(bench: &Bench) -> PathBuf {
    let exit = bench.run("shell", json!({ "script": "pwd -P", "cwd": "work" }), json!({})).await;
    assert_eq!(exit.why, Why::Exited, "{exit:?}");
    stdout(&exit).trim().into()
}

#[tokio::test]
async fn a_work_directory_is_used_again_unless_somebody_may_still_have_it_open() {
    let bench = Bench::new();
    let (began_ms, mut folder) = (boot_ms(), folder_of_next(&bench).await);
    // It is looked at beside what comes next.
    loop {
        let next = folder_of_next(&bench).await;
        if std::mem::replace(&mut folder, next.clone()) == next {
            break;
        }
        assert!(boot_ms() < began_ms + 60_000, "none is used again");
    }
    let pid_file = bench.dir.path().join("pid");
    let script = "echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; while [ -e \"$1\" ]; do sleep 0.01; done; pwd -P";
    let keys = json!({ "script": script, "args": [pid_file], "cwd": "work" });
    // Somebody takes an end of what it writes to: one who can do that could have opened its folder.
    let take = async {
        let pid = actions::pid_in(&pid_file).await;
        let taken = std::fs::File::options().write(true).open(format!("/proc/{pid}/fd/1")).unwrap();
        std::fs::remove_file(&pid_file).unwrap();
        taken
    };
    let (exit, taken) = tokio::join!(bench.run("shell", keys, json!({})), take);
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(0)), "{exit:?}");
    let held = PathBuf::from(stdout(&exit).trim());
    processes::eventually("a folder that may be held is gone", || !held.exists()).await;
    assert_ne!(folder_of_next(&bench).await, held);
    drop(taken);
}

const WORK: &str = "PETREL_TEST_WORK";

/// Does nothing unless it is run as a worker that is killed.
#[test]
fn killed_worker_role() {
    let Some(folder) = std::env::var_os(WORK) else { return };
    let work = WorkDirectories::open(folder.into()).unwrap();
    let directory = work.make(None).unwrap();
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    std::fs::write(directory.path().join("folder/file"), "x").unwrap();
    std::process::abort();
}

#[tokio::test]
async fn what_a_killed_worker_left_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let mut worker = std::process::Command::new(std::env::current_exe().unwrap());
    worker.args(["--exact", "killed_worker_role", "--nocapture"]).env(WORK, &work);
    let ended = tokio::task::spawn_blocking(move || worker.output().unwrap()).await.unwrap();
    assert!(!ended.status.success());
    let folders = || std::fs::read_dir(&work).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders(), 1, "{ended:?}");
    let next = WorkDirectories::open(work.clone()).unwrap();
    processes::eventually("what was left is gone", || folders() == 1).await;
    // Another worker beside it takes nothing of it.
    let held = next.make(None).unwrap();
    let beside = WorkDirectories::open(work.clone()).unwrap();
    assert!(held.path().exists() && folders() == 2);
    drop((held, beside, next));
    assert_eq!(folders(), 0);
}

#[tokio::test]
async fn an_action_runs_as_another_user_or_is_told_why_not() {
    let bench = Bench::new();
    let keys = |user: &str| json!({ "script": "id -un; echo $HOME $USER $LOGNAME; cd $PETREL_WORK_DIR && echo x > file && echo wrote", "user": user });
    let exit = bench.run("shell", keys("no-such-user"), json!({})).await;
    assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED));
    assert_eq!(exit.error.as_deref(), Some("this machine has no user \"no-such-user\""));
    // It may not go where its pack is.
    std::fs::set_permissions(bench.dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let exit = bench.run("shell", keys("nobody"), json!({})).await;
    assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED), "{exit:?}");
    if !Ability::look().is_root {
        return assert!(
            exit.error.unwrap().starts_with("this worker is not root, and would become user \"nobody\" by sudo")
        );
    }
    let error = exit.error.unwrap();
    assert!(error.ends_with(&format!("its user may not enter {}", bench.dir.path().display())), "{error}");
    std::fs::set_permissions(bench.dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let exit = bench.run("shell", keys("nobody"), json!({})).await;
    let told = stdout(&exit);
    let told: Vec<&str> = told.lines().collect();
    assert_eq!((told[0], told[2]), ("nobody", "wrote"), "{exit:?}");
    assert!(told[1].ends_with(" nobody nobody"), "{told:?}");
    // By its number, too; and it reaches nobody else's work directory.
    let other = bench.work.make(None).unwrap();
    let uid = std::fs::metadata(other.path()).unwrap().uid();
    assert_eq!(uid, 0);
    let keys = json!({ "script": "id -un; ls \"$1\" || echo refused", "args": [other.path()], "user": "65534" });
    let exit = bench.run("shell", keys, json!({})).await;
    assert_eq!(stdout(&exit), "nobody\nrefused\n", "{exit:?}");
}

#[tokio::test]
async fn a_working_directory_that_is_not_there_is_told_before_the_start() {
    let bench = Bench::new();
    for (cwd, expected) in [("/no/such/folder", "cannot be used"), ("/etc/passwd", "is no folder")] {
        let exit = bench.run("shell", json!({ "script": "ls", "cwd": cwd }), json!({})).await;
        assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED));
        assert!(exit.error.as_ref().is_some_and(|error| error.contains(cwd) && error.contains(expected)), "{exit:?}");
    }
}
