//! `petrel workflow` as a user calls it: real files, the real binary, no server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const HEAL: &str = "version: 1.0\ninput: [host]\ntasks:\n  clean:\n    action: disk.say\n    input: { host: <% ctx().host %> }\n    \
                    next:\n      - when: <% succeeded() %>\n        do: tell\n  tell:\n    action: disk.say\n    \
                    input: { host: <% ctx().host %> }\n";

const TEST: &str = "workflow: disk.heal\ninputs: { host: a }\nexpect: { path: [clean, tell] }\n";

const REHEARSAL: &str = "workflow: workflows/heal.yaml\ninputs: { host: a }\nexpected_task_sequence: [clean, tell]\n";

/// A pack with a workflow, some of whose files are others.
fn pack(changes: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("pack.yaml", "name: disk\nversion: 1.0.0\n"),
        ("actions/say.yaml", "name: say\nrunner: echo\nmessage: hi\nparameters:\n  host: { required: true }\n"),
        ("actions/heal.yaml", "name: heal\nrunner: orquesta\nworkflow: workflows/heal.yaml\n"),
        ("workflows/heal.yaml", HEAL),
        ("tests/heal.yaml", TEST),
    ];
    for (path, text) in files.iter().chain(changes) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn workflow(folder: &Path, arguments: &[&str]) -> Output {
    let command = &mut Command::new(env!("CARGO_BIN_EXE_petrel"));
    let command = command.arg("workflow").args(arguments).current_dir(folder);
    // An address at which nothing answers: no server is asked.
    command.env("PETREL_API", "http://127.0.0.1:1").output().unwrap()
}

/// Exit code, standard output and standard error.
fn ran(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = workflow(folder, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn packs_and_single_files_are_validated() {
    let dir = pack(&[]);
    let good = ran(dir.path(), &["validate", ".", "workflows/heal.yaml"]);
    assert_eq!(good, (0, "valid: disk.heal, workflows/heal.yaml\n".to_owned(), String::new()));
    let dir = pack(&[("workflows/heal.yaml", &HEAL.replace("disk.say", "disk.sey").replace("do: tell", "do: tall"))]);
    let (code, _, told) = ran(dir.path(), &["validate", "workflows/heal.yaml"]);
    assert_eq!(code, 1);
    assert!(
        told.contains("1 problem\nworkflows/heal.yaml:9:9: tasks.clean.next[0].do: The task \"tall\" is not defined."),
        "{told}"
    );
    let (code, told, _) = ran(dir.path(), &["validate", "workflows/heal.yaml", "-o", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["problems"][0]["code"]), (1, &json!("bad_workflow")));
    assert_eq!(ran(dir.path(), &["validate", "gone.yaml"]).0, 2);
}

#[test]
fn a_workflow_is_inspected_and_drawn() {
    let dir = pack(&[]);
    let (code, told, _) = ran(dir.path(), &["inspect", "workflows/heal.yaml"]);
    assert_eq!(code, 0);
    assert_eq!(told, "inputs       host\ntasks        2\ntransitions  1\nbegins with  clean\nnothing is wrong\n");
    let (_, told, _) = ran(dir.path(), &["inspect", "workflows/heal.yaml", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["errors"], &told["tasks"][0]["next"][0]["do"]), (&json!({}), &json!(["tell"])));
    let drawn = |form: &str| ran(dir.path(), &["graph", "workflows/heal.yaml", "--format", form]).1;
    assert_eq!(drawn("text"), "clean: disk.say  (start)\n  <% succeeded() %> → tell\ntell: disk.say\n");
    assert!(drawn("dot").contains("\"clean\" -> \"tell\" [label=\"<% succeeded() %>\"];"));
    assert!(drawn("mermaid").starts_with("flowchart TD\n"));
    assert_eq!(serde_json::from_str::<Value>(&drawn("json")).unwrap()["tasks"], told["tasks"]);
    let dir = pack(&[("workflows/heal.yaml", &HEAL.replace("ctx().host", "ctx().hots"))]);
    let (code, told, _) = ran(dir.path(), &["inspect", "workflows/heal.yaml", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let wanted = json!({
        "type": "yaql",
        "expression": "<% ctx().hots %>",
        "message": "Variable \"hots\" is referenced before assignment.",
        "spec_path": "tasks.clean.input",
        "schema_path": "properties.tasks.patternProperties.^\\w+$.properties.input",
    });
    assert_eq!((code, &told["errors"]["context"][0]), (1, &wanted));
    let (code, drawn, note) = ran(dir.path(), &["graph", "workflows/heal.yaml"]);
    assert!(
        code == 0 && drawn.contains("→ tell") && note.contains("petrel workflow validate workflows/heal.yaml"),
        "{note}"
    );
}

#[test]
fn what_is_no_file_of_a_workflow_is_told_as_what_it_is() {
    let dir = pack(&[]);
    for (arguments, told) in [
        (["graph", "."], ". is a folder: name one file, such as ./workflows/NAME.yaml"),
        (
            ["validate", "actions/heal.yaml"],
            "actions/heal.yaml is an action, and no workflow: name the file of a workflow",
        ),
        (["inspect", "pack.yaml"], "pack.yaml is the manifest of a pack, and no workflow: name the file of a workflow"),
        (
            ["test", "workflows/heal.yaml"],
            "workflows/heal.yaml is a workflow, and no test: name the folder of its pack",
        ),
    ] {
        let (code, _, error) = ran(dir.path(), &arguments);
        assert!(code == 2 && error.contains(told), "{arguments:?}: {error}");
    }
}

#[test]
fn tests_of_packs_and_rehearsals_run() {
    let dir = pack(&[]);
    assert_eq!(
        ran(dir.path(), &["test", "."]),
        (0, "ok disk.heal: #1\n1 passed, 0 failed\n".to_owned(), String::new())
    );
    let dir = pack(&[("tests/heal.yaml", &TEST.replace("[clean, tell]", "[tell]"))]);
    let (code, told, _) = ran(dir.path(), &["test", ".", "-o", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let difference = "path: expected tell\nit went clean → tell";
    assert_eq!(told, json!([{"workflow": "disk.heal", "test": 0, "passed": false, "difference": difference}]));
    assert_eq!(code, 1);
    fs::write(dir.path().join("rehearsal.yaml"), REHEARSAL).unwrap();
    let (code, told, _) = ran(dir.path(), &["test", "rehearsal.yaml"]);
    assert_eq!((code, told.as_str()), (0, "ok workflows/heal.yaml: rehearsal.yaml\n1 passed, 0 failed\n"));
    let (code, _, told) = ran(dir.path(), &["test", "tests/heal.yaml"]);
    assert!(code == 2 && told.contains("run the tests of its pack's folder"), "{told}");
}
