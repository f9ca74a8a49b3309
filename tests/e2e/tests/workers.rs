//! Classes and drains: one process whose worker has one slot, and processes on Kafka.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Cluster, Single, Size, get as page, write_pack};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

/// Nothing is declined while the test looks: there is nobody to decline for.
const ENVIRONMENT: [(&str, &str); 2] = [("PETREL_WORKER__SLOTS", "1"), ("PETREL_WORKER__DECLINE_MS", "600000")];

/// Whether something becomes true.
fn soon(mut condition: impl FnMut() -> bool) -> bool {
    poll_until(SOON, || condition().then_some(())).is_some()
}

/// A process with a pack whose action says that it runs, waits for a file, and writes its name.
fn start(dir: &Path) -> Result<Single> {
    let mut petrel = Single::prepare(dir, &[], &ENVIRONMENT)?;
    petrel.up()?;
    apply_pack(petrel.cli(), dir)?;
    Ok(petrel)
}

fn apply_pack(cli: &Cli, dir: &Path) -> Result<()> {
    let hold = "name: hold\nrunner: command\ncommand: [./hold.sh, \"${parameters.name}\", \"${parameters.gate}\", \
                \"${parameters.log}\"]\nparameters: { name: {}, gate: {}, log: {} }\n";
    let script =
        "#!/bin/sh\necho \"+$1\" >> \"$3\"\nwhile [ ! -e \"$2\" ]; do sleep 0.05; done\necho \"$1\" >> \"$3\"\n";
    let rule = "name: later\ntrigger: hold.later\nclass: bulk\n\
                action: { ref: hold.hold, parameters: { name: rule, gate: \"${trigger.gate}\", log: \"${trigger.log}\" } }\n";
    let files = [
        ("pack.yaml", "name: hold\nversion: 1.0.0\n"),
        ("triggers/later.yaml", "name: later\n"),
        ("rules/later.yaml", rule),
        ("actions/hold.yaml", hold),
        ("actions/hold.sh", script),
    ];
    let pack = write_pack(dir, "hold", &files)?;
    cli.run(&["pack", "apply", &pack.display().to_string()])?;
    Ok(())
}

/// Asks for an execution of that name, which ends once the gate is there; its id.
fn ask(cli: &Cli, dir: &Path, name: &str, more: &[&str]) -> Result<String> {
    let (gate, log) = (dir.join("gate"), dir.join("log"));
    let (name, gate, log) =
        (format!("name={name}"), format!("gate={}", gate.display()), format!("log={}", log.display()));
    let mut arguments = vec!["action", "run", "hold.hold", &name, &gate, &log];
    arguments.extend(more);
    Ok(cli.run(&arguments)?.trim().to_owned())
}

fn lines(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn has_run(dir: &Path, name: &str) -> Result<()> {
    ensure!(soon(|| lines(dir).iter().any(|line| line == name)), "{name} is not in {:?}", lines(dir));
    Ok(())
}

fn get(cli: &Cli, id: &str) -> Result<Value> {
    cli.json(&["execution", "get", id])
}

/// The execution, once it is as it should be.
fn until(cli: &Cli, id: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    let found = poll_until(SOON, || get(cli, id).ok().filter(&holds));
    found.with_context(|| format!("it stays {:?}", get(cli, id)))
}

fn waiting(status: &Value, class: &str) -> Option<u64> {
    let queues = status["queues"].as_array()?;
    let queue = queues.iter().find(|queue| queue["pool"] == "default" && queue["class"] == class)?;
    queue["length"].as_u64()
}

#[test]
fn what_is_urgent_runs_before_what_waits_longer_and_nothing_starves() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    ask(cli, dir.path(), "first", &[])?;
    has_run(dir.path(), "+first")?;
    // What is the least urgent has waited longest.
    let event = serde_json::json!({ "gate": dir.path().join("gate"), "log": dir.path().join("log") });
    cli.run(&["event", "send", "hold.later", &event.to_string()])?;
    let told = |bulk, normal, urgent| {
        let all = [("bulk", bulk), ("normal", normal), ("urgent", urgent)];
        let is_told = |status: Value| all.iter().all(|(class, length)| waiting(&status, class) == Some(*length));
        soon(|| cli.json(&["status"]).is_ok_and(is_told))
    };
    ensure!(told(1, 0, 0), "{:?}", cli.json(&["status"]));
    ask(cli, dir.path(), "bulk", &["--class", "bulk"])?;
    for n in 0..2 {
        ask(cli, dir.path(), &format!("normal-{n}"), &[])?;
    }
    let urgent = ask(cli, dir.path(), "urgent", &["--class", "urgent"])?;
    ensure!(told(2, 2, 1), "{:?}", cli.json(&["status"]));
    let shown = get(cli, &urgent)?;
    assert_eq!(
        (&shown["class"], &shown["pool"], &shown["status"]),
        (&"urgent".into(), &"default".into(), &"scheduled".into())
    );
    let metrics = page(&format!("{}/metrics", cli.api()))?.body;
    ensure!(metrics.contains("petrel_queue_length{pool=\"default\",class=\"bulk\"} 2\n"), "{metrics}");
    ensure!(metrics.contains("petrel_queue_age_seconds{pool=\"default\",class=\"urgent\"} "), "{metrics}");
    let unknown = cli.output(&["action", "run", "hold.hold", "--class", "asap"])?;
    ensure!(
        !unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("is no class"),
        "{unknown:?}"
    );
    std::fs::write(dir.path().join("gate"), "")?;
    ensure!(soon(|| lines(dir.path()).len() == 12), "{:?}", lines(dir.path()));
    let ran: Vec<String> = lines(dir.path()).into_iter().filter(|line| !line.starts_with('+')).collect();
    let place = |name: &str| ran.iter().position(|ran| ran == name);
    assert_eq!((place("first"), place("urgent")), (Some(0), Some(1)), "{ran:?}");
    ensure!(told(0, 0, 0), "{:?}", cli.json(&["status"]));
    Ok(())
}

