//! The runner `python` with a real interpreter: what is called, what is made of its end, and what is left.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

#[path = "support/actions.rs"]
mod actions;
#[path = "support/python.rs"]
mod python;

use std::time::{Duration, Instant, SystemTime};

use actions::{CANCEL, alive_with, assert_gone, await_death, holding, pid_in};
use petrel_execution::code;
use petrel_execution::worker::{Exit, Why};
use petrel_executor::supervise::landlock_abi;
use python::{Bench, failure, returned, wheel};
use serde_json::{Value, json};
use tokio::sync::watch;

fn stdout(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout.bytes).into_owned()
}

const RETURNS: &str = r#"
import asyncio, os
from st2common.runners.base_action import Action

def run(x, n=2):
    print("told", x)
    return {"x": x, "n": n, "env": [os.environ.get("FIXED"), os.environ.get("GIVEN")], "cwd": os.getcwd()}

def good(): return (True, "yes")
def bad(): return (False, {"why": "no"})
def nothing(): pass
def numbers(): return [1, 2.5, None, "\U0001f600"]
def a_set(): return {1}
def not_a_number(): return float("nan")
def half(): return "\ud83d"
def endless():
    value = []
    value.append(value)
    return value
def large(): return "x" * (9 << 20)
async def later(): await asyncio.sleep(0.001); return 5

class Plain:
    def run(self, x): return [x, dict(self.config)]

class Given:
    def __init__(self, config): self.region = config.get("region")
    def run(self): return self.region

class Storm(Action):
    def run(self, x):
        self.logger.info("about %s", x)
        return (True, x)
"#;

#[tokio::test]
async fn what_is_returned_is_the_result() {
    let bench = Bench::new(RETURNS);
    let env = json!({ "FIXED": "as it is", "GIVEN": "${parameters.x}" });
    let exit = bench.run(json!({ "env": env, "cwd": "/" }), json!({ "x": "ü" })).await;
    let expected = json!({ "x": "ü", "n": 2, "env": ["as it is", "ü"], "cwd": "/" });
    assert_eq!((returned(&exit), stdout(&exit)), (expected, "told ü\n".to_owned()));
    for (name, expected) in [
        ("good", json!("yes")),
        ("nothing", Value::Null),
        ("numbers", json!([1, 2.5, null, "\u{1f600}"])),
        ("later", json!(5)),
    ] {
        assert_eq!(returned(&bench.function(name).await), expected, "{name}");
    }
    let exit = bench.run(json!({ "class_name": "Plain" }), json!({ "x": 1 })).await;
    assert_eq!(returned(&exit), json!([1, {}]));
    let exit = bench.run(json!({ "class_name": "Given" }), json!({})).await;
    assert_eq!(returned(&exit), Value::Null);
    let exit = bench.run(json!({ "class_name": "Storm" }), json!({ "x": "it" })).await;
    assert_eq!(returned(&exit), json!("it"));
    assert!(String::from_utf8_lossy(&exit.stderr.bytes).contains("about it"), "{exit:?}");
    let exit = bench.function("bad").await;
    assert_eq!((failure(&exit).0, &exit.result), (code::RETURNED_FAILURE, &Some(json!({ "why": "no" }))));
}

#[tokio::test]
async fn what_is_no_json_or_does_not_fit_is_a_clear_error() {
    let bench = Bench::new(RETURNS);
    for (name, part) in [
        ("a_set", "what it returned is no JSON: Object of type set is not JSON serializable"),
        ("not_a_number", "what it returned is no JSON: Out of range float values"),
        ("half", "what it returned is no JSON: a text in it holds half a surrogate pair"),
        ("endless", "what it returned is no JSON: Circular reference"),
        ("large", "what it returned is longer than 8388608 bytes"),
    ] {
        let exit = bench.function(name).await;
        let (code, error) = failure(&exit);
        assert!(code == code::OUTPUT_INVALID && error.starts_with(part), "{name}: {exit:?}");
        assert_eq!(exit.result, None);
    }
    let output = json!({ "schema": { "type": "object" } });
    let exit = bench.run(json!({ "function": "numbers", "output": output }), json!({})).await;
    let expected = (code::OUTPUT_INVALID, "what it returned does not fit output.schema: : no object".to_owned());
    assert_eq!(failure(&exit), expected);
}

