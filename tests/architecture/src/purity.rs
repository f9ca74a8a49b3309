//! Pure crates: no runtime, no file system, no network, no clock, no random numbers.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::sources::Source;
use crate::workspace::{Crate, Kind, root};

/// The folders of the pure crates.
const PURE: [&str; 9] =
    ["schemas", "bus", "secrets", "rules/cel", "workflow/yaql", "execution", "rules", "workflow", "catalog"];

/// What a pure crate must not declare.
const DENIED: [&str; 40] = [
    "async-channel",
    "async-io",
    "async-std",
    "axum",
    "clickhouse",
    "crossterm",
    "dirs",
    "fastrand",
    "fjall",
    "getrandom",
    "home",
    "hyper",
    "hyper-util",
    "indicatif",
    "libc",
    "libloading",
    "memmap2",
    "mio",
    "nix",
    "notify",
    "oorandom",
    "quanta",
    "rand",
    "rdkafka",
    "rdkafka-sys",
    "redb",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "signal-hook",
    "smol",
    "socket2",
    "sysinfo",
    "tempfile",
    "time",
    "tokio",
    "tracing-subscriber",
    "ureq",
    "walkdir",
];

/// What must not stand behind a pure crate at any depth. Random numbers are not among these: libraries
/// seed hash maps with them, and apache-avro can make up values; nobody here calls that.
const DENIED_BEHIND: [&str; 9] =
    ["async-io", "fjall", "hyper", "mio", "rdkafka", "rdkafka-sys", "reqwest", "socket2", "tokio"];

/// What the code of a pure crate must not name, and why.
const DENIED_CALLS: [(&str, &str); 10] = [
    ("std::fs", "the file system"),
    ("std::net", "the network"),
    ("std::process", "processes"),
    ("std::env", "the environment"),
    ("std::io::stdin", "the terminal"),
    ("SystemTime", "the clock"),
    ("Instant::now", "the clock"),
    ("RandomState", "random numbers"),
    ("thread::park", "waiting"),
    // In two parts, for the rule that no test sleeps.
    (concat!("thread::", "sleep"), "waiting"),
];

/// The stages of the crates that are not pure as a whole: the files and folders of what a step may reach. They keep to
/// the same as a pure crate, and to [`DENIED_IN_STAGES`].
const STAGES: [&str; 11] = [
    "ingest/src/timers/",
    "executor/src/gate/mod.rs",
    "executor/src/gate/store.rs",
    "executor/src/owner/mod.rs",
    "executor/src/owner/pieces.rs",
    "executor/src/owner/release.rs",
    "executor/src/owner/sender.rs",
    "executor/src/owner/turn.rs",
    "executor/src/owner/workflows.rs",
    "executor/src/worker/slots.rs",
    "executor/src/worker/stage.rs",
];

/// What a stage must not name beside that, and why.
const DENIED_IN_STAGES: [(&str, &str); 7] = [
    ("Instant", "the clock"),
    ("std::thread", "threads"),
    ("tokio::time", "the clock"),
    ("tokio::fs", "the file system"),
    ("tokio::net", "the network"),
    ("block_on", "waiting"),
    ("boot_ms()", "the clock"),
];

/// Where a pure crate measures all the same, for people; the lint's exception there says why.
const MEASURES: [&str; 2] = ["bus/src/driver/commit.rs", "bus/src/member.rs"];

/// Whether the crate in this folder has to be pure.
fn is_pure(one: &Crate) -> bool {
    PURE.iter().any(|dir| one.dir.as_os_str() == *dir)
}

/// Pure crates that declare what they must not; their tests may use anything.
pub fn direct_problems(crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for one in crates.iter().filter(|one| is_pure(one)) {
        for dependency in one.dependencies.iter().filter(|dependency| dependency.kind != Kind::Dev) {
            if DENIED.contains(&dependency.name.as_str()) {
                problems.push(format!("{} is pure and declares {}", one.name, dependency.name));
            }
        }
    }
    problems
}

/// Pure crates with what they must not have at any depth; `closure` names a crate's dependencies.
pub fn closure_problems(crates: &[Crate], closure: impl Fn(&Crate) -> Result<Vec<String>>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for one in crates.iter().filter(|one| is_pure(one)) {
        for name in closure(one)? {
            if DENIED_BEHIND.contains(&name.as_str()) {
                problems.push(format!("{0} is pure and brings {name}; see cargo tree -p {0} -i {name}", one.name));
            }
        }
    }
    Ok(problems)
}

