//! Dependencies point down.

use crate::workspace::Crate;

/// Tests and tools: nothing of the product depends on them, and they may depend on anything.
const TOP_LEVEL: u64 = 6;

/// Who knows a system outside Petrel, beside tests and tools: one crate each. Of the store on disk there are
/// two uses that share nothing: a log and a cache.
const OWNERS: [(&str, &[&str]); 4] = [
    ("rdkafka", &["petrel-bus-kafka"]),
    ("fjall", &["petrel-bus-local", "petrel-bus-cache"]),
    ("clickhouse", &["petrel-audit"]),
    ("apache-avro", &["petrel-schemas"]),
];

/// A crate depends only on crates of a lower level, for its tests too; the top level on anything.
pub fn level_problems(crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for one in crates {
        let Some(level) = one.level else {
            problems.push(format!("{}: no package.metadata.petrel.level", one.name));
            continue;
        };
        if level >= TOP_LEVEL {
            continue;
        }
        for dependency in &one.dependencies {
            let target = crates.iter().find(|other| other.name == dependency.name);
            // Those without a level have been reported already.
            let Some(target_level) = target.and_then(|target| target.level) else { continue };
            if target_level >= level {
                problems.push(format!(
                    "{} (level {level}) depends on {} (level {target_level}): a step up",
                    one.name, dependency.name
                ));
            }
        }
    }
    problems
}

/// Only one crate knows Kafka, only one knows ClickHouse, and so on.
pub fn owner_problems(crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for one in crates.iter().filter(|one| one.level < Some(TOP_LEVEL)) {
        for (library, owners) in OWNERS {
            let is_owner = owners.contains(&one.name.as_str());
            if !is_owner && one.dependencies.iter().any(|dependency| dependency.name == library) {
                problems.push(format!("{} declares {library}, which only {} may know", one.name, owners.join(" and ")));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Dependency, Kind};

    fn krate(name: &str, level: Option<u64>, dependencies: &[(&str, Kind)]) -> Crate {
        let dependencies =
            dependencies.iter().map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: *kind }).collect();
        Crate { name: name.to_owned(), dir: name.into(), level, dependencies }
    }

    fn check(krate_under_test: Crate, expected: &[&str]) {
        let crates =
            [krate("low", Some(0), &[]), krate("mid", Some(1), &[]), krate("kit", Some(6), &[]), krate_under_test];
        assert_eq!(level_problems(&crates), expected);
    }

    #[test]
    fn only_steps_down() {
        check(krate("x", Some(1), &[("low", Kind::Normal), ("serde", Kind::Normal)]), &[]);
        check(krate("x", Some(0), &[("mid", Kind::Normal)]), &["x (level 0) depends on mid (level 1): a step up"]);
        check(krate("x", Some(1), &[("mid", Kind::Build)]), &["x (level 1) depends on mid (level 1): a step up"]);
        check(krate("x", Some(1), &[("kit", Kind::Dev)]), &["x (level 1) depends on kit (level 6): a step up"]);
        check(krate("x", Some(6), &[("kit", Kind::Normal), ("mid", Kind::Dev)]), &[]);
        check(krate("x", None, &[("mid", Kind::Normal)]), &["x: no package.metadata.petrel.level"]);
    }

    #[test]
    fn one_crate_knows_one_system() {
        let crates = [
            krate("petrel-bus-kafka", Some(1), &[("rdkafka", Kind::Normal)]),
            krate("petrel-server", Some(4), &[("rdkafka", Kind::Dev)]),
            krate("petrel-bench", Some(6), &[("rdkafka", Kind::Normal)]),
        ];
        let problems = owner_problems(&crates);
        assert_eq!(problems, ["petrel-server declares rdkafka, which only petrel-bus-kafka may know"]);
    }
}
