//! What a test needs of the machine, and what happens where it is missing.
//!
//! Only a missing *program* (Java, Maven) lets a test be skipped: by name, loudly, and never with
//! `CI=true`. Jars that were not fetched, or a broker that does not start, are failures.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::Location;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::paths::kafka_libs_dir;

/// The oldest Java that Apache Kafka 4.1 brokers run on.
pub(crate) const JAVA_MAJOR_MIN: u32 = 17;

/// How to get Java.
pub const JAVA_HINT: &str =
    "Java 17 or newer (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17)";

/// How to get Maven.
pub const MAVEN_HINT: &str = "Maven, which fetches Apache Kafka (Debian: apt install maven; macOS: brew install maven)";

/// Whether the running test may use Kafka. `false` means that the test must return at once: its skip
/// has been reported already, under its name.
///
/// # Panics
/// With `CI=true` when Java or Maven is missing; always when they are there and Kafka's jars are not.
#[track_caller]
pub fn kafka_or_skip() -> bool {
    match kafka_requirement() {
        Ok(()) => true,
        Err(Missing::Program(hint)) => {
            skip(&hint, Location::caller());
            false
        }
        Err(Missing::Jars) => {
            panic!("Kafka's jars are not in {}; run: cargo xtask deps --kafka", kafka_libs_dir().display())
        }
    }
}

/// What stands between a test and its broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A program of the machine, with the way to get it.
    Program(String),
    /// Kafka itself, which xtask fetches.
    Jars,
}

pub(crate) fn kafka_requirement() -> Result<(), Missing> {
    if std::env::var_os("PETREL_TEST_KAFKA").is_some() {
        return Ok(());
    }
    decide(java_major(), kafka_libs_dir().join(".stamp").is_file(), program_exists("mvn"))
}

fn decide(java: Option<u32>, jars: bool, maven: bool) -> Result<(), Missing> {
    match java {
        None => Err(Missing::Program(format!("needs {JAVA_HINT}"))),
        Some(major) if major < JAVA_MAJOR_MIN => {
            Err(Missing::Program(format!("needs {JAVA_HINT}; this machine has Java {major}")))
        }
        Some(_) if jars => Ok(()),
        Some(_) if !maven => Err(Missing::Program(format!("needs {MAVEN_HINT}"))),
        Some(_) => Err(Missing::Jars),
    }
}

/// Reports the running test as skipped.
#[track_caller]
fn skip(reason: &str, at: &Location<'_>) {
    let thread = std::thread::current();
    let line = format!("SKIPPED {} ({}:{}): {reason}\n", thread.name().unwrap_or("?"), at.file(), at.line());
    assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "with CI=true a skip is a failure: {line}");
    // Written past the test harness, which hides what a passing test prints. If even that fails, the
    // skip must not pass for a success.
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    if let Some(list) = std::env::var_os("PETREL_TEST_SKIPS") {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(Path::new(&list))
            .expect("the list of skips can be written");
        file.write_all(line.as_bytes()).expect("the list of skips can be written");
    }
}

/// Whether `program` can be started.
pub fn program_exists(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// The major version of the `java` in the path, for example 17.
pub fn java_major() -> Option<u32> {
    let output = Command::new("java").arg("-version").stdin(Stdio::null()).output().ok()?;
    // `java -version` writes to standard error, `--version` of newer ones to standard output.
    parse_java_major(&String::from_utf8_lossy(&output.stderr))
}

/// From `openjdk version "17.0.15" 2025-04-15`, or `java version "1.8.0_392"`, which is Java 8.
fn parse_java_major(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let mut numbers = version.split(['.', '-', '+', '_']).map(|part| part.parse::<u32>().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions() {
        for (text, expected) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime", Some(17)),
            ("openjdk version \"21-ea\" 2023-09-19", Some(21)),
            ("java version \"1.8.0_392\"", Some(8)),
            ("Unable to locate a Java Runtime", None),
            ("", None),
        ] {
            assert_eq!(parse_java_major(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_a_missing_program_is_a_skip() {
        let skipped = |decision: Result<(), Missing>| matches!(decision, Err(Missing::Program(_)));
        assert!(skipped(decide(None, true, true)));
        assert!(skipped(decide(Some(11), true, true)));
        assert!(skipped(decide(Some(17), false, false)));
        assert_eq!(decide(Some(17), false, true), Err(Missing::Jars));
        assert_eq!(decide(Some(17), true, false), Ok(()), "Maven is needed to fetch, not to run");
        assert_eq!(decide(Some(21), true, true), Ok(()));
    }

    #[test]
    fn programs_are_found_by_starting_them() {
        assert!(program_exists("cargo"));
        assert!(!program_exists("no-such-program-anywhere"));
    }
}
