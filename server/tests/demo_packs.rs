//! The packs that `petrel demo` plays, with their own tests; no server.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Tests a pack with a configuration, and fails with what it says.
fn check(pack: &str, config: &Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(format!("{pack}.yaml")), config.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_petrel"));
    command.args(["pack", "test"]).arg(root.join("packs/core")).arg(root.join("deploy/demo").join(pack));
    // An address at which nothing answers: no server is asked.
    let output = command.arg("--config").arg(dir.path()).env("PETREL_API", "http://127.0.0.1:1").output().unwrap();
    let told = [&*String::from_utf8_lossy(&output.stdout), &*String::from_utf8_lossy(&output.stderr)].concat();
    assert!(output.status.success(), "{pack}: {told}");
}

#[test]
fn what_the_demos_apply_passes_its_own_tests() {
    check(
        "troubleshooting",
        &json!({
            "ssh_user": "petrel", "ssh_known_hosts": "a", "cloud_project": "a", "cloud_zone": "a", "slack_channel": "#a",
            "jira_url": "https://jira.example.com", "jira_user": "a", "jira_project": "A",
        }),
    );
    check(
        "remediation",
        &json!({
            "keystone_url": "https://cloud.example.com:5000", "credential_id": "a", "smtp_host": "mail.example.com",
            "mail_from": "petrel@example.com",
        }),
    );
    check(
        "deployment",
        &json!({
            "kubernetes_url": "https://kubernetes.example.com", "namespace": "a", "registry": "registry.example.com/a",
            "prometheus_url": "https://prometheus.example.com",
        }),
    );
}
