//! Actions that are held to their files and have no network, with real ones on this machine's kernel.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/processes.rs"]
mod processes;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use actions::{CANCEL, assert_gone, command, holding, marked, options, pid_in, run_under, script, supervisor};
use hostile::attack;
use petrel_execution::code;
use petrel_execution::runner::{Guarantee, May};
use petrel_execution::worker::{Exit, Why};
use petrel_executor::runner::{Command, RunnerOptions, run};
use petrel_executor::supervise::{Ability, Confinement, Reach, Supervisor};
use processes::{Bench, stdout};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The first version of Landlock that holds a file back from every way to write to it.
fn confines() -> bool {
    Ability::look().landlock_abi >= 3
}

/// Does nothing unless it is run as an action.
#[test]
fn hostile_role() {
    hostile::play();
}

/// Reads and writes what an action could harm, and then what it needs; prints what it could do.
const REACH: &str = "\
    (cat \"$1/secret\") >/dev/null 2>&1 && echo secret\n\
    (ls \"$2\") >/dev/null 2>&1 && echo work of another\n\
    (cat /etc/shadow) >/dev/null 2>&1 && echo shadow\n\
    (echo x > \"$1/written\") 2>/dev/null && echo new file\n\
    (: > \"$1/secret\") 2>/dev/null && echo emptied\n\
    (echo x > \"$PETREL_ACTION_DIR/written\") 2>/dev/null && echo pack\n\
    (ln \"$1/secret\" \"$PETREL_WORK_DIR/link\") 2>/dev/null && echo linked\n\
    (mv \"$1/moved\" \"$PETREL_WORK_DIR/moved\") 2>/dev/null && echo moved\n\
    (mknod \"$PETREL_WORK_DIR/disk\" b 1 0) 2>/dev/null && echo disk\n\
    (\"$1/program\") >/dev/null 2>&1 && echo executed\n\
    (echo x > /proc/self/comm) 2>/dev/null && echo kernel\n\
    cat \"$PETREL_ACTION_DIR/note\" && \"$PETREL_ACTION_DIR/tool\" && cat <<END > \"$PETREL_WORK_DIR/file\"\n\
    written\n\
    END\n\
    cat \"$PETREL_WORK_DIR/file\"; file=$(mktemp) && echo x > \"$file\" && echo temporary; cd && [ \"$PWD\" = \"$HOME\" ] && echo home\n\
    printf '#!/bin/sh\\necho built\\n' > built && chmod +x built && ./built; mkdir -p a/b && mv built a/b && ln -s a link && rm -r a\n\
    awk 'NR == 1 { print \"proc\" }' /proc/self/status; echo x > /dev/null; head -c 1 /dev/urandom | wc -c; id -un >/dev/null && echo end\n";
const NEEDS: &str = "noted\ntool\nwritten\ntemporary\nhome\nbuilt\nproc\n1\nend\n";

