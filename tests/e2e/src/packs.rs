//! Packs that tests write for themselves.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Trigger of the pack that [`write_reporting_pack`] writes.
pub const CRASH_TRIGGER: &str = "crash.order";

/// Writes a pack's files under `dir/<name>`; those that end in `.sh` are executable.
pub fn write_pack(dir: &Path, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let root = dir.join(name);
    for (path, text) in files {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, text)?;
        if path.extension().is_some_and(|e| e == "sh") {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(root)
}

/// A pack whose rule matches every tenth event and whose action reports its execution id to an HTTP
/// sink, after the time that the event names. `source` is the trigger's source, as YAML in flow style.
pub fn write_reporting_pack(dir: &Path, source: &str, sink: &str) -> Result<PathBuf> {
    let address = sink.trim_start_matches("http://");
    let (host, port) = address.split_once(':').unwrap_or((address, "80"));
    let trigger = format!(
        "name: order\nsource: {source}\nschema: {{ type: object, required: [id, n, takes_ms], properties: {{ n: {{ type: integer }}, takes_ms: {{ type: integer }} }} }}\n"
    );
    let action = format!(
        "name: report\nrunner: command\ncommand: [./report.sh, \"${{parameters.id}}\", \"{host}\", \"{port}\", \"${{parameters.takes_ms}}\"]\n\
         parameters:\n  id: {{ type: string, required: true }}\n  takes_ms: {{ type: integer, required: true }}\ntimeout: 60s\ndelivery: at_least_once\n"
    );
    write_pack(
        dir,
        "crash",
        &[
            ("pack.yaml", "name: crash\nversion: 1.0.0\ndescription: Reports every tenth event\n"),
            ("triggers/order.yaml", &trigger),
            (
                "rules/every_tenth.yaml",
                "name: every_tenth\ntrigger: crash.order\ncriteria: trigger.n % 10 == 0\n\
                 action:\n  ref: crash.report\n  parameters: { id: \"${trigger.id}\", takes_ms: \"${trigger.takes_ms}\" }\n\
                 tests:\n  - given: { id: e10, n: 10, takes_ms: 0 }\n    expect: { action: crash.report, parameters: { id: e10, takes_ms: 0 } }\n\
                 \x20 - given: { id: e11, n: 11, takes_ms: 0 }\n    expect: none\n",
            ),
            ("actions/report.yaml", &action),
            ("actions/report.sh", REPORT),
        ],
    )
}

/// Takes its time, then tells the sink its execution id over bash's own TCP, without a program for it.
const REPORT: &str = r#"#!/usr/bin/env bash
set -eu
if [ "$4" -gt 0 ]; then sleep "$(printf '%d.%03d' $(($4 / 1000)) $(($4 % 1000)))"; fi
exec 3<>"/dev/tcp/$2/$3"
printf 'POST /done/%s?event=%s&attempt=%s HTTP/1.1\r\nHost: sink\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' \
  "$PETREL_EXECUTION_ID" "$1" "$PETREL_ATTEMPT" >&3
read -r status <&3
case $status in *204*) echo "reported $1" ;; *) echo "sink answered $status" >&2; exit 1 ;; esac
"#;
