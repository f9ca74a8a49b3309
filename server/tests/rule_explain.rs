//! `petrel rule explain` and `petrel rule lint` as a user calls them: real files, the real binary, no server.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A pack in a folder that goes away with the guard.
fn pack(rules: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let pack = dir.path().join("disk");
    let trigger = "name: alert\nschema: { type: object, required: [host], properties: { host: { type: string }, \
                   pct: { type: number } } }\n";
    let mut files = vec![
        ("pack.yaml".to_owned(), "name: disk\nversion: 1.0.0\n".to_owned()),
        ("triggers/alert.yaml".to_owned(), trigger.to_owned()),
        ("actions/say.yaml".to_owned(), "name: say\nrunner: command\ncommand: [echo]\n".to_owned()),
    ];
    files.extend(rules.iter().map(|(name, criteria)| {
        let text = format!("name: {name}\ntrigger: disk.alert\ncriteria: {criteria}\naction: {{ ref: disk.say }}\n");
        (format!("rules/{name}.yaml"), text)
    }));
    for (path, text) in files {
        let path = pack.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (dir, pack)
}

fn petrel(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_petrel"))
        .arg("rule")
        .args(arguments)
        // An address at which nothing answers: no server is asked.
        .env("PETREL_API", "http://127.0.0.1:1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses the command line reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_rule_is_explained_without_a_server() {
    let (dir, pack) = pack(&[("full", "trigger.pct > 90.0"), ("frozen", "trigger.host in kv.frozen")]);
    let pack = pack.display().to_string();
    let event = dir.path().join("event.json");
    fs::write(&event, r#"{"host":"a","pct":50}"#).unwrap();
    let output = petrel(&["explain", "disk.full", "--pack", &pack, "--event", &event.display().to_string()], "");
    assert!(output.status.success(), "no match is no failure: {}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.starts_with("rule    disk.full\nresult  no match: `trigger.pct > 90.0` is false\n"), "{told}");
    assert!(
        told.contains("index   does not propose the rule, which it finds by\n") && told.contains("  trigger.pct "),
        "{told}"
    );

    let kv = dir.path().join("kv.json");
    fs::write(&kv, r#"{"frozen":["a"]}"#).unwrap();
    let kv = kv.display().to_string();
    let arguments = ["explain", "disk.frozen", "--pack", &pack, "--event", "-", "--kv", &kv, "--output", "json"];
    let output = petrel(&arguments, r#"{"host":"a"}"#);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["matches"], true, "{json}");
    assert_eq!(json["rule"], "disk.frozen");
    assert_eq!(json["steps"][0]["source"], "trigger.host in kv.frozen");
}

#[test]
fn what_keeps_a_rule_from_being_asked_is_told() {
    let (_dir, pack) = pack(&[
        ("full", "trigger.pct > 90.0"),
        ("off", "trigger.pct > 90.0\nenabled: false"),
        ("other", "trigger.host == 'a'"),
    ]);
    let pack = pack.display().to_string();
    let cases = [
        ("disk.full", r#"{"host":"a","pct":95}"#, "match: the criterion is true"),
        ("disk.off", r#"{"host":"a","pct":95}"#, "no match: the rule is disabled"),
        ("disk.full", r#"{"pct":95}"#, "no match: the trigger's schema refuses the event: "),
        ("disk.full", r#"{"host":7,"pct":95}"#, "no match: the trigger's schema refuses the event: "),
    ];
    for (rule, event, result) in cases {
        let output = petrel(&["explain", rule, "--pack", &pack, "--event", "-"], event);
        let told = text(&output.stdout);
        assert!(output.status.success() && told.contains(&format!("\nresult  {result}")), "{rule} of {event}: {told}");
    }
}

#[test]
fn what_cannot_be_explained() {
    let (_dir, pack) = pack(&[("full", "trigger.pct > 90.0")]);
    let pack = pack.display().to_string();
    let cases = [
        (vec!["explain", "disk.ful", "--pack", &pack, "--event", "-"], "{}", 2, "did you mean \"disk.full\"?"),
        (vec!["explain", "disk.full", "--pack", &pack, "--event", "-"], "{", 1, "the event is no JSON"),
        (vec!["explain", "disk.full", "--pack", &pack, "--event", "/nowhere"], "", 2, "cannot read the event"),
        (vec!["explain", "disk.full", "--pack", "/nowhere", "--event", "-"], "{}", 2, "cannot read /nowhere"),
        (vec!["lint", "/nowhere"], "", 2, "cannot read /nowhere"),
        (vec!["explain", "disk.full", "--event", "-"], "{}", 3, "no answer from http://127.0.0.1:1"),
    ];
    for (arguments, input, code, told) in cases {
        let output = petrel(&arguments, input);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(told), "{told:?} is not in {}", text(&output.stderr));
    }
}

#[test]
fn rules_are_linted() {
    let (_dir, odd) = pack(&[
        ("never", "trigger.pct > 5 && trigger.pct < 1"),
        ("narrow", "trigger.pct > 95.0"),
        ("wide", "trigger.pct > 90.0"),
        ("typo", "trigger.hots == 'a'"),
        ("late", "now.getHours() == 3"),
    ]);
    let odd = odd.display().to_string();
    let output = petrel(&["lint", &odd], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for part in [
        "disk.never:1:20: never_matches: it never matches: `trigger.pct > 5` and `trigger.pct < 1` exclude each other",
        "disk.narrow:1:1: redundant: it is redundant: disk.wide has the same actions",
        "disk.late:1:1: always_list: every event has to ask it: `now.getHours() == 3`",
        "unknown_field: ",
        "4 warnings, 0 overlaps",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let output = petrel(&["lint", &odd, "--deny-warnings", "--output", "json"], "");
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 4, "{json}");

    let (_dir, fine) = pack(&[("full", "trigger.pct > 90.0")]);
    let output = petrel(&["lint", &fine.display().to_string(), "--deny-warnings"], "");
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert_eq!(text(&output.stdout), "0 warnings, 0 overlaps\n");
}
