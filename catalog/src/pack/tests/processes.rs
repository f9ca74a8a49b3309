//! Actions that are processes: their schemas, files and positions.

use petrel_execution::Stream;
use petrel_execution::runner::{FileAccess, Guarantee, Rendering, RunnerCall};
use serde_json::{Value, json};

use super::{check, disk_with, load};

const PATH: &str = "actions/clean.yaml";
/// The rest of a script whose parameters are those that the pack's rule gives.
macro_rules! script {
    ($text:literal) => {
        concat!("name: clean\nrunner: script\nfile: ./clean.sh\n", $text)
    };
}

#[test]
fn what_is_wrong_with_a_process_is_told_where_it_stands() {
    check(&[
        (
            PATH,
            script!("parameters: { host: { position: 1 }, older_than: { position: first } }\n"),
            "actions/clean.yaml:4:33: position 1 leaves a gap: positions are whole numbers from 0 on\n\
             actions/clean.yaml:4:62: \"position\" must be a whole number from 0 on, found a string",
        ),
        (
            PATH,
            script!("parameters: { host: { position: 0 }, older_than: { position: 0 } }\n"),
            "actions/clean.yaml:4:62: position 0 is that of \"host\" already",
        ),
        (
            PATH,
            "name: clean\nrunner: shell\nscript: ls\nparameters: { host: { position: 0 }, older_than: {} }\n",
            "actions/clean.yaml:4:33: \"position\" is the place among the arguments of the runner \"script\"",
        ),
        (
            PATH,
            script!("interpreter: 5\nparameters: { host: { position: 0 }, older_than: {} }\n"),
            "actions/clean.yaml:4:14: \"interpreter\" must be a program, or a list with one, found a number",
        ),
        (
            PATH,
            script!(
                "output: { format: json, schema: { type: objekt, requird: [a] } }\nparameters: { host: {}, older_than: {} }\n"
            ),
            "actions/clean.yaml:4:41: unknown JSON type \"objekt\", did you mean \"object\"?\n\
             actions/clean.yaml:4:49: unknown JSON schema keyword \"requird\", did you mean \"required\"?",
        ),
        (
            PATH,
            script!(
                "output: { schema: { items: { pattern: \"(\" } } }\ncwd: ./lib\nparameters: { host: {}, older_than: {} }\n"
            ),
            "actions/clean.yaml:4:39: not a valid JSON schema: \"(\" is not a \"regex\"\n\
             actions/clean.yaml:5:6: the pack has no folder actions/lib",
        ),
        (
            PATH,
            "name: clean\nrunner: script\nfile: ./clen.sh\nargs: []\nnamed: --name=value\nparameters: { host: {}, older_than: {} }\n",
            "actions/clean.yaml:3:7: the pack has no file actions/clen.sh, did you mean \"clean.sh\"?\n\
             actions/clean.yaml:5:8: \"named\" is about parameters as arguments, and \"args\" are in their place",
        ),
    ]);
}

#[test]
fn a_secret_is_no_argument_by_itself() {
    let secret = "token: { type: string, secret: true }";
    let parameters = format!("parameters: {{ host: {{}}, older_than: {{}}, {secret} }}\n");
    let action = |more: &str| -> &'static str {
        format!("name: clean\nrunner: script\nfile: ./clean.sh\n{more}{parameters}").leak()
    };
    let wanted = "actions/clean.yaml:4:72: a secret that is an argument of a script can be read by every user of its machine: \
                  say the script's \"args\", and give this by \"env\" or \"stdin\"";
    check(&[(PATH, action(""), wanted)]);
    load(vec![disk_with(&[(
        PATH,
        action("args: [\"${parameters.host}\"]\nenv: { TOKEN: \"${parameters.token}\" }\n"),
    )])]);
}