const ENDS: &str = r#"
import ctypes, os, sys, threading, time

class Trouble(Exception): pass

def raises(): raise Trouble("it is %s" % "bad")
def leaves(): sys.exit(3)
def leaves_well(): sys.exit()
def goes(): os._exit(4)
def goes_well(): os._exit(0)
def ten(): return "x" * 10
def eleven(): return "x" * 11
def forges():
    for fd in range(64, 80):
        try:
            os.write(fd, b'{"end": "late"}')
        except OSError:
            pass
    os._exit(1)
def crashes():
    sys.stdout.write("before")
    sys.stdout.flush()
    ctypes.string_at(0)
def forks():
    if os.fork() == 0:
        return "child"
    os.wait()
    return "parent"
def leaks():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return "returned"
def floods():
    for _ in range(100000): print("x" * 100)
    return 1
def bytes_():
    sys.stdout.buffer.write(b"\xff\xfe ok\n")
    return 1
"#;

#[tokio::test]
async fn every_end_is_told_as_what_it_is() {
    let bench = Bench::new(ENDS);
    let exit = bench.function("raises").await;
    assert_eq!(failure(&exit), (code::EXCEPTION, "Trouble: it is bad".to_owned()));
    let told = exit.result.unwrap();
    assert_eq!((&told["type"], &told["message"]), (&json!("Trouble"), &json!("it is bad")));
    let trace = told["traceback"].as_str().unwrap();
    assert!(trace.contains("act.py\", line 6, in raises") && !trace.contains("shim"), "{trace}");

    let exit = bench.function("leaves").await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(3)));
    let exit = bench.function("leaves_well").await;
    assert_eq!((exit.why, exit.return_code, exit.result), (Why::Exited, Some(0), None));
    let exit = bench.run(json!({ "function": "leaves", "success_codes": [3] }), json!({})).await;
    assert_eq!(exit.why, Why::Succeeded);
    // As an interpreter ends that crashes: nobody said that it is well.
    let without = (code::OUTPUT_INVALID, "it ended without returning".to_owned());
    let exit = bench.run(json!({ "function": "goes", "success_codes": [4] }), json!({})).await;
    assert_eq!(failure(&exit), without);
    // What only a fork may say, of which nothing was called.
    assert_eq!(failure(&bench.function("forges").await).0, code::OUTPUT_INVALID);
    // An exception may be longer than what is returned, and is no result.
    let short = |name: &str| bench.run(json!({ "function": name, "output": { "bytes_max": 12 } }), json!({}));
    assert_eq!(failure(&short("raises").await), (code::EXCEPTION, "Trouble: it is bad".to_owned()));
    assert_eq!(returned(&short("ten").await), json!("xxxxxxxxxx"));
    let longer = (code::OUTPUT_INVALID, "what it returned is longer than 12 bytes of JSON".to_owned());
    assert_eq!(failure(&short("eleven").await), longer);
    let exit = bench.function("goes").await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(4)));
    let expected = (code::OUTPUT_INVALID, "it ended without returning".to_owned());
    assert_eq!(failure(&bench.function("goes_well").await), expected);
    let exit = bench.function("crashes").await;
    assert_eq!((failure(&exit), stdout(&exit)), ((code::SIGNAL, "ended by signal 11".into()), "before".to_owned()));
    assert_eq!(returned(&bench.function("forks").await), json!("parent"));
    assert_eq!(returned(&bench.function("leaks").await), json!("returned"));
    let exit = bench.function("floods").await;
    assert_eq!((returned(&exit), exit.stdout.kept_bytes(), exit.stdout.truncated), (json!(1), 64 << 10, true));
    let exit = bench.function("bytes_").await;
    assert_eq!((returned(&exit), stdout(&exit)), (json!(1), "\u{fffd}\u{fffd} ok\n".to_owned()));
    assert_eq!(failure(&bench.function("absent").await).1, "AttributeError: act.py has no function absent");
}

