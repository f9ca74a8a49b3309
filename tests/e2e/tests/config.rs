//! What packs are configured with, through the command line.

use anyhow::Result;
use petrel_e2e_tests::{Cli, Single, write_pack};
use serde_json::{Value, json};

const FILES: [(&str, &str); 4] = [
    ("pack.yaml", "name: chat\nversion: 1.0.0\n"),
    (
        "config.schema.yaml",
        "channel: { type: string, required: true, pattern: '^#' }\nretries: { type: integer, default: 3 }\n",
    ),
    ("actions/say.yaml", "name: say\nrunner: command\ncommand: [echo, \"${config.channel} ${config.retries + 1}\"]\n"),
    ("README.md", "one\n"),
];

/// What the action says.
fn said(cli: &Cli) -> Result<Value> {
    Ok(cli.json(&["action", "run", "chat.say", "--wait"])?["stdout"].clone())
}

/// What a command that fails says.
fn refused(cli: &Cli, arguments: &[&str]) -> Result<String> {
    let output = cli.output(arguments)?;
    assert!(!output.status.success(), "{arguments:?} is done");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_pack_is_given_values_which_are_part_of_the_revision() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::start(dir.path(), &[])?;
    let cli = petrel.cli().clone();
    let pack = write_pack(dir.path(), "chat", &FILES)?.display().to_string();
    let (values, file) = (dir.path().join("production"), dir.path().join("production/chat.yaml"));
    std::fs::create_dir(&values)?;
    let (values, file_path) = (values.display().to_string(), file.display().to_string());

    for arguments in [&["pack", "validate", &pack][..], &["pack", "apply", &pack]] {
        let why = refused(&cli, arguments)?;
        assert!(why.contains("config.schema.yaml:1:1: the pack needs a value for config \"channel\""), "{why}");
    }
    std::fs::write(&file, "channel: ops\n")?;
    let why = refused(&cli, &["pack", "apply", &pack, "--config", &values])?;
    assert!(why.contains("config.yaml:1:10: config \"channel\" breaks its schema"), "{why}");
    std::fs::write(&file, "channel: '#ops'\n")?;
    cli.run(&["pack", "validate", &pack, "--config", &values])?;
    let first = cli.json(&["pack", "apply", &pack, "--config", &values])?["revision"].clone();
    assert_eq!(said(&cli)?, "#ops 4\n");

    // Another value is another revision, and the pack keeps it when it is applied again.
    assert!(cli.run(&["config", "set", "chat", "retries=7"])?.contains("is in force"));
    assert_eq!(said(&cli)?, "#ops 8\n");
    assert_eq!(cli.run(&["config", "get", "chat"])?, "channel: \"#ops\"\nretries: 7\n");
    let changed = FILES.map(|(path, text)| if path == "README.md" { (path, "two\n") } else { (path, text) });
    write_pack(dir.path(), "chat", &changed)?;
    cli.run(&["pack", "apply", &pack])?;
    assert_eq!(said(&cli)?, "#ops 8\n");
    cli.run(&["pack", "apply", &pack, "--prune"])?;
    assert_eq!(said(&cli)?, "#ops 8\n");
    let shown = cli.json(&["config", "get", "chat"])?;
    assert_eq!(shown["values"], json!({"channel": "#ops", "retries": 7}));

    // What the schema refuses changes nothing.
    let why = refused(&cli, &["config", "set", "chat", "chanel=x"])?;
    assert!(why.contains("has no \"chanel\", did you mean \"channel\"?"), "{why}");
    assert_eq!(cli.json(&["config", "get", "chat"])?["revision"], shown["revision"]);
    assert!(refused(&cli, &["config", "get", "chatt"])?.contains("there is no pack chatt"));

    // A file from git: what differs, and putting it into force.
    let differs = cli.output(&["config", "diff", "chat", &file_path])?;
    assert_eq!((differs.status.code(), &*String::from_utf8_lossy(&differs.stdout)), (Some(1), "- retries: 7\n"));
    cli.run(&["config", "set", "chat", "--file", &file_path])?;
    assert_eq!(cli.run(&["config", "diff", "chat", &file_path])?, "");
    assert_eq!(said(&cli)?, "#ops 4\n");

    // Everything that has a default can be taken away again.
    let other =
        [("pack.yaml", "name: plain\nversion: 1.0.0\n"), ("config.schema.yaml", "n: { type: integer, default: 1 }\n")];
    cli.run(&["pack", "apply", &write_pack(dir.path(), "plain", &other)?.display().to_string()])?;
    cli.run(&["config", "set", "plain", "n=2"])?;
    cli.run(&["config", "set", "plain", "--unset", "n"])?;
    assert_eq!(cli.json(&["config", "get", "plain"])?["values"], json!({"n": 1}));

    // The first revision has its own values.
    cli.run(&["config", "set", "chat", "channel=#night"])?;
    assert_eq!(said(&cli)?, "#night 4\n");
    cli.run(&["pack", "apply", "--revision", first.as_str().unwrap_or_default()])?;
    assert_eq!(said(&cli)?, "#ops 4\n");
    petrel.down()
}
