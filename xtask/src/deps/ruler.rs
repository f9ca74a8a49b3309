//! AWS Event Ruler by Maven, and the benchmark's driver for it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use petrel_testkit::{dev_dir, workspace_root};

use crate::fetch::fetch;
use crate::machine::{FOR_KAFKA, missing};

const DRIVER: &str = "tests/rulesbench/java/RulerDriver.java";

/// Fetches the jars, compiles the driver, and returns Java's class path for both. None on a machine
/// without Java or Maven: the benchmark then says that the engine is not measured.
pub(crate) fn fetch_ruler() -> Result<Option<String>> {
    let dir = dev_dir().join("event-ruler");
    let pom = workspace_root().join("deploy/dev/event-ruler/pom.xml");
    let driver = workspace_root().join(DRIVER);
    let read = |file: &PathBuf| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let wanted = [read(&pom)?, read(&driver)?].concat();
    let (libs, classes, stamp) = (dir.join("libs"), dir.join("classes"), dir.join(".stamp"));
    let class_path = format!("{}:{}/*", classes.display(), libs.display());
    let absent = missing(&FOR_KAFKA);
    if !absent.is_empty() {
        println!("Event Ruler is not measured; this machine lacks {}", absent.join(", "));
        return Ok(None);
    }
    if fs::read(&stamp).is_ok_and(|stamp| stamp == wanted) {
        return Ok(Some(class_path));
    }
    for dir in [&libs, &classes] {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", libs.display()));
    fetch("AWS Event Ruler", &mut maven, &dir.join("maven.log"), &libs)?;
    let mut javac = Command::new("javac");
    javac.arg("-cp").arg(format!("{}/*", libs.display())).arg("-d").arg(&classes).arg(&driver);
    let compiled = javac.status().context("cannot start javac: a JDK is needed, not only Java's runtime")?;
    ensure!(compiled.success(), "javac could not compile {DRIVER}");
    fs::write(&stamp, wanted).context("cannot write the stamp")?;
    Ok(Some(class_path))
}
