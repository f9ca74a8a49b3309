//! Actions that want to know what the server knows.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use petrel_e2e_tests::{Single, write_pack};
use petrel_testkit::wait_until;

/// Looks into every process over it, up to the first one of the system, for the token and, where it is one of Petrel's, for
/// memory. It succeeds if it has found none, and has looked at the guard, the supervisor and the server.
const PEEK: &str = r#"#!/bin/sh
p=$PPID
looked=0
while [ "${p:-1}" -gt 1 ]; do
  tr '\0' '\n' 2>/dev/null < /proc/$p/environ | grep -q "$1" && exit 3
  case $(cat /proc/$p/comm) in petrel|exe)
    (: < /proc/$p/mem) 2>/dev/null && exit 4
    looked=$((looked + 1)) ;;
  esac
  p=$(awk '/^PPid:/ { print $2 }' /proc/$p/status)
done
[ $looked = 3 ]
"#;

/// The server's process and all that descend from it.
fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<u32> =
            lists.flat_map(|l| l.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>()).collect();
        found.extend(children);
        at += 1;
    }
    found
}

#[test]
fn no_token_is_found_in_the_environment_of_any_process_of_the_server() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let token = "a-token-that-nobody-sees";
    let mut petrel = Single::start_with_token(dir.path(), token)?;
    let cli = petrel.cli().clone();
    let pack = write_pack(
        dir.path(),
        "peek",
        &[
            ("pack.yaml", "name: peek\nversion: 1.0.0\n"),
            ("actions/peek.yaml", "name: peek\nrunner: command\ncommand: [./peek.sh, a-token-that]\n"),
            ("actions/peek.sh", PEEK),
        ],
    )?;
    cli.run(&["pack", "apply", &pack.display().to_string()])?;
    let done = cli.json(&["action", "run", "peek.peek", "--wait"])?;
    assert_eq!(done["status"], "succeeded", "{done}");
    // What root reads, whom nothing keeps from looking.
    let processes = tree(petrel.process().process().pid());
    assert!(processes.len() >= 3, "server, supervisor and engine, not {processes:?}");
    let mut was_seen = false;
    for pid in processes {
        let environment = std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default();
        let text = String::from_utf8_lossy(&environment);
        was_seen |= text.contains("PETREL_TOKEN=");
        assert!(!text.contains(token), "process {pid} shows its token");
    }
    // Nobody but root sees even the name, for these processes are not dumpable.
    let is_root = std::fs::metadata("/proc/self")?.uid() == 0;
    assert_eq!(was_seen, is_root);
    petrel.down()
}

/// It runs until a file is there.
const HOLD: &str = "#!/bin/sh\nwhile [ ! -e \"$1\" ]; do sleep 0.05; done\n";

/// What root reads of a process: its arguments and its environment.
fn shown(pid: u32) -> (String, String) {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let [arguments, environment] = ["cmdline", "environ"].map(|name| String::from_utf8_lossy(&read(name)).into_owned());
    (arguments, environment)
}

/// While an action runs that was given a secret, that stands in its own environment and in no other: not in that of its
/// guard, its supervisor, the server or the engine; and the master key in none.
#[test]
fn an_opened_secret_stands_in_the_environment_of_its_action_alone_and_the_master_key_in_none() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (key, value) = ("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", "Zq7kV-9xR2mBwT-hunter2");
    let mut petrel = Single::start(dir.path(), &[("PETREL_SECRETS__MASTER_KEY", key)])?;
    let cli = petrel.cli().clone();
    let action = "name: hold\nrunner: command\ncommand: [./hold.sh, \"${parameters.until}\"]\n\
                  env: { TOKEN: \"${secret.peek.token}\" }\nparameters: { until: { type: string, required: true } }\n";
    let peek = format!("name: look\nrunner: command\ncommand: [./peek.sh, \"{}\"]\n", &key[..20]);
    let files = [
        ("pack.yaml", "name: peek\nversion: 1.0.0\n"),
        ("actions/hold.yaml", action),
        ("actions/hold.sh", HOLD),
        ("actions/look.yaml", &peek),
        ("actions/peek.sh", PEEK),
    ];
    cli.run(&["pack", "apply", &write_pack(dir.path(), "peek", &files)?.display().to_string()])?;
    let (file, until) = (dir.path().join("value"), dir.path().join("until"));
    std::fs::write(&file, value)?;
    cli.run(&["secret", "set", "peek.token", "--file", &file.display().to_string()])?;
    let looked = cli.json(&["action", "run", "peek.look", "--wait"])?;
    assert_eq!(looked["status"], "succeeded", "{looked}");

    let asked = cli.json(&["action", "run", "peek.hold", &format!("until={}", until.display())])?;
    let server = petrel.process().process().pid();
    let runs = || tree(server).into_iter().any(|pid| shown(pid).0.contains("hold.sh"));
    wait_until("the action runs", Duration::from_secs(60), runs);
    let mut holders = 0;
    for pid in tree(server) {
        let (arguments, environment) = shown(pid);
        assert!(!environment.contains(&key[..20]), "process {pid} shows the master key: {arguments}");
        assert!(!arguments.contains(value), "process {pid} has the secret in its arguments: {arguments}");
        if environment.contains(value) {
            // The script, and what it starts.
            assert!(
                arguments.contains("hold.sh") || arguments.contains("sleep"),
                "{pid} shows the secret: {arguments}"
            );
            holders += 1;
        }
    }
    assert!(holders > 0, "the action has not got it");
    std::fs::write(&until, "")?;
    let id = asked["execution_id"].as_str().unwrap_or_default();
    let ended = || cli.json(&["execution", "get", id]).is_ok_and(|execution| execution["status"] == "succeeded");
    wait_until("the action has ended", Duration::from_secs(60), ended);
    petrel.down()
}
