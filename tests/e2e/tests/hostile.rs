//! Actions that want to know what the server knows.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use petrel_e2e_tests::{Single, write_pack};

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
