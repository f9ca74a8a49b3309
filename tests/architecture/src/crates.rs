//! How many crates others wrote for us, and that each of them stands in one version.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::root;

/// Most packages that Cargo.lock may name, for all platforms, tests and tools.
pub const LOCKED_MAX: usize = 486;

/// Most packages that may be compiled for the program `petrel` on this platform, macros and build scripts included.
pub const BUILT_MAX: usize = 395;

/// Crates that stand in several versions, with who wants which. Aligning is not in our hands there.
const SEVERAL_VERSIONS: [(&str, &str); 17] = [
    ("bit-set", "0.8 in fancy-regex (jsonschema), 0.11 in antlr4rust (cel)"),
    ("bit-vec", "as bit-set"),
    ("block-buffer", "as digest"),
    ("cpufeatures", "as digest"),
    ("crypto-common", "as digest"),
    ("digest", "0.10 in apache-avro, 0.11 in russh"),
    ("generic-array", "0.14 in apache-avro, 1 in russh"),
    ("getrandom", "0.2 in ring, 0.3 in jsonschema and rand_core, 0.4 in tempfile and uuid"),
    ("hashbrown", "0.14 and 0.16 in fjall, 0.16 in jsonschema, 0.17 in indexmap and clickhouse"),
    ("lz4_flex", "0.13 in fjall, 0.14 in clickhouse, which compresses what the sink sends"),
    ("num-bigint", "0.4 in apache-avro and jsonschema, 0.5 in russh"),
    ("r-efi", "as getrandom, on UEFI alone"),
    ("rand", "0.9 in apache-avro and clickhouse, 0.10 in russh"),
    ("rand_core", "as rand"),
    ("sha2", "as digest"),
    ("syn", "2 in half of all derive macros, 3 in the other half"),
    ("windows-sys", "0.52 in ring, on Windows alone"),
];

/// A crate's name and version.
pub type NameAndVersion = (String, String);

/// The packages of a lock file that come from a registry.
///
/// # Errors
/// A text that is no lock file.
pub fn locked(lock: &str) -> Result<Vec<NameAndVersion>> {
    let value = |line: &str| line.split('"').nth(1).map(str::to_owned).context("a line without a value");
    let mut packages = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |key: &str| package.lines().find(|line| line.starts_with(key));
        if field("source = ").is_none() {
            continue;
        }
        let name = field("name = ").context("a package without a name")?;
        let version = field("version = ").context("a package without a version")?;
        packages.push((value(name)?, value(version)?));
    }
    ensure!(!packages.is_empty(), "the lock file names no package");
    Ok(packages)
}

/// The packages that are compiled for one of ours on this platform, our own left out.
///
/// # Errors
/// `cargo tree` that fails.
pub fn built_for(package: &str) -> Result<Vec<NameAndVersion>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(root())
        .output()
        .context("cannot start cargo tree")?;
    ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    // `name v1.2.3`, and behind it what kind it is; a folder for our own.
    let others = text.lines().filter(|line| !line.contains(" (/")).filter_map(|line| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    });
    Ok(others.collect::<BTreeSet<_>>().into_iter().collect())
}

/// More packages than there may be.
pub fn number_problems(what: &str, packages: &[NameAndVersion], packages_max: usize) -> Vec<String> {
    let problem = || {
        format!(
            "{what}: {} crates, {packages_max} are allowed. Each one is paid for in every first build. Use what is \
             there, or switch features off; raising the limit in tests/architecture needs an ADR that says what \
             the new ones are worth",
            packages.len()
        )
    };
    (packages.len() > packages_max).then(problem).into_iter().collect()
}

/// Crates in several versions that are not known to have to be, and known ones that have one again.
pub fn version_problems(packages: &[NameAndVersion]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in packages {
        versions.entry(name).or_default().push(version);
    }
    let mut problems = Vec::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        if SEVERAL_VERSIONS.iter().all(|(known, _)| known != name) {
            problems.push(format!(
                "{name} stands in Cargo.lock in the versions {}: align them (cargo tree --invert {name}), or name who \
                 forces which in tests/architecture/src/crates.rs",
                versions.join(" and ")
            ));
        }
    }
    for (known, _) in SEVERAL_VERSIONS {
        if versions.get(known).is_none_or(|versions| versions.len() < 2) {
            problems.push(format!("{known} is excused for several versions and does not need it any more"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(names: &[(&str, &str)]) -> Vec<NameAndVersion> {
        names.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
    }

    #[test]
    fn a_lock_file_is_read() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"0.1.0\"\ndependencies = [\n \"a\",\n]\n";
        assert_eq!(locked(lock).unwrap(), packages(&[("a", "1.0.0")]));
        assert!(locked("version = 4\n").is_err());
    }

    #[test]
    fn what_is_built_includes_macros_and_build_scripts_and_not_our_own() {
        let built = built_for("petrel-bus-kafka").unwrap();
        let has = |name: &str| built.iter().any(|(built, _)| built == name);
        assert!(has("rdkafka") && has("thiserror-impl") && has("pkg-config"), "{built:?}");
        assert!(!has("petrel-bus") && !has("petrel-bus-kafka"), "{built:?}");
        assert!(built.iter().all(|(_, version)| version.starts_with(|first: char| first.is_ascii_digit())));
    }

    #[test]
    fn one_too_many_is_a_problem_that_asks_for_an_adr() {
        let two = packages(&[("a", "1.0.0"), ("b", "1.0.0")]);
        assert_eq!(number_problems("Cargo.lock", &two, 2), [""; 0]);
        let problems = number_problems("Cargo.lock", &two, 1);
        assert!(problems.len() == 1 && problems[0].starts_with("Cargo.lock: 2 crates, 1 are allowed"), "{problems:?}");
        assert!(problems[0].contains("needs an ADR"), "{problems:?}");
    }

    #[test]
    fn two_versions_are_excused_by_name_alone() {
        let excused: Vec<_> =
            SEVERAL_VERSIONS.iter().flat_map(|(name, _)| [(*name, "1.0.0"), (*name, "2.0.0")]).collect();
        assert_eq!(version_problems(&packages(&excused)), [""; 0]);
        let more = [excused.as_slice(), &[("serde", "1.0.0"), ("serde", "2.0.0")]].concat();
        let problems = version_problems(&packages(&more));
        assert!(problems.len() == 1 && problems[0].contains("serde stands in"), "{problems:?}");
        assert!(problems[0].contains("1.0.0 and 2.0.0"), "{problems:?}");
    }

    #[test]
    fn an_excuse_that_is_not_needed_goes() {
        let problems = version_problems(&packages(&[("syn", "3.0.0")]));
        assert_eq!(problems.len(), SEVERAL_VERSIONS.len());
    }
}