fn script_of(action: &'static str, parameters: &Value) -> petrel_execution::runner::ScriptCall {
    let revision = load(vec![disk_with(&[(PATH, action), ("actions/lib/x.sh", "x")])]);
    let compiled = revision.compiled();
    let clean = compiled.action("disk.clean").unwrap();
    let parameters = clean.resolve_parameters(parameters).unwrap();
    let rendering = Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e", attempt: 1 };
    // A worker reads the one action of a stored pack, and of its programs only what runs them.
    let stored = crate::Actions::new().resolve(&revision.content().packs()[0], "clean").unwrap().unwrap();
    let call = clean.plan.runner.render(rendering).unwrap();
    assert_eq!(stored.plan.runner.render(rendering).unwrap(), call);
    match call {
        RunnerCall::Script(call) => call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_is_given_its_parameters_by_their_positions_and_names() {
    let action = script!(
        "cwd: ./lib\noutput: { format: json, schema: { type: array, items: { type: integer, maximum: 9 } } }\n\
         parameters:\n  older_than: { type: string, default: 7d }\n  host: { type: string, position: 0 }\n  dry_run: { type: boolean }\n"
    );
    let call = script_of(action, &json!({ "host": "db-1", "dry_run": true }));
    assert_eq!((call.interpreter, &*call.file), (vec!["/bin/sh".to_owned()], "clean.sh"));
    assert_eq!(call.args, ["--older_than=7d", "--dry_run", "db-1"]);
    let output = call.process.output.unwrap();
    let result = |stdout: &str| output.result(&Stream::whole(stdout.as_bytes().to_vec()));
    assert_eq!(result("[1, 2]"), Ok(json!([1, 2])));
    assert_eq!(
        result("[1, \"s3cret\", 12]").unwrap_err().to_string(),
        "standard output does not fit output.schema: /1: the value is not of type \"integer\"; \
         /2: the value is greater than the maximum of 9"
    );
}

#[test]
fn what_processes_may_reach_is_said_by_the_action_and_before_it_by_the_pack() {
    const PACK: &str = "name: disk\nversion: 1.0.0\n\
        confine: { files: confined, reads: [/srv/data], network: none, required: true }\n";
    let reached = |action: &'static str| {
        let revision = load(vec![disk_with(&[("pack.yaml", PACK), (PATH, action)])]);
        let rendering =
            Rendering { parameters: &json!({"host": "h"}), secrets: &Value::Null, execution_id: "e", attempt: 1 };
        // As a worker reads it.
        let stored = crate::Actions::new().resolve(&revision.content().packs()[0], "clean").unwrap().unwrap();
        match stored.plan.runner.render(rendering).unwrap() {
            RunnerCall::Script(call) => call.process.confine,
            other => panic!("{other:?}"),
        }
    };
    let of_pack = reached(script!("parameters: { host: {}, older_than: {} }\n"));
    assert_eq!((of_pack.files, &of_pack.reads[..]), (FileAccess::Confined, &["/srv/data".to_owned()][..]));
    assert_eq!((of_pack.no_network, &of_pack.required[..]), (true, &[Guarantee::Files, Guarantee::Network][..]));
    let own =
        reached(script!("confine: { network: host, writes: [/srv/out] }\nparameters: { host: {}, older_than: {} }\n"));
    assert_eq!((own.files, &own.reads, own.no_network), (FileAccess::Confined, &of_pack.reads, false));
    assert_eq!((&own.writes[..], &own.required[..]), (&["/srv/out".to_owned()][..], &[Guarantee::Files][..]));
    // Of what is held to nothing, the pack's paths mean nothing, and what it requires of it is nothing.
    let free =
        reached(script!("confine: { files: unconfined, network: host }\nparameters: { host: {}, older_than: {} }\n"));
    assert_eq!((free.files, free.reads.len(), free.required.len()), (FileAccess::Unconfined, 0, 0));
    check(&[
        (
            "pack.yaml",
            "name: disk\nversion: 1.0.0\nconfine: { file: confined, reads: [tmp], required: [moon] }\n",
            "pack.yaml:3:12: unknown key \"file\" in \"confine\", which has files, reads, writes, unix_sockets, network, required\n\
             pack.yaml:3:36: \"tmp\" is no absolute path\n\
             pack.yaml:3:53: \"moon\" is nothing that can be required: files, network, signals, kill, tree_memory, tree_processes, tree_cpus",
        ),
        (
            PATH,
            script!("confine: { files: confined, writes: [/proc/sys] }\nparameters: { host: {}, older_than: {} }\n"),
            "actions/clean.yaml:4:38: who writes beneath /proc is not confined: say \"files: unconfined\"",
        ),
    ]);
}