#[test]
fn a_drained_worker_takes_nothing_hands_over_and_goes_on() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let workers = || cli.json(&["worker", "list"]);
    let worker = poll_until(SOON, || workers().ok()?["workers"][0]["worker"].as_str().map(str::to_owned));
    let worker = worker.context("it says that it runs")?;
    let runs = ask(cli, dir.path(), "first", &[])?;
    has_run(dir.path(), "+first")?;
    cli.run(&["worker", "drain", &worker, "--reason", "a new disk"])?;
    let is = |status: &str| soon(|| workers().is_ok_and(|answer| answer["workers"][0]["status"] == status));
    ensure!(is("draining"), "{:?}", workers());
    assert_eq!(workers()?["workers"][0]["order"]["reason"], "a new disk");
    let waits = ask(cli, dir.path(), "second", &["--class", "urgent"])?;
    until(cli, &waits, |e| e["waits_for"] == "a worker: every worker of pool \"default\" is drained")?;
    // What runs goes on until it is to be handed over; there is nobody to take it.
    assert_eq!(get(cli, &runs)?["status"], "running");
    cli.run(&["worker", "drain", &worker, "--hand-over-after", "100ms", "--wait"])?;
    ensure!(is("drained"), "{:?}", workers());
    until(cli, &runs, |e| e["status"] == "scheduled" && e["hand_overs"] == 1)?;
    std::fs::write(dir.path().join("gate"), "")?;
    cli.run(&["worker", "resume", &worker])?;
    for id in [&waits, &runs] {
        until(cli, id, |e| e["status"] == "succeeded")?;
    }
    ensure!(is("running"), "{:?}", workers());
    // A pool is drained as a whole; who is no worker cannot be.
    cli.run(&["worker", "drain", "--pool", "default", "--wait"])?;
    assert_eq!(workers()?["pools_drained"][0]["pool"], "default");
    cli.run(&["worker", "resume", "--pool", "default"])?;
    let nobody = cli.output(&["worker", "drain", "nobody"])?;
    ensure!(
        !nobody.status.success() && String::from_utf8_lossy(&nobody.stderr).contains("there is no worker"),
        "{nobody:?}"
    );
    let again = ask(cli, dir.path(), "third", &[])?;
    until(cli, &again, |e| e["status"] == "succeeded")?;
    Ok(())
}