#[tokio::test]
async fn an_import_that_fails_or_hangs_is_told_with_its_traceback() {
    let bench = Bench::new("import nothing_of_that_name\n");
    let exit = bench.function("run").await;
    let error = "importing act.py: ModuleNotFoundError: No module named 'nothing_of_that_name'";
    assert_eq!(failure(&exit), (code::EXCEPTION, error.to_owned()));
    let bench = Bench::new("def run(:\n");
    assert!(failure(&bench.function("run").await).1.starts_with("importing act.py: SyntaxError: "));
    let bench = Bench::with("import time\ntime.sleep(600)\n", |options| options.import_ms_max = 500);
    let exit = bench.function("run").await;
    assert_eq!(failure(&exit), (code::EXCEPTION, "importing act.py took longer than 500 ms".to_owned()));
    let trace = exit.result.unwrap()["traceback"].as_str().unwrap().to_owned();
    assert!(trace.contains("act.py\", line 2 in <module>"), "{trace}");
}

const STAYS: &str = r#"
import os, subprocess, sys, time

def run(folder, how="sleep"):
    if how == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                open(folder + "/daemon", "w").write(str(os.getpid()))
                time.sleep(600)
            os._exit(0)
        os.wait()
        while not os.path.exists(folder + "/daemon"): time.sleep(0.01)
        return "left"
    if how == "zombie":
        if os.fork() == 0: os._exit(0)
        return "zombie"
    if how == "stubborn":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    open(folder + "/child", "w").write(str(child.pid))
    open(folder + "/pid", "w").write(str(os.getpid()))
    time.sleep(600)
"#;

fn marked(mark: &str) -> Value {
    json!({ "env": { "MARK": mark } })
}

#[tokio::test]
async fn nothing_is_left_however_it_ends() {
    let bench = Bench::new(STAYS);
    let folder = bench.dir.path().to_str().unwrap().to_owned();
    let exit = bench.run(marked("py-daemon"), json!({ "folder": folder, "how": "daemon" })).await;
    assert_eq!(returned(&exit), json!("left"));
    await_death(pid_in(&bench.dir.path().join("daemon")).await).await;
    let exit = bench.run(marked("py-zombie"), json!({ "folder": folder, "how": "zombie" })).await;
    assert_eq!(returned(&exit), json!("zombie"));
    assert_gone("py-daemon");
    assert_gone("py-zombie");
}

#[tokio::test]
async fn a_time_out_a_cancel_and_a_lease_that_passes_end_it() {
    let mut bench = Bench::new(STAYS);
    let folder = bench.dir.path().to_str().unwrap().to_owned();
    bench.attempt.timeout_ms = 1_000;
    for how in ["sleep", "stubborn"] {
        let exit = bench.run(marked("py-timeout"), json!({ "folder": folder, "how": how })).await;
        assert_eq!(exit.why, Why::Timeout, "{exit:?}");
        assert_gone("py-timeout");
        std::fs::remove_file(bench.dir.path().join("pid")).unwrap();
    }
    bench.attempt.timeout_ms = 30_000;
    let (director, held) = watch::channel(holding(60_000));
    let (run, cancel) = (bench.run_held(marked("py-cancel"), json!({ "folder": folder }), held), async {
        pid_in(&bench.dir.path().join("pid")).await;
        director.send_modify(|held| held.order(CANCEL));
    });
    let (exit, ()) = tokio::join!(run, cancel);
    assert_eq!(exit.why, Why::Stopped, "{exit:?}");
    assert_gone("py-cancel");
    // Nobody extends it: its worker is stopped.
    let (_director, held) = watch::channel(holding(2_000));
    let exit = bench.run_held(marked("py-lease"), json!({ "folder": folder }), held).await;
    assert_eq!(exit.why, Why::LeaseLost, "{exit:?}");
    assert_gone("py-lease");
}

