mod placement;
mod processes;
mod workflows;

use crate::problems::Code;
use crate::testkit::{disk_with, load, problems, source};

/// Problems of the disk pack with changed files, one a line.
fn told(changes: &[(&'static str, &'static str)]) -> String {
    problems(vec![disk_with(changes)]).to_string()
}

/// Each case: the changed file, its text, the whole report.
fn check(cases: &[(&'static str, &'static str, &str)]) {
    let wrong = cases.iter().filter_map(|(path, text, wanted)| {
        let told = told(&[(path, text)]);
        (told != *wanted).then(|| format!("--- {path}\n{text}--- wanted\n{wanted}\n--- found\n{told}\n"))
    });
    let wrong: String = wrong.collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_pack_of_the_design_loads() {
    let revision = load(vec![disk_with(&[])]);
    let compiled = revision.compiled();
    let clean = compiled.action("disk.clean").unwrap();
    assert_eq!(
        (clean.plan.timeout_ms, clean.plan.pool.as_str(), clean.plan.output_bytes_max),
        (600_000, "default", 65_536)
    );
    let rule = compiled.rule("disk.clean_tmp").unwrap();
    assert!(rule.enabled);
    assert_eq!(rule.calls[0].parameters["older_than"], "7d");
    let (trigger, source) = compiled.all_triggers().bound().next().unwrap();
    assert_eq!((trigger.reference.as_str(), source.topic.as_str()), ("disk.alert", "monitoring.alerts"));
    let files = revision.content().pack("disk").unwrap().files().unwrap();
    assert_eq!(files.iter().filter(|file| file.executable).count(), 1);
    assert_eq!(revision.pack_versions(), ["disk 1.0.0"]);
}

#[test]
fn ten_mistakes_are_told_at_once() {
    let pack = source(
        "packs/disk",
        &[
            ("pack.yaml", "name: disk\nversion: 1.0\n"),
            ("triggers/alert.yaml", "name: alert\nsource: { kafka: { topic: alerts, format: avro } }\n"),
            (
                "rules/clean_tmp.yaml",
                "name: clean_tmp\ntrigger: disk.alerts\ncriterai: trigger.used_pct > 90.0\n\
                 throttle: { by: trigger.host, once_within: 10m }\naction:\n  ref: disk.clean\n  parameters:\n    \
                 hots: db-1\n    older_than: 7\n",
            ),
            ("rules/twice.yaml", "name: clean_tmp\ntrigger: disk.alert\naction: { ref: disk.wipe }\n"),
            (
                "actions/clean.yaml",
                "name: clean\nrunner: command\ncommand: [./claen.sh]\n\
                 parameters:\n  host: { type: string, required: true }\n  older_than: { type: string, default: 7d }\n\
                 timeout: 10 minutes\n",
            ),
            ("actions/clean.sh", "#!/bin/sh\n"),
            ("sensors/heal.py", "pass\n"),
        ],
    );
    let problems = problems(vec![pack]);
    assert_eq!(
        problems.to_string(),
        r#"packs/disk/actions/clean.yaml:3:11: the pack has no file actions/claen.sh, did you mean "clean.sh"?
packs/disk/actions/clean.yaml:7:10: "10 minutes" is not a duration: write a whole number and a unit (ms, s, m, h, d), such as 10s or 7d
packs/disk/pack.yaml:2:10: "version" must be a string, found the number 1.0; write "1.0" in quotes
packs/disk/rules/clean_tmp.yaml:2:10: there is no trigger "disk.alerts", did you mean "disk.alert"?
packs/disk/rules/clean_tmp.yaml:3:1: unknown key "criterai", did you mean "criteria"?
packs/disk/rules/clean_tmp.yaml:4:1: "throttle" is not supported in this version
packs/disk/rules/clean_tmp.yaml:6:3: action disk.clean needs the parameter "host"
packs/disk/rules/clean_tmp.yaml:8:5: action disk.clean has no parameter "hots", did you mean "host"?
packs/disk/rules/clean_tmp.yaml:9:17: the value of "older_than" breaks the action's schema: the value is not of type "string"
packs/disk/rules/twice.yaml:1:7: rule "clean_tmp" stands here again, first at packs/disk/rules/clean_tmp.yaml:1:7
packs/disk/rules/twice.yaml:3:16: there is no action "disk.wipe"
packs/disk/sensors/heal.py:1:1: the folder sensors/ is not supported in this version
packs/disk/triggers/alert.yaml:2:43: format "avro" is not supported in this version"#
    );
    let codes: std::collections::BTreeSet<Code> = problems.as_slice().iter().map(|problem| problem.code).collect();
    assert_eq!(codes.len(), 8, "{codes:?}");
}

#[test]
fn hostile_yaml_is_refused_with_its_place() {
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (previous, name) in ('a'..='i').zip('b'..='j') {
        laughs.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{previous}"); 10].join(", ")));
    }
    let mut pack = disk_with(&[]);
    pack.files[0].bytes = laughs.into_bytes();
    let path = pack.files[0].path.clone();
    let told = problems(vec![pack]);
    assert_eq!((told.as_slice()[0].path.as_str(), told.as_slice()[0].code), (path.as_str(), Code::Yaml));
    check(&[
        (
            "pack.yaml",
            "name: &x [*x]\nversion: 1.0.0\n",
            "pack.yaml:1:11: an alias must not stand inside of what it names",
        ),
        (
            "pack.yaml",
            "name: disk\nversion: 1.0.0\nname: disk\n",
            "pack.yaml:3:1: key \"name\" stands here again, first at 1:1",
        ),
        (
            "rules/clean_tmp.yaml",
            "name: r\ntrigger: disk.alert\naction:\n  ref: disk.clean\n  parameters:\n    host: a\n    host: b\n",
            "rules/clean_tmp.yaml:7:5: key \"host\" stands here again, first at 6:5",
        ),
        (
            "rules/clean_tmp.yaml",
            "x: &x { ref: disk.clean, parameters: { host: a } }\nname: r\ntrigger: disk.alert\naction:\n  <<: *x\n",
            "rules/clean_tmp.yaml:1:1: unknown key \"x\"\n\
             rules/clean_tmp.yaml:5:3: \"<<\" is not supported in this version\n\
             rules/clean_tmp.yaml:5:3: an action call needs \"ref\"",
        ),
    ]);
}

#[test]
fn triggers() {
    const PATH: &str = "triggers/other.yaml";
    check(&[
        (PATH, "[]\n", "triggers/other.yaml:1:1: expected a trigger as a mapping, found a list"),
        (PATH, "source: { http: {} }\n", "triggers/other.yaml:1:1: a trigger needs \"name\""),
        (
            PATH,
            "name: Other-1\n",
            "triggers/other.yaml:1:7: \"Other-1\" is no name: use lower-case letters, digits and underscores",
        ),
        (
            PATH,
            "name: other\nsource: { cron: '* * * * *' }\n",
            "triggers/other.yaml:2:11: \"cron\" is not supported in this version",
        ),
        (
            PATH,
            "name: other\nsource: { interval: { every: 10s, catch_up: lsat } }\n",
            "triggers/other.yaml:2:45: \"catch_up\" must be one of \"none\", \"last\", \"all\", found \"lsat\", did you mean \"last\"?",
        ),
        (
            PATH,
            "name: other\nsource: { interval: { every: 10ms } }\n",
            "triggers/other.yaml:2:30: \"every\" must be from 1s to 366d, found 10ms",
        ),
        (PATH, "name: other\nsource: { interval: {} }\n", "triggers/other.yaml:2:21: an interval needs \"every\""),
        (
            PATH,
            "name: other\nsource: { kafka: { topic: a b, cluster: west, start: yesterday } }\n",
            "triggers/other.yaml:2:27: \"a b\" is no name of a Kafka topic\n\
             triggers/other.yaml:2:41: cluster \"west\" is not supported in this version, only \"default\"\n\
             triggers/other.yaml:2:54: \"start\" must be activation, earliest, latest or a time such as 2026-01-31T06:00:00Z, found \"yesterday\"",
        ),
        (
            PATH,
            "name: other\nsource: { kafka: { topic: petrel.requests } }\nkey: trigger.host\n",
            "triggers/other.yaml:2:27: \"petrel.requests\" is one of Petrel's own topics; bind a topic of your producers\n\
             triggers/other.yaml:3:6: a bound topic keeps its producers' keys: leave \"key\" out",
        ),
        (
            PATH,
            "name: other\nsource: { http: {}, kafka: { topic: t } }\n",
            "triggers/other.yaml:2:9: a source has exactly one of \"kafka\", \"interval\", \"http\", \"sensor\", \"executions\"",
        ),
        (
            PATH,
            "name: other\nsource: { sensor: disk, every: 10s }\n",
            "triggers/other.yaml:2:19: sensor \"disk\" is not supported in this version, only \"host\"",
        ),
        (PATH, "name: other\nsource: { sensor: host }\n", "triggers/other.yaml:2:9: a source needs \"every\""),
        (
            PATH,
            "name: other\nvalidate: paths\n",
            "triggers/other.yaml:2:11: \"paths\" is for bound topics; events of other sources are always checked in full",
        ),
        (
            PATH,
            "name: other\nschema: { type: objct, requird: [a], properties: { a: { $ref: 'http://x/y' } } }\n",
            "triggers/other.yaml:2:17: unknown JSON type \"objct\", did you mean \"object\"?\n\
             triggers/other.yaml:2:24: unknown JSON schema keyword \"requird\", did you mean \"required\"?\n\
             triggers/other.yaml:2:63: a \"$ref\" to another document is not supported in this version, only \"#/…\"",
        ),
        (
            PATH,
            "name: other\nschema: { properties: { a: { minimum: low, pattern: '(' } } }\n",
            "triggers/other.yaml:2:39: not a valid JSON schema: \"low\" is not of type \"number\"",
        ),
        (
            PATH,
            "name: other\nschema: { properties: { a: { pattern: '(' } } }\n",
            "triggers/other.yaml:2:39: not a valid JSON schema: \"(\" is not a \"regex\"",
        ),
    ]);
}

#[test]
fn rules() {
    const PATH: &str = "rules/clean_tmp.yaml";
    check(&[
        (
            PATH,
            "name: r\ntrigger: alert\naction: { ref: clean }\n",
            "rules/clean_tmp.yaml:2:10: \"alert\" is no reference to triggers: write pack.trigger\n\
             rules/clean_tmp.yaml:3:16: \"clean\" is no reference to actions: write pack.action",
        ),
        (
            PATH,
            "name: r\ntrigger: { type: disk.alert }\ncriteria: { trigger.x: { type: eq, pattern: 1 } }\naction: { ref: disk.clean, parameters: { host: '{{ trigger.host }}' } }\n",
            "rules/clean_tmp.yaml:2:10: StackStorm's mapping form of \"trigger\" is not supported in this version, write pack.trigger\n\
             rules/clean_tmp.yaml:3:11: StackStorm's mapping form of \"criteria\" is not supported in this version, write a CEL expression\n\
             rules/clean_tmp.yaml:4:49: Jinja (`{{ … }}`) is not supported in this version; use `${…}`",
        ),
        (PATH, "name: r\ntrigger: disk.alert\n", "rules/clean_tmp.yaml:1:1: a rule needs \"action\""),
        (
            PATH,
            "name: r\ntrigger: disk.alert\nenabled: yes\nactions: [{ ref: disk.clean, parameters: { host: a } }]\ncriteria:\n",
            "rules/clean_tmp.yaml:3:10: \"enabled\" must be true or false, found a string\n\
             rules/clean_tmp.yaml:5:1: \"criteria\" has no value",
        ),
        (
            PATH,
            "name: r\ntrigger: disk.alert\naction: { ref: disk.clean, parameters: { host: a } }\n\
             tests:\n  - given: {}\n    expect: { action: disk.other }\n    at: noon\n  - expect: none\n",
            "rules/clean_tmp.yaml:5:5: the test expects \"disk.other\", which is no action of this rule\n\
             rules/clean_tmp.yaml:7:9: \"at\" must be a time such as 2026-01-31T06:00:00Z, found \"noon\"\n\
             rules/clean_tmp.yaml:8:5: a test needs \"given\"",
        ),
    ]);
}

#[test]
fn expressions() {
    const PATH: &str = "rules/clean_tmp.yaml";
    check(&[
        (
            PATH,
            "name: r\ntrigger: disk.alert\ncriteria: trigger.a >\naction: { ref: disk.clean, parameters: \
             { host: \"a ${triger.x} b\", older_than: \"${parameters.x}\" } }\n",
            "rules/clean_tmp.yaml:3:22: syntax error: unexpected end of the expression\n\
             rules/clean_tmp.yaml:4:53: unknown variable `triger`; did you mean `trigger`?\n\
             rules/clean_tmp.yaml:4:82: unknown variable `parameters`; there are `trigger`, `now`, `kv`",
        ),
        (
            PATH,
            "name: r\ntrigger: disk.alert\ncriteria: |\n  trigger.a == 1 &&\n    triger.b == 2\n\
             action: { ref: disk.clean, parameters: { host: a } }\n",
            "rules/clean_tmp.yaml:5:5: unknown variable `triger`; did you mean `trigger`?",
        ),
        (
            PATH,
            "name: r\ntrigger: disk.alert\ncriteria: >\n  trigger.a == 1\n  && triger.b == 2\n\
             action: { ref: disk.clean, parameters: { host: a } }\n",
            "rules/clean_tmp.yaml:4:3: unknown variable `triger`; did you mean `trigger`? (line 1, column 19 of the text)",
        ),
        (
            "actions/clean.yaml",
            "name: clean\nrunner: command\ncommand: [./clean.sh, \"${trigger.host}\"]\n\
             parameters: { host: {}, older_than: {} }\n",
            "actions/clean.yaml:3:26: unknown variable `trigger`; there are `parameters`, `execution`, `secret`",
        ),
        (
            "triggers/other.yaml",
            "name: other\nkey: tirgger.host\n",
            "triggers/other.yaml:2:6: unknown variable `tirgger`; did you mean `trigger`?",
        ),
        (
            "triggers/other.yaml",
            "name: other\nkey: \"${trigger.host}\"\n",
            "triggers/other.yaml:2:6: \"key\" is an expression over the payload such as trigger.host, without braces",
        ),
    ]);
}

#[test]
fn actions() {
    const PATH: &str = "actions/clean.yaml";
    check(&[
        (
            PATH,
            "name: clean\nrunner: announcement\ncommand: [../clean.sh]\nparameters: { host: {}, older_than: {} }\n",
            "actions/clean.yaml:2:9: runner \"announcement\" is not supported in this version, only \"echo\", \"fail\", \"inject_trigger\", \"inquirer\", \"noop\", \"orquesta\", \"workflow\", \"command\", \"container\", \"email\", \"http\", \"kafka\", \"python\", \"script\", \"shell\", \"sleep\" and \"ssh\"\n\
             actions/clean.yaml:3:11: \"../clean.sh\" leaves the pack",
        ),
        (
            PATH,
            "name: clean\nrunner: command\ncommand: [\"${parameters.host}\", 5]\n\
             parameters:\n  host: { type: string, immutable: true, required: maybe }\n  older_than: { type: integer, default: soon }\n",
            "actions/clean.yaml:3:11: the program must be a constant, so that a parameter cannot choose it\n\
             actions/clean.yaml:3:33: \"command[1]\" must be a string, found the number 5; write \"5\" in quotes\n\
             actions/clean.yaml:5:25: \"immutable\" is not supported in this version\n\
             actions/clean.yaml:5:52: \"required\" must be true or false, found a string\n\
             actions/clean.yaml:6:41: the default of \"older_than\" breaks its schema: the value is not of type \"integer\"\n\
             rules/clean_tmp.yaml:6:54: the value of \"older_than\" breaks the action's schema: the value is not of type \"integer\"",
        ),
        (
            PATH,
            "name: clean\nrunner: command\ncommand: []\nretries: 3\npool: Big\ndelivery: exactly_once\noutput_bytes_max: 1e9\n\
             env: { PETREL_X: a, 'b c': d }\nparameters: { host: {}, older_than: {} }\n",
            "actions/clean.yaml:3:10: \"command\" must name a program\n\
             actions/clean.yaml:4:1: \"retries\" is not supported in this version\n\
             actions/clean.yaml:5:7: \"Big\" is no name: use lower-case letters, digits and underscores\n\
             actions/clean.yaml:6:11: \"delivery\" must be one of \"at_least_once\", \"at_most_once\", found \"exactly_once\"\n\
             actions/clean.yaml:7:19: \"output_bytes_max\" must be a whole number of bytes, at most 524288\n\
             actions/clean.yaml:8:8: \"PETREL_X\" is Petrel's: names that begin with PETREL_ are set by the worker\n\
             actions/clean.yaml:8:21: \"b c\" is no name of an environment variable",
        ),
    ]);
    let mut pack = disk_with(&[]);
    pack.files.iter_mut().for_each(|file| file.executable = false);
    assert_eq!(
        problems(vec![pack]).to_string(),
        "actions/clean.yaml:3:11: actions/clean.sh is not executable: chmod +x it"
    );
}

#[test]
fn requests() {
    const PATH: &str = "actions/clean.yaml";
    macro_rules! with {
        ($text:literal) => {
            concat!("name: clean\nrunner: http\n", $text, "parameters: { host: {}, older_than: {} }\n")
        };
    }
    check(&[
        (
            PATH,
            with!("request: { url: \"http://h/\" , methd: GET }\n"),
            "actions/clean.yaml:3:31: unknown key \"methd\" in \"request\", which has \"method\", \"url\", \"path\", \
             \"query\", \"headers\", \"json\", \"form\", \"body\", \"auth\", \"tls\", \"proxy\", \"redirects\", \
             \"forward_body\", \"timeout\", \"retry\", \"idempotency_header\"",
        ),
        (
            PATH,
            with!("request:\n  url: ftp://h/\n  headers: { \"a b\": c }\n  json: { a: [1, \"${parameter.x}\"] }\n"),
            "actions/clean.yaml:4:8: the URL must begin with http:// or https://\n\
             actions/clean.yaml:5:14: \"a b\" is no name of a header\n\
             actions/clean.yaml:6:21: unknown variable `parameter`; did you mean `parameters`?",
        ),
        (
            PATH,
            with!("request: { url: \"http://h/\", tls: { ca_file: ./ca.pem } }\ncommand: [ls]\n"),
            "actions/clean.yaml:3:46: the pack has no file actions/ca.pem\n\
             actions/clean.yaml:4:1: \"command\" is no key of the runner \"http\"",
        ),
        (PATH, with!(""), "actions/clean.yaml:1:1: an action needs \"request\""),
    ]);
}

#[test]
fn hosts() {
    const PATH: &str = "actions/clean.yaml";
    macro_rules! with {
        ($text:literal) => {
            concat!("name: clean\nrunner: ssh\n", $text, "parameters: { host: {}, older_than: {} }\n")
        };
    }
    check(&[
        (
            PATH,
            with!(
                "hosts: [a, -b]\nscript: ./none.sh\nparallel: 0\nssh:\n  user: ops\n  auth: { kee: x }\n  trust: yes\n"
            ),
            "actions/clean.yaml:3:12: \"-b\" is no host: a name has letters, digits, dots, dashes and underscores, and \
             does not begin with a dash\n\
             actions/clean.yaml:4:9: the pack has no file actions/none.sh\n\
             actions/clean.yaml:5:11: \"parallel\" must be at least 1\n\
             actions/clean.yaml:8:9: \"auth\" must have one of agent, password, key, key_file\n\
             actions/clean.yaml:8:11: unknown key \"kee\" in \"auth\", which has \"agent\", \"password\", \"key\", \
             \"key_file\", \"passphrase\", \"certificate\"\n\
             actions/clean.yaml:9:10: \"trust\" must be strict or first_use",
        ),
        (
            PATH,
            with!(
                "hosts: [\"${parameter.host}\"]\ncommand: [ls]\nrequest: {}\nssh: { user: ops, auth: { agent: true } }\n"
            ),
            "actions/clean.yaml:3:12: unknown variable `parameter`; did you mean `parameters`?\n\
             actions/clean.yaml:5:1: \"request\" is no key of the runner \"ssh\"",
        ),
    ]);
}

#[test]
fn paths() {
    check(&[
        ("rules/a.yml", "x", "rules/a.yml:1:1: only *.yaml is read: rename it to rules/a.yaml"),
        ("rules/deep/a.yaml", "x", "rules/deep/a.yaml:1:1: rules/ holds *.yaml files only, and no folders"),
        (
            "stuff/a",
            "x",
            "stuff/a:1:1: a pack has the folders triggers/, rules/, actions/, workflows/, tests/ and policies/, not stuff/",
        ),
        ("sensors/a.py", "x", "sensors/a.py:1:1: the folder sensors/ is not supported in this version"),
        ("notes", "x", "notes:1:1: only pack.yaml and texts such as README.md stand in a pack's own folder"),
        (
            "actions/../../x",
            "x",
            "actions/../../x:1:1: a path in a pack is relative and has no empty part, \".\", \"..\", backslash, colon or control character",
        ),
        ("pack.yaml", "", "pack.yaml:1:1: a pack needs the file pack.yaml"),
    ]);
    let mut pack = disk_with(&[(".git/config", "x"), ("actions/.swp", "x"), ("README.md", "x")]);
    assert_eq!(load(vec![pack.clone()]).content().pack("disk").unwrap().files().unwrap().len(), 6);
    pack.special.push("actions/passwd".to_owned());
    assert_eq!(
        problems(vec![pack]).to_string(),
        "actions/passwd:1:1: a pack holds regular files only, this is a symbolic link or a special file"
    );
}

#[test]
fn packs_are_checked_together() {
    let user = |label: &str, rule: &str| {
        source(label, &[("pack.yaml", "name: user\nversion: 1.0.0\n"), ("rules/r.yaml", rule)])
    };
    let good = "name: r\ntrigger: disk.alert\naction: { ref: disk.clean, parameters: { host: x } }\n";
    assert_eq!(load(vec![disk_with(&[]), user("u", good)]).pack_versions(), ["disk 1.0.0", "user 1.0.0"]);
    assert_eq!(
        problems(vec![user("packs/user", good)]).to_string(),
        "packs/user/rules/r.yaml:2:10: there is no trigger \"disk.alert\"\n\
         packs/user/rules/r.yaml:3:16: there is no action \"disk.clean\": no pack \"disk\" is among these"
    );
    assert_eq!(
        problems(vec![disk_with(&[]), user("a", good), user("b", good)]).to_string(),
        "b/pack.yaml:1:7: pack \"user\" stands here again, first at a/pack.yaml:1:7"
    );
}

#[test]
fn a_broken_file_is_one_problem() {
    assert_eq!(
        told(&[
            ("actions/clean.yaml", "name: clean\nrunner: [\n"),
            ("triggers/alert.yaml", "name: alert\nsource: 1\n")
        ])
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect::<Vec<_>>(),
        ["actions/clean.yaml", "triggers/alert.yaml"]
    );
}

/// Whatever bytes a pack holds, loading ends with a revision or with problems that have places.
#[test]
fn mutated_packs_are_loaded_or_told() {
    let mut state = 7_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let bytes = b" \n:{}[]\"'&*-#$|>!%a0\xff\t.,";
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..800 {
        let mut pack = disk_with(&[]);
        for _ in 0..=random(3) {
            let index = random(pack.files.len());
            let file = &mut pack.files[index].bytes;
            let (at, byte) = (random(file.len()), bytes[random(bytes.len())]);
            match random(3) {
                0 => file[at] = byte,
                1 => file.insert(at, byte),
                _ => drop(file.drain(at..(at + 1 + random(8)).min(file.len()))),
            }
        }
        match crate::Revision::load(vec![pack]) {
            Ok(_) => accepted += 1,
            Err(problems) => {
                assert!(problems.as_slice().iter().all(|p| p.line > 0 && p.column > 0 && !p.message.is_empty()));
                refused += 1;
            }
        }
    }
    assert!(accepted > 25 && refused > 25, "{accepted} accepted, {refused} refused");
}
