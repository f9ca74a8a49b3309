//! `petrel rule match` as a user calls it: real files, the real binary, no server.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const TRIGGER: &str = "name: alert\nsource: { kafka: { topic: monitoring.alerts } }\n\
    schema: { type: object, required: [host], properties: { used_pct: { type: number } } }\n";
const STRICT: &str = "name: strict\nsource: { kafka: { topic: monitoring.alerts } }\nvalidate: full\n\
    schema: { type: object, properties: { used_pct: { type: number, maximum: 100 } } }\n";

fn rule(name: &str, trigger: &str, criteria: &str) -> (String, String) {
    let text = format!("name: {name}\ntrigger: disk.{trigger}\ncriteria: {criteria}\naction: {{ ref: disk.say }}\n");
    (format!("rules/{name}.yaml"), text)
}

/// A pack with two triggers, in a folder that goes away with the guard.
fn pack() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let pack = dir.path().join("disk");
    let mut files = vec![
        ("pack.yaml".to_owned(), "name: disk\nversion: 1.0.0\ndescription: Of a test\n".to_owned()),
        ("triggers/alert.yaml".to_owned(), TRIGGER.to_owned()),
        ("triggers/strict.yaml".to_owned(), STRICT.to_owned()),
        ("actions/say.yaml".to_owned(), "name: say\nrunner: command\ncommand: [echo]\n".to_owned()),
        rule("full", "alert", "trigger.used_pct > 90.0"),
        rule("half", "alert", "trigger.used_pct / 2.0 > 40.0"),
        rule("frozen", "alert", "trigger.host in kv.frozen"),
        rule("late", "alert", "now.getFullYear() == 2001"),
        rule("broken", "alert", "1 / trigger.n == 1"),
        rule("any", "strict", "trigger.used_pct > 1.0"),
    ];
    files.push(("rules/off.yaml".to_owned(), files[4].1.replace("full", "off") + "enabled: false\n"));
    for (path, text) in files {
        let path = pack.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (dir, pack)
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn rule_match(arguments: &[&str]) -> Output {
    // An address at which nothing answers: no server is asked.
    let command = &mut Command::new(env!("CARGO_BIN_EXE_petrel"));
    command.args(["rule", "match"]).args(arguments).env("PETREL_API", "http://127.0.0.1:1").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_packs_rules_run_over_a_file() {
    let (dir, pack) = pack();
    let pack = pack.display().to_string();
    let events = file(
        dir.path(),
        "events.ndjson",
        "{\"host\":\"a\",\"used_pct\":95,\"n\":0}\n\n{\"host\":\"b\",\"used_pct\":85.5}\n{\"host\":\"b\",\"n\":1}",
    );
    let kv = file(dir.path(), "kv.json", r#"{"frozen": ["b"]}"#);
    let mut arguments = vec![&*pack, "--trigger", "disk.alert", "--events", &events, "--kv", &kv];
    let output = rule_match(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "{\"line\":1,\"rule\":\"disk.full\"}\n{\"line\":1,\"rule\":\"disk.half\"}\n\
         {\"line\":3,\"rule\":\"disk.frozen\"}\n{\"line\":3,\"rule\":\"disk.half\"}\n\
         {\"line\":4,\"rule\":\"disk.broken\"}\n{\"line\":4,\"rule\":\"disk.frozen\"}\n"
    );
    let summary = text(&output.stderr);
    assert!(summary.starts_with("3 events in ") && summary.contains("6 matches, 1 errors, 0 bad lines"), "{summary}");

    arguments.extend(["--counts", "--now", "2001-02-03T04:05:06Z"]);
    let output = rule_match(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let row = |rule: &str, matches: u32, errors: u32| json!({"rule": rule, "matches": matches, "errors": errors});
    let expected =
        [("broken", 1, 1), ("frozen", 2, 0), ("full", 1, 0), ("half", 2, 0), ("late", 3, 0)].map(|(rule, m, e)| {
            let rule = format!("disk.{rule}");
            row(&rule, m, e)
        });
    assert_eq!(rows(&output), expected, "every enabled rule of the trigger, in order");
}

#[test]
fn bad_lines_are_told_and_the_others_run() {
    let (dir, pack) = pack();
    let pack = pack.display().to_string();
    let large = format!("{{\"host\":\"a\",\"used_pct\":99,\"pad\":\"{}\"}}", "x".repeat(3_000_000));
    let lines = [
        "{\"host\":",
        &large,
        "{\"used_pct\":99}",
        "{\"host\":\"a\",\"used_pct\":\"99\"}",
        "{\"host\":\"a\",\"used_pct\":99}",
    ];
    let events = file(dir.path(), "events.ndjson", &lines.join("\n"));
    let output = rule_match(&[&pack, "--trigger", "disk.alert", "--events", &events]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "{\"line\":5,\"rule\":\"disk.full\"}\n{\"line\":5,\"rule\":\"disk.half\"}\n");
    let told = text(&output.stderr);
    for part in [
        "5 events",
        "4 bad lines",
        "error: bad lines: 1 no JSON, 1 too large, 2 refused by the trigger's schema",
        "\n  line 1: no JSON: ",
        "\n  line 2: more than 1000000 bytes",
        "\n  line 3: refused by the trigger's schema: /host: ",
        "\n  line 4: refused by the trigger's schema: /used_pct: expected number, found string",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let malformed = told.lines().find(|line| line.starts_with("  line 1: no JSON: ")).unwrap();
    assert!(
        malformed.contains(", column ") && malformed.matches("line").count() == 1,
        "one number of a line: {malformed}"
    );

    let events = file(dir.path(), "strict.ndjson", "{\"used_pct\":101}\n{\"used_pct\":100}\n");
    let output = rule_match(&[&pack, "--trigger", "disk.strict", "--events", &events]);
    assert_eq!(text(&output.stdout), "{\"line\":2,\"rule\":\"disk.any\"}\n");
    assert!(text(&output.stderr).contains("line 1: refused by the trigger's schema"), "{}", text(&output.stderr));
}

#[test]
fn a_list_of_rules_needs_no_pack() {
    let dir = tempfile::tempdir().unwrap();
    let rules = json!([{"name": "b", "criteria": "trigger.n > 1"}, {"name": "a", "criteria": "trigger.n > 2"}]);
    let events = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
    let rules_file = file(dir.path(), "rules.json", &rules.to_string());
    let events_file = file(dir.path(), "events.ndjson", events);
    let row = |line: u32, rule: &str| json!({"line": line, "rule": rule});
    // Either comes from standard input, too.
    let ways = [(&*rules_file, "-", events.to_owned()), ("-", &*events_file, rules.to_string())];
    for (rules, events, input) in ways {
        let mut child = Command::new(env!("CARGO_BIN_EXE_petrel"))
            .args(["rule", "match", "--rules", rules, "--events", events])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(rows(&output), [row(2, "b"), row(3, "b"), row(3, "a")], "rules in the order of the list");
        assert!(output.status.success());
    }
}

#[test]
fn what_is_wrong_with_the_call_is_said() {
    let (dir, pack) = pack();
    let pack = pack.display().to_string();
    let events = file(dir.path(), "events.ndjson", "{}\n");
    let list = |name: &str, rules: Value| file(dir.path(), name, &rules.to_string());
    let twice = list("twice.json", json!([{"name": "a", "criteria": "true"}, {"name": "a", "criteria": "true"}]));
    let wrong = list("wrong.json", json!([{"name": "a", "criteria": "trigger.n >"}, {"name": "b", "criteria": "nn"}]));
    let strange = list("strange.json", json!([{"name": "a", "citeria": "true"}]));
    let cases: [(&[&str], i32, &[&str]); 11] = [
        (
            &[&pack, "--trigger", "disk.alret", "--events", &events],
            2,
            &[
                "there is no trigger \"disk.alret\", did you mean \"disk.alert\"?",
                "triggers here: disk.alert, disk.strict",
            ],
        ),
        (&[&pack, "--trigger", "disk.alert", "--events", "no-such-file"], 2, &["cannot read the events no-such-file"]),
        (&[&pack, "--trigger", "disk.alert", "--events", "/"], 2, &["cannot read the events /"]),
        (&["/no/such/pack", "--trigger", "disk.alert", "--events", &events], 2, &["cannot read /no/such/pack"]),
        (&[&pack, "--events", &events], 2, &["--trigger"]),
        (&["--events", &events], 2, &["PACK", "--trigger"]),
        (&[&pack, "--trigger", "disk.alert", "--rules", &wrong, "--events", &events], 2, &["cannot be used with"]),
        (&["--rules", &twice, "--events", &events], 2, &["the rule \"a\" stands there twice"]),
        (&["--rules", &wrong, "--events", &events], 1, &["2 mistakes in the criteria", "\na:1:", "\nb:1:1: "]),
        (&["--rules", &strange, "--events", &events], 2, &["strange.json", "unknown field `citeria`"]),
        (&["--rules", "-", "--events", "-"], 2, &["--rules and --events cannot both be -"]),
    ];
    for (arguments, code, parts) in cases {
        let output = rule_match(arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", text(&output.stdout));
        for part in parts {
            assert!(told.contains(part), "{arguments:?}: {part:?} is not in {told}");
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let rules = file(dir.path(), "rules.json", r#"[{"name": "a", "criteria": "true"}]"#);
    let events = file(dir.path(), "events.ndjson", &"{}\n".repeat(500_000));
    let mut child = Command::new(env!("CARGO_BIN_EXE_petrel"))
        .args(["rule", "match", "--rules", &rules, "--events", &events])
        .stdout(Stdio::piped())
        .stderr(File::create(dir.path().join("stderr")).unwrap())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let told = fs::read_to_string(dir.path().join("stderr")).unwrap();
    assert!(status.success() && told.is_empty(), "{status}: {told}");
}