/// A bench with a folder beside the pack, as a data directory would be.
fn bench(options: RunnerOptions) -> (Bench, PathBuf) {
    let bench = Bench::of(options);
    bench.file("note", "noted\n", 0o644);
    bench.file("tool", "#!/bin/sh\necho tool\n", 0o755);
    let data = bench.dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for name in ["secret", "moved"] {
        std::fs::write(data.join(name), "s3cret\n").unwrap();
    }
    std::fs::write(data.join("program"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(data.join("program"), std::fs::Permissions::from_mode(0o755)).unwrap();
    (bench, data)
}

fn reach(data: &Path, other: &Path, confine: &Value) -> Value {
    json!({ "script": REACH, "args": [data, other], "confine": confine })
}

#[tokio::test]
async fn a_confined_action_reads_its_pack_and_the_system_and_writes_its_work_directory() {
    let (bench, data) = bench(options());
    let other = bench.work.make(None).unwrap();
    let exit = bench.run("shell", reach(&data, other.path(), &json!({ "files": "confined" })), json!({})).await;
    if confines() {
        assert_eq!(stdout(&exit), NEEDS, "{}", String::from_utf8_lossy(&exit.stderr.bytes));
        assert_eq!(std::fs::read_to_string(data.join("secret")).unwrap(), "s3cret\n");
        assert!(data.join("moved").exists() && !data.join("written").exists());
    }
    // The same text does all of that where nothing keeps it from it.
    let exit = bench.run("shell", reach(&data, other.path(), &json!({})), json!({})).await;
    let told = stdout(&exit);
    for what in ["secret", "work of another", "new file", "emptied", "pack", "linked", "moved", "executed", "kernel"] {
        assert!(told.lines().any(|line| line == what), "{what}: {told}");
    }
    assert!(told.contains("noted\ntool\nwritten\n"));
}

#[tokio::test]
async fn an_action_says_what_it_reads_and_writes_beside() {
    let (bench, data) = bench(options());
    let text = "cat \"$1/secret\"; (echo x > \"$1/a\") 2>/dev/null || echo refused; echo y > \"$2/b\" && cat \"$2/b\"";
    let extra = bench.dir.path().join("extra");
    std::fs::create_dir(&extra).unwrap();
    let keys = |confine: Value| json!({ "script": text, "args": [data, extra], "confine": confine });
    let confine = json!({ "files": "confined", "reads": [data], "writes": [extra] });
    let exit = bench.run("shell", keys(confine), json!({})).await;
    if confines() {
        assert_eq!(stdout(&exit), "s3cret\nrefused\ny\n", "{exit:?}");
    }
    // One file of a folder.
    let confine = json!({ "files": "confined", "reads": [data.join("secret")] });
    let exit = bench.run("shell", keys(confine), json!({})).await;
    if confines() {
        assert_eq!((stdout(&exit).as_str(), exit.return_code), ("s3cret\nrefused\n", Some(2)), "{exit:?}");
    }
    let missing = json!({ "files": "confined", "writes": [data.join("none")] });
    let exit = bench.run("shell", keys(missing), json!({})).await;
    assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED));
    assert!(exit.error.as_ref().is_some_and(|error| error.contains("/data/none: No such file")), "{exit:?}");
}

#[tokio::test]
async fn a_worker_confines_what_does_not_say_otherwise_and_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "s3cret").unwrap();
    let (bench, data) = bench(RunnerOptions { confines_files: true, kept: vec![dir.path().to_owned()], ..options() });
    let keys = |confine: Value| json!({ "script": "(cat \"$1/secret\") 2>/dev/null || echo refused", "args": [data], "confine": confine });
    if confines() {
        let exit = bench.run("shell", keys(json!({})), json!({})).await;
        assert_eq!(stdout(&exit), "refused\n");
    }
    let exit = bench.run("shell", keys(json!({ "files": "unconfined" })), json!({})).await;
    assert_eq!(stdout(&exit), "s3cret\n");
    for asked in [dir.path().join("token"), dir.path().to_owned(), dir.path().parent().unwrap().to_owned()] {
        let exit = bench.run("shell", keys(json!({ "reads": [asked] })), json!({})).await;
        assert_eq!(exit.why, Why::NotStarted(code::NOT_STARTED), "{exit:?}");
        assert!(exit.error.unwrap().contains("what this worker keeps to itself"));
    }
}

/// Runs the attack over sockets; what it could do.
async fn sockets(confinement: Confinement) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let network = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _service = std::os::unix::net::UnixListener::bind(dir.path().join("service")).unwrap();
    std::fs::write(dir.path().join("port"), network.local_addr().unwrap().port().to_string()).unwrap();
    std::os::unix::fs::symlink(format!("/proc/{}/ns/net", std::process::id()), dir.path().join("network")).unwrap();
    let mut command = attack("sockets", dir.path());
    command.confinement = confinement;
    if let Some(reach) = &mut command.confinement.files {
        let program = std::env::current_exe().unwrap();
        reach.reads.extend([dir.path().to_owned(), program]);
    }
    let exit = run_under(&supervisor(), &options(), command).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(0)), "{exit:?}");
    let told = String::from_utf8_lossy(&exit.stdout.bytes).into_owned();
    told.lines().filter_map(|line| line.strip_prefix("can: ").map(str::to_owned)).collect()
}

