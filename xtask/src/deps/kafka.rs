//! Apache Kafka's jars, by Maven.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use petrel_testkit::{dev_dir, kafka_libs_dir, workspace_root};

use crate::fetch::fetch;
use crate::machine::{FOR_KAFKA, require};

/// Fetches the jars unless those of the present pom.xml are there. petrel-testkit takes the stamp
/// for the sign that they are complete.
pub(crate) fn fetch_kafka() -> Result<()> {
    let pom = workspace_root().join("deploy/dev/kafka/pom.xml");
    let wanted = fs::read(&pom).with_context(|| format!("cannot read {}", pom.display()))?;
    let libs = kafka_libs_dir();
    if fs::read(libs.join(".stamp")).is_ok_and(|stamp| stamp == wanted) {
        return Ok(());
    }
    require(&FOR_KAFKA)?;
    // Beside the old ones, which a running broker may still read from.
    let fresh = libs.with_extension("new");
    remove_dir(&fresh)?;
    fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", fresh.display()));
    fetch("Apache Kafka", &mut maven, &dev_dir().join("kafka/maven.log"), &fresh)?;
    ensure!(has_broker(&fresh), "Maven succeeded, but {} holds no broker", fresh.display());
    fs::write(fresh.join(".stamp"), wanted).context("cannot write the stamp")?;
    remove_dir(&libs)?;
    fs::rename(&fresh, &libs).with_context(|| format!("cannot move the jars to {}", libs.display()))
}

fn has_broker(libs: &Path) -> bool {
    let Ok(entries) = fs::read_dir(libs) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("kafka_"))
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