/// Everything behind a crate's normal dependencies, with the features that it alone asks for.
pub fn closure_of(one: &Crate) -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", &one.name])
        .current_dir(root())
        .output()
        .context("cannot start cargo tree")?;
    ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<String> = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Code of pure crates and of stages, tests apart, that names what it must not.
pub fn source_problems(source: &Source) -> Vec<String> {
    let is_pure = PURE.iter().any(|dir| source.path.starts_with(format!("{dir}/src")));
    let is_stage = STAGES.iter().any(|stage| source.path.starts_with(stage));
    let measures = MEASURES.iter().any(|path| source.path.as_os_str() == *path);
    let denied: Vec<(&str, &str)> = match (is_pure, is_stage) {
        (false, false) => return Vec::new(),
        (true, _) => DENIED_CALLS.into_iter().filter(|(call, _)| !(measures && *call == "Instant::now")).collect(),
        (false, true) => DENIED_CALLS.into_iter().chain(DENIED_IN_STAGES).collect(),
    };
    let mut problems = Vec::new();
    for (number, line) in source.product_lines() {
        for (call, what) in denied.iter().filter(|(call, _)| line.contains(call)) {
            let path = source.path.display();
            problems.push(format!("{path}:{number}: {call} in what is pure, which keeps away from {what}"));
        }
    }
    problems
}

/// Stages and exceptions that are not where this list has them.
pub fn stage_problems(sources: &[Source]) -> Vec<String> {
    let named = STAGES.iter().chain(&MEASURES);
    let missing = named.filter(|path| !sources.iter().any(|source| source.path.starts_with(path)));
    missing.map(|path| format!("{path} is gone: tests/architecture/src/purity.rs names what is pure")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn krate(dir: &str, dependency: &str, kind: Kind) -> Crate {
        let dependencies = vec![Dependency { name: dependency.to_owned(), kind }];
        Crate { name: format!("petrel-{dir}"), dir: dir.into(), level: Some(0), dependencies }
    }

    #[test]
    fn pure_crates_declare_nothing_impure() {
        for (dir, dependency, kind, problems) in [
            ("rules", "tokio", Kind::Normal, 1),
            ("rules", "getrandom", Kind::Build, 1),
            ("rules", "tempfile", Kind::Dev, 0),
            ("rules", "serde", Kind::Normal, 0),
            ("bus/kafka", "rdkafka", Kind::Normal, 0),
        ] {
            assert_eq!(direct_problems(&[krate(dir, dependency, kind)]).len(), problems, "{dir} {dependency}");
        }
    }

    #[test]
    fn nothing_impure_stands_behind_them() {
        let crates = [krate("catalog", "jsonschema", Kind::Normal), krate("audit", "clickhouse", Kind::Normal)];
        let closure = |_: &Crate| Ok(vec!["jsonschema".to_owned(), "tokio".to_owned()]);
        let problems = closure_problems(&crates, closure).unwrap();
        assert_eq!(problems, ["petrel-catalog is pure and brings tokio; see cargo tree -p petrel-catalog -i tokio"]);
    }

    #[test]
    fn the_closure_is_complete() {
        let this = krate("architecture-tests", "", Kind::Normal);
        let names = closure_of(&this).unwrap();
        // Declared, and behind what is declared.
        assert!(names.contains(&"cargo_metadata".to_owned()) && names.contains(&"serde_json".to_owned()), "{names:?}");
    }

    #[test]
    fn their_code_names_no_file_and_no_clock() {
        for (path, text, problems) in [
            ("rules/src/a.rs", "use std::fs::File;\n", 1),
            ("rules/src/a.rs", "// std::fs is not for us\n", 0),
            ("rules/src/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n", 0),
            ("rules/src/a/tests.rs", "use std::fs;\n", 0),
            ("bus/kafka/src/a.rs", "use std::time::SystemTime;\n", 0),
            ("bus/src/a.rs", "let now = SystemTime::UNIX_EPOCH;\n", 1),
            ("bus/src/a.rs", "let began = Instant::now();\n", 1),
            ("bus/src/member.rs", "let began = Instant::now();\n", 0),
            ("bus/src/member.rs", "let now = SystemTime::now();\n", 1),
            ("ingest/src/timers/stage.rs", "use std::time::Instant;\n", 1),
            ("ingest/src/sensors/host.rs", "use std::time::Instant;\n", 0),
            ("executor/src/owner/turn.rs", "std::thread::spawn(run);\n", 1),
            ("executor/src/worker/stage.rs", "use tokio::sync::mpsc;\n", 0),
            ("executor/src/worker/stage.rs", "tokio::time::sleep(pause).await;\n", 1),
        ] {
            assert_eq!(source_problems(&Source::new(path, text)).len(), problems, "{path}: {text}");
        }
    }
}