#[tokio::test]
async fn an_action_without_a_network_reaches_nothing_but_itself() {
    let free = sockets(Confinement::default()).await;
    for what in ["service", "datagram", "pair of streams", "pair of datagrams", "network", "itself"] {
        assert!(free.contains(&what.to_owned()), "{what}: {free:?}");
    }
    let ability = Ability::look();
    if !ability.filters_calls {
        return;
    }
    let own = ["service", "datagram", "pair of streams", "pair of datagrams"];
    let alone = sockets(Confinement { no_network: true, ..Confinement::default() }).await;
    match ability.has_network_namespaces {
        true => assert_eq!(alone, [&own[..], &["itself"]].concat()),
        false => assert_eq!(alone, own),
    }
}

#[tokio::test]
async fn a_confined_action_speaks_to_no_service_of_the_machine() {
    if !confines() || !Ability::look().filters_calls {
        return;
    }
    let files = || Some(Reach::default());
    let held = sockets(Confinement { files: files(), no_unix_sockets: true, ..Confinement::default() }).await;
    let network: Vec<_> = held.iter().filter(|what| *what != "vsock").cloned().collect();
    assert_eq!(network, ["pair of streams", "network", "itself"]);
    let held = sockets(Confinement { files: files(), ..Confinement::default() }).await;
    assert!(held.contains(&"service".to_owned()), "{held:?}");
    let all = Confinement { files: files(), no_unix_sockets: true, no_network: true, required: vec![] };
    let held = sockets(all).await;
    assert!(held.iter().all(|what| ["pair of streams", "itself"].contains(&what.as_str())), "{held:?}");
}

/// Whether connections come about, as `bash` makes them.
const CONNECT: &str = "(exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null && echo network; echo $(id -u) $(cat /proc/self/status | awk '/^CapEff/ { print $2 }')";

#[tokio::test]
async fn who_is_not_root_leaves_the_network_too() {
    let network = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = network.local_addr().unwrap().port().to_string();
    if std::env::var_os(SUPERVISOR).is_none() {
        return as_nobody("who_is_not_root_leaves_the_network_too");
    }
    let bench = Bench::under(std::env::var_os(SUPERVISOR).unwrap());
    let keys = |confine: Value| json!({ "script": CONNECT, "shell": "bash", "args": [port], "confine": confine });
    let told = format!("{} 0000000000000000\n", nix::unistd::geteuid());
    let exit = bench.run("shell", keys(json!({})), json!({})).await;
    assert_eq!(stdout(&exit), format!("network\n{told}"), "{exit:?}");
    let all = json!({ "files": "confined", "network": "none" });
    for confine in [json!({ "network": "none" }), all] {
        let exit = bench.run("shell", keys(confine), json!({})).await;
        if Ability::look().filters_calls {
            assert_eq!(stdout(&exit), told, "{exit:?}");
        }
    }
}

const SUPERVISOR: &str = "PETREL_TEST_SUPERVISOR";
const NOBODY: u32 = 65_534;

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
    let mut worker = std::process::Command::new(program);
    worker.args(["--exact", test, "--nocapture"]).env(SUPERVISOR, supervisor).env("TMPDIR", dir.path());
    if Ability::look().is_root {
        worker.uid(NOBODY).gid(NOBODY);
    }
    let ended = worker.current_dir(dir.path()).output().unwrap();
    let told = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(ended.status.success() && told.contains("1 passed"), "{told}");
}

#[tokio::test]
async fn what_an_action_requires_and_this_machine_cannot_give_ends_it_before_it_starts() {
    let bench = Bench::new();
    let ran = bench.dir.path().join("ran");
    let limits = json!({ "tree_memory_bytes_max": 1 << 30, "tree_processes_max": 100, "tree_cpus_max": 1.5 });
    let keys = |required: Value| json!({ "script": "echo > \"$1\"", "args": [ran], "limits": limits, "confine": { "required": required } });
    let given = Ability::look().of_groups;
    let wanted = [Guarantee::TreeMemory, Guarantee::TreeProcesses, Guarantee::TreeCpus];
    let missing: Vec<_> = wanted.into_iter().filter(|one| !given.contains(one)).map(Guarantee::name).collect();
    let exit = bench.run("shell", keys(json!(true)), json!({})).await;
    match missing.is_empty() {
        true => assert_eq!(exit.why, Why::Exited),
        false => {
            assert_eq!(exit.why, Why::NotStarted(code::NOT_CONFINED), "{exit:?}");
            let error = exit.error.unwrap();
            assert!(error.contains(&missing.join(", ")) && error.contains("petrel doctor"), "{error}");
            assert!(!ran.exists());
        }
    }
    // Without that it runs with what there is.
    let exit = bench.run("shell", keys(json!(false)), json!({})).await;
    assert_eq!((exit.why, exit.return_code, ran.exists()), (Why::Exited, Some(0), true), "{exit:?}");
    if confines() && Ability::look().landlock_abi >= 6 && Ability::look().filters_calls {
        let confine = json!({ "files": "confined", "network": "none", "required": ["files", "network", "signals"] });
        let exit = bench.run("shell", json!({ "script": "echo ran", "confine": confine }), json!({})).await;
        assert_eq!(stdout(&exit), "ran\n", "{exit:?}");
    }
}