#[tokio::test]
async fn a_call_ends_with_its_worker() {
    let bench = Bench::new(STAYS);
    let folder = bench.dir.path().to_str().unwrap().to_owned();
    let (_director, held) = watch::channel(holding(60_000));
    let mut running = Box::pin(bench.run_held(marked("py-worker"), json!({ "folder": folder }), held));
    let path = bench.dir.path().join("pid");
    let pid = tokio::select! {
        exit = &mut running => panic!("it ended: {exit:?}"),
        pid = pid_in(&path) => pid,
    };
    assert!(alive_with("py-worker").contains(&pid));
    // Its stream is closed, as by the death of a worker.
    drop(running);
    await_death(pid).await;
    let end = Instant::now() + Duration::from_secs(20);
    while !alive_with("py-worker").is_empty() {
        assert!(Instant::now() < end, "{:?}", alive_with("py-worker"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn hostile_parameters_are_nothing_but_values() {
    let bench = Bench::new("def run(**given): return given\n");
    let texts =
        ["$(touch owned)", "'; import os; os.abort()", "\0", "\u{2028}\"\\", "__import__('os').abort()", "%s{0}"];
    for text in texts {
        let given = json!({ "x": text, "self": [text, { text: 1 }], "__class__": text, "a-b": text });
        assert_eq!(returned(&bench.run(json!({}), given.clone()).await), given);
    }
}

const VERSION: &str = "import petrel_test_part\ndef run(): return petrel_test_part.VERSION\n";

fn requiring(version: &str) -> Value {
    let requirements = [format!("petrel-test-part=={version}")];
    json!({ "python": { "interpreter": python::interpreter(), "requirements": requirements } })
}

#[tokio::test]
async fn what_a_pack_requires_is_installed_once_and_two_versions_stand_side_by_side() {
    let wheels = tempfile::tempdir().unwrap();
    for version in ["1.0", "2.0"] {
        wheel(wheels.path(), "petrel_test_part", version, &format!("VERSION = {version:?}\n"));
    }
    let links = vec![wheels.path().to_str().unwrap().to_owned()];
    let bench = Bench::with(VERSION, |options| options.find_links = links);
    let (one, two) = tokio::join!(bench.run(requiring("1.0"), json!({})), bench.run(requiring("2.0"), json!({})));
    assert_eq!((returned(&one), returned(&two)), (json!("1.0"), json!("2.0")));
    // A pack says it in a file, too; it is the same environment, though nothing could be installed any more.
    std::fs::remove_dir_all(wheels.path()).unwrap();
    std::fs::write(bench.pack().join("requirements.txt"), "# of the pack\npetrel-test-part==2.0\n").unwrap();
    assert_eq!(returned(&bench.run(json!({}), json!({})).await), json!("2.0"));
    let folders = |bench: &Bench| {
        let entries = std::fs::read_dir(bench.dir.path().join("python")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().join(".complete").exists()).count()
    };
    assert_eq!(folders(&bench), 2);
}

#[tokio::test]
async fn an_environment_that_cannot_be_made_is_told_and_tried_again_and_never_half_used() {
    let wheels = tempfile::tempdir().unwrap();
    let links = vec![wheels.path().to_str().unwrap().to_owned()];
    let bench = Bench::with(VERSION, |options| {
        options.find_links = links;
        options.build_retry_ms = 1_500;
    });
    let exit = bench.run(requiring("1.0"), json!({})).await;
    let (code, error) = failure(&exit);
    assert!(code == code::ENVIRONMENT_UNUSABLE && error.contains("petrel-test-part==1.0"), "{exit:?}");
    let (_, again) = failure(&bench.run(requiring("1.0"), json!({})).await);
    assert!(again.ends_with("(it is tried again after a while)"), "{again}");
    wheel(wheels.path(), "petrel_test_part", "1.0", "VERSION = '1.0'\n");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    // What stands there is half of an environment.
    assert_eq!(returned(&bench.run(requiring("1.0"), json!({})).await), json!("1.0"));
    // What nobody has used for long goes when another one is made.
    let folders = std::fs::read_dir(bench.dir.path().join("python")).unwrap().map(|entry| entry.unwrap().path());
    let old: Vec<_> = folders.filter(|folder| folder.join(".complete").exists()).collect();
    let complete = std::fs::File::options().write(true).open(old[0].join(".complete")).unwrap();
    complete.set_modified(SystemTime::now() - Duration::from_secs(31 * 86_400)).unwrap();
    let python = json!({ "interpreter": python::interpreter(), "requirements": ["petrel-test-part<2"] });
    assert_eq!(returned(&bench.run(json!({ "python": python }), json!({})).await), json!("1.0"));
    assert_eq!(old.len(), 1);
    let end = Instant::now() + Duration::from_secs(20);
    while old[0].exists() {
        assert!(Instant::now() < end, "an old environment stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let exit = bench.run(json!({ "python": "/nowhere/python" }), json!({})).await;
    assert_eq!(failure(&exit), (code::ENVIRONMENT_UNUSABLE, "there is no interpreter /nowhere/python".to_owned()));
}

/// An action that is confined, and needs that.
fn confined(interpreter: &str, requirement: &str) -> Value {
    let reads = [python::prefix().to_str().unwrap(), interpreter];
    json!({
        "python": { "interpreter": interpreter, "requirements": [requirement] },
        "confine": { "files": "confined", "reads": reads, "network": "none" },
        "env": { "TMPDIR": "/own" },
    })
}

#[tokio::test]
async fn the_environment_of_a_confined_call_is_made_held_to_the_same_and_of_wheels_alone() {
    let wheels = tempfile::tempdir().unwrap();
    wheel(wheels.path(), "petrel_test_part", "1.0", "VERSION = '1.0'\n");
    let links = vec![wheels.path().to_str().unwrap().to_owned()];
    let text = "import os, petrel_test_part\ndef run(): return [petrel_test_part.VERSION, os.environ['TMPDIR']]\n";
    let bench = Bench::with(text, |options| options.find_links = links);
    std::fs::write(bench.dir.path().join("secret"), "s3cret").unwrap();
    // The pack says what runs it, and so what makes its environment.
    let steals =
        format!("[ \"$2\" = venv ] && (cat {}) > \"$3/stolen\" 2>/dev/null", bench.dir.path().join("secret").display());
    let interpreter = python::wrapper(&bench.dir.path().join("interpreter"), &steals);
    let exit = bench.run(confined(&interpreter, "petrel-test-part"), json!({})).await;
    assert_eq!(returned(&exit), json!(["1.0", "/own"]));
    let folders = std::fs::read_dir(bench.dir.path().join("python")).unwrap().map(|entry| entry.unwrap().path());
    let stolen: Vec<_> = folders.filter_map(|folder| std::fs::read_to_string(folder.join("stolen")).ok()).collect();
    if landlock_abi() >= 3 {
        assert_eq!(stolen, [""]);
    }
    let folder = bench.pack().join("part");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("setup.py"), "open('/tmp/petrel-built', 'w')\n").unwrap();
    for built in ["./part", "--no-binary :all:", "part-1.0.tar.gz"] {
        let (code, error) = failure(&bench.run(confined(&interpreter, built), json!({})).await);
        assert!(code == code::ENVIRONMENT_UNUSABLE && error.contains("nothing but wheels"), "{built}: {error}");
    }
}

#[tokio::test]
async fn an_environment_that_is_being_made_keeps_nobody_for_long_and_ends_with_its_attempt() {
    let bench = Bench::new("def run(): return 1\n");
    let begun = bench.dir.path().join("begun");
    let text = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", begun.display());
    let interpreter = python::wrapper(&bench.dir.path().join("interpreter"), &text);
    let keys = json!({ "python": { "interpreter": interpreter, "requirements": ["petrel-test-part"] } });
    let (director, held) = watch::channel(holding(60_000));
    let makes = bench.run_held(keys.clone(), json!({}), held);
    let others = async {
        let pid = pid_in(&begun).await;
        let exit = bench.run(keys.clone(), json!({})).await;
        let being = (Why::GivenBack { begun: false }, Some("its environment is being made".to_owned()));
        assert_eq!((exit.why, exit.error), being);
        director.send_modify(|held| held.order(CANCEL));
        pid
    };
    // Nothing of the action has begun, also where its worker shuts down.
    let (exit, pid) = tokio::join!(makes, others);
    assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
    assert!(!actions::is_alive(pid));
    // What takes too long is not tried again at once, and nothing of it stays.
    let bench = Bench::with("def run(): return 1\n", |options| options.build_ms_max = 500);
    let exit = bench.run(keys.clone(), json!({})).await;
    let slow = "its environment took longer than 500 ms to be made";
    assert_eq!(failure(&exit), (code::ENVIRONMENT_UNUSABLE, slow.to_owned()));
    let again = failure(&bench.run(keys, json!({})).await).1;
    assert_eq!(again, format!("{slow} (it is tried again after a while)"));
    let entries = std::fs::read_dir(bench.dir.path().join("python")).unwrap();
    assert_eq!(entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 0);
}

/// Attempts of one process, and workers in containers that have the same number.
#[tokio::test]
async fn first_calls_at_once_run_a_whole_program() {
    for _ in 0..5 {
        let bench = Bench::new("def run(): return 1\n");
        let call = || bench.function("run");
        let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
        for exit in [a, b, c, d] {
            assert_eq!(returned(&exit), json!(1));
        }
    }
}