#[test]
fn on_kafka_every_class_runs_and_a_drained_worker_is_left_out() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let broker = KafkaBroker::start()?;
    let dir = tempfile::tempdir()?;
    let prefix = format!("workers{}.", std::process::id());
    let cluster = Cluster::start_with(dir.path(), &broker.bootstrap(), &prefix, Size { slots: 1, ..Size::default() })?;
    let cli = cluster.cli();
    apply_pack(cli, dir.path())?;
    for name in ["first", "second"] {
        ask(cli, dir.path(), name, &[])?;
        has_run(dir.path(), &format!("+{name}"))?;
    }
    let classes = ["bulk", "normal", "urgent"];
    let ids = classes.map(|class| ask(cli, dir.path(), class, &["--class", class]));
    let told = || cli.json(&["status"]).is_ok_and(|told| classes.iter().all(|class| waiting(&told, class) == Some(1)));
    ensure!(soon(told), "{:?}", cli.json(&["status"]));
    std::fs::write(dir.path().join("gate"), "")?;
    for id in ids {
        until(cli, &id?, |e| e["status"] == "succeeded")?;
    }
    cli.run(&["worker", "drain", "worker-1", "--wait"])?;
    for n in 0..6 {
        let id = ask(cli, dir.path(), &format!("after-{n}"), &["--class", classes[n % 3]])?;
        let ended = until(cli, &id, |e| e["status"] == "succeeded" && e["worker"].is_string())?;
        assert_eq!(ended["worker"], "worker-2");
    }
    Ok(())
}

#[test]
fn what_needs_much_waits_for_room_and_what_no_worker_has_fails() -> Result<()> {
    let environment = [
        ("PETREL_WORKER__SLOTS", "8"),
        ("PETREL_WORKER__MEMORY_BYTES", "4294967296"),
        ("PETREL_WORKER__CPUS", "2"),
        ("PETREL_WORKER__DECLINE_MS", "200"),
        ("PETREL_TASK_PARTITIONS", "4"),
        // A larger worker is not waited for as long as in production.
        ("PETREL_EXECUTOR__NO_ROOM_MS", "2000"),
    ];
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::prepare(dir.path(), &[], &environment)?;
    petrel.up()?;
    let (cli, dir) = (petrel.cli(), dir.path());
    apply_pack(cli, dir)?;
    let needing = |name: &str, needs: &str| {
        let text = "runner: command\ncommand: [./hold.sh, \"${parameters.name}\", \"${parameters.gate}\", \"${parameters.log}\"]\n\
                    parameters: { name: {}, gate: {}, log: {} }\n";
        std::fs::write(dir.join(format!("hold/actions/{name}.yaml")), format!("name: {name}\n{text}needs: {needs}\n"))
    };
    needing("large", "{ memory: 3GiB, cpu: 0.5 }")?;
    needing("huge", "{ memory: 5GiB }")?;
    cli.run(&["pack", "apply", &dir.join("hold").display().to_string()])?;
    let large = |name: &str, action: &str| -> Result<String> {
        let (gate, log) =
            (format!("gate={}", dir.join("gate").display()), format!("log={}", dir.join("log").display()));
        Ok(cli.run(&["action", "run", action, &format!("name={name}"), &gate, &log])?.trim().to_owned())
    };
    let first = large("first", "hold.large")?;
    has_run(dir, "+first")?;
    let second = large("second", "hold.large")?;
    // It has a slot, and no room; what needs none runs.
    ask(cli, dir, "small", &[])?;
    has_run(dir, "+small")?;
    let huge = large("huge", "hold.huge")?;
    // Why is told by the audit trail, a moment later.
    let failed = until(cli, &huge, |e| e["status"] == "failed" && e["error"].is_string())?;
    let why = failed["error"].as_str().unwrap_or_default();
    ensure!(
        failed["code"] == "no_room" && why.contains("needs 5 GiB of memory, which no worker of the pool default has"),
        "{failed}"
    );
    assert_eq!(get(cli, &second)?["status"], "scheduled");
    std::fs::write(dir.join("gate"), "")?;
    for id in [&first, &second] {
        until(cli, id, |e| e["status"] == "succeeded")?;
    }
    let ran = lines(dir);
    let place = |line: &str| ran.iter().position(|ran| ran == line);
    ensure!(place("+second") > place("first") && place("+huge").is_none(), "{ran:?}");
    // Where the size of the pool is said, what is over it is not taken in.
    petrel.down()?;
    let sizes = [("PETREL_POOL_SIZES", "{ default: { memory_bytes: 4294967296, cpus: 2 } }")];
    let other = tempfile::tempdir()?;
    let mut petrel = Single::prepare(other.path(), &[], &sizes)?;
    petrel.up()?;
    let refused = petrel.cli().output(&["pack", "apply", &dir.join("hold").display().to_string()])?;
    let told = String::from_utf8_lossy(&refused.stderr);
    let why = "hold.huge needs 5 GiB of memory, and the largest worker of the pool default has 4 GiB of memory and 2 processors";
    ensure!(!refused.status.success() && told.contains(why) && told.contains("actions/huge.yaml:5:8"), "{told}");
    Ok(())
}