/// A supervisor that is started by root so, and becomes one of another user; none where this machine does not let it.
fn started_by(dir: &Path, before: &str) -> Option<Supervisor> {
    let program = dir.join("supervise");
    std::fs::copy(env!("CARGO_BIN_EXE_petrel-supervise"), &program).unwrap();
    for path in [dir, &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let become_other = format!("--reuid {NOBODY} --regid {NOBODY} --clear-groups");
    let text = before.replace("SETPRIV", &format!("exec setpriv {become_other}"));
    let starts = |program: &str| ["unshare", "-m", "sh", "-c", &text, program].map(OsString::from);
    let [unshare, arguments @ ..] = starts("true");
    let can = std::process::Command::new(unshare).args(arguments).output().is_ok_and(|ended| ended.status.success());
    can.then(|| Supervisor::new(starts(program.to_str().unwrap()).into()))
}

/// As on systems that give anybody a user namespace, in which nobody may do anything.
#[tokio::test]
async fn an_action_without_a_network_runs_where_a_user_namespace_is_of_no_use() {
    let dir = tempfile::tempdir().unwrap();
    let before = "mount --bind /proc /proc && mount -o remount,bind,ro /proc && SETPRIV \"$0\"";
    let Some(supervisor) = started_by(dir.path(), before) else { return };
    let mut command = command(&["sh", "-c", "echo ran"], Path::new("/"));
    command.confinement.no_network = true;
    let exit = run_under(&supervisor, &options(), command).await;
    assert_eq!((exit.why, text(&exit).as_str()), (Why::Exited, "ran\n"), "{exit:?}");
}

#[tokio::test]
async fn rights_that_a_manager_gives_a_worker_are_passed_on_to_no_action() {
    let dir = tempfile::tempdir().unwrap();
    let before = "SETPRIV --inh-caps +net_raw --ambient-caps +net_raw \"$0\"";
    let Some(supervisor) = started_by(dir.path(), before) else { return };
    let rights = |may: May| {
        let script = "awk '/^Cap(Inh|Prm|Eff|Amb)/ { print $2 }' /proc/self/status | sort -u";
        let command = Command { may, ..command(&["sh", "-c", script], Path::new("/")) };
        let supervisor = &supervisor;
        async move { text(&run_under(supervisor, &options(), command).await) }
    };
    assert_eq!(rights(May::default()).await, "0000000000000000\n");
    let gains = May { gain_privileges: true, ..May::default() };
    assert_eq!(rights(gains).await, "0000000000002000\n");
}

/// A group of cgroup v2 that goes with the test.
struct Delegated(PathBuf);

impl Delegated {
    fn make(name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?;
        let path = Path::new(mount).join(format!("petrel-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        path.join("cgroup.kill").exists().then_some(Self(path))
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        while std::fs::read_to_string(self.0.join("cgroup.procs")).is_ok_and(|processes| !processes.is_empty()) {
            std::thread::yield_now();
        }
        let _ = std::fs::remove_dir(self.0.join("petrel-actions"));
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn an_action_in_a_control_group_of_its_own_is_ended_by_it_and_leaves_none() {
    let Some(group) = Delegated::make("own") else { return };
    let dir = tempfile::tempdir().unwrap();
    let into = ["sh", "-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$1\""].map(OsString::from);
    let program = into.into_iter().chain([group.0.clone().into()]).chain(options().supervisor).collect();
    let supervisor = Supervisor::new(program);
    let text = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 600; done' &)\n\
                cat /proc/self/cgroup | grep ^0:; (echo 0 > \"$1/cgroup.procs\") 2>/dev/null && echo moved\n\
                echo $$ > told; exec sleep 600";
    let mut command = marked(command(&["sh", "-c", text, "x", group.0.to_str().unwrap()], dir.path()), "grouped");
    command.confinement.required = vec![Guarantee::Kill];
    let (director, directives) = watch::channel(holding(60_000));
    // It is ended once it has done what it does, however long that takes.
    let cancel = async {
        for file in ["daemon", "told"] {
            pid_in(&dir.path().join(file)).await;
        }
        director.send_modify(|holding| holding.order(CANCEL));
    };
    let options = options();
    let (exit, ()) = tokio::join!(run(&supervisor, &options, command, directives, || {}), cancel);
    assert_eq!(exit.why, Why::Stopped, "{exit:?}");
    let told = String::from_utf8_lossy(&exit.stdout.bytes).into_owned();
    assert!(told.contains("/petrel-actions/") && !told.contains("moved"), "{told}");
    assert_gone("grouped");
    let actions = group.0.join("petrel-actions");
    let left = std::fs::read_dir(&actions).unwrap().flatten().filter(|e| e.path().is_dir()).count();
    assert_eq!(left, 0);
}

/// An action that is held to its files and has no network.
fn confined(dir: &Path, text: &str, mark: &str) -> Command {
    script(
        dir,
        "run.sh",
        &format!(
            "#!/bin/sh\nG=$PPID; S=$(awk '{{print $4}}' /proc/$G/stat); W=$(awk '{{print $4}}' /proc/$S/stat)\n{text}"
        ),
    );
    let mut command = marked(command(&["./run.sh"], dir), mark);
    let reach = Reach { reads: Vec::new(), writes: vec![dir.to_owned()] };
    command.confinement = Confinement { files: Some(reach), no_unix_sockets: true, no_network: true, required: vec![] };
    command
}

fn text(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout.bytes).into_owned()
}

#[tokio::test]
async fn confined_actions_neither_stop_nor_kill_nor_read_nor_forge_what_watches_them() {
    let dir = tempfile::tempdir().unwrap();
    let attack = "for p in $G $S $W; do for s in STOP KILL; do kill -$s $p 2>/dev/null && echo reached; done\n\
                  [ $(cat /proc/$p/environ 2>/dev/null | wc -c) = 0 ] || echo environ\n\
                  (: < /proc/$p/mem) 2>/dev/null && echo memory\n\
                  for fd in 0 1 2 3 4 5 6 7 8; do (echo forged > /proc/$p/fd/$fd) 2>/dev/null && echo forged; done; done\n\
                  echo tried\n";
    if Ability::look().landlock_abi < 6 {
        return;
    }
    let once = confined(dir.path(), &format!("{attack}exit 9\n"), "confined-attack");
    let exit = run_under(&supervisor(), &options(), once).await;
    assert_eq!((exit.why, exit.return_code, text(&exit).as_str()), (Why::Exited, Some(9), "tried\n"), "{exit:?}");
    assert_gone("confined-attack");
    // One that goes on for ever is ended by the time-out, however often it has got through by then.
    let mut endless = confined(dir.path(), &format!("while :; do {attack}done\n"), "confined-attack");
    endless.timeout_ms = 500;
    let exit = run_under(&supervisor(), &options(), endless).await;
    assert!(exit.why == Why::Timeout && text(&exit).lines().all(|line| line == "tried"), "{exit:?}");
    assert_gone("confined-attack");
}

#[tokio::test]
async fn a_confined_action_that_may_signal_and_kills_its_guard_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let attack = "( setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 & )\n\
                  sleep 0.1; kill -9 $G; exec sleep 600\n";
    let mut command = confined(dir.path(), attack, "confined-kill");
    command.may = May { signal_others: true, gain_privileges: false };
    let exit = run_under(&supervisor(), &options(), command).await;
    assert_eq!(exit.why, Why::Unknown, "{exit:?}");
    assert_gone("confined-kill");
}
