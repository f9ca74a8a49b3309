//! Where actions run and how early: pools, labels and classes.

use std::collections::BTreeMap;

use petrel_execution::{Labels, Needs};
use petrel_rules::{Kv, Matcher, RuleIndex, Verdict};
use petrel_schemas::Class;

use super::{check, disk_with, load};
use crate::problems::Problems;

const PATH: &str = "actions/clean.yaml";
macro_rules! action {
    ($text:literal) => {
        concat!(
            "name: clean\nrunner: command\ncommand: [./clean.sh]\nparameters: { host: {}, older_than: {} }\n",
            $text
        )
    };
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_says_nothing_sensible_is_told() {
    check(&[
        (
            PATH,
            action!("class: urgnt\npool: gpu\nrequires: { zone: dmz }\n"),
            "actions/clean.yaml:5:8: \"class\" must be one of \"urgent\", \"normal\", \"bulk\", found \"urgnt\", did you mean \"urgent\"?\n\
             actions/clean.yaml:6:7: \"pool\" names a pool and \"requires\" looks for one: say one of them",
        ),
        (
            PATH,
            action!("requires: { Zone: dmz, rack: 7 }\n"),
            "actions/clean.yaml:5:13: \"Zone\" is no name: use lower-case letters, digits and underscores\n\
             actions/clean.yaml:5:30: \"requires.rack\" must be a string, found the number 7; write \"7\" in quotes",
        ),
        (
            PATH,
            action!("requires: {}\n"),
            "actions/clean.yaml:5:11: \"requires\" names no label; leave the key out to require nothing",
        ),
        (
            PATH,
            action!("needs: { memory: 2GB, cpu: two, gpu: 1 }\n"),
            "actions/clean.yaml:5:18: \"needs.memory\" must be a whole number of KiB, MiB, GiB or TiB, such as 2GiB, or of bytes\n\
             actions/clean.yaml:5:28: \"needs.cpu\" must be a number of processors such as 0.5, found a string\n\
             actions/clean.yaml:5:33: unknown key \"gpu\", did you mean \"cpu\"?",
        ),
        (
            PATH,
            action!("needs: {}\n"),
            "actions/clean.yaml:5:8: \"needs\" names neither \"memory\" nor \"cpu\"; leave the key out to need nothing",
        ),
        (
            PATH,
            "name: clean\nrunner: noop\nparameters: { host: {}, older_than: {} }\nneeds: { cpu: 1 }\n",
            "actions/clean.yaml:4:8: its runner takes no slot of a worker, so it needs nothing",
        ),
    ]);
}

#[test]
fn labels_of_an_action_or_its_pack_choose_a_pool_at_an_apply() {
    let manifest = ("pack.yaml", "name: disk\nversion: 1.0.0\nrequires: { zone: dmz }\n");
    let pools = |zone: &str| [("default".to_owned(), BTreeMap::new()), ("far".to_owned(), labels(&[("zone", zone)]))];
    for (changes, wanted, at) in [
        (vec![(PATH, action!("requires: { zone: dmz }\n"))], Some("dmz"), "5:11"),
        (vec![manifest, (PATH, action!(""))], Some("dmz"), "1:1"),
        (vec![manifest, (PATH, action!("requires: { zone: lan }\n"))], Some("lan"), "5:11"),
        (vec![manifest, (PATH, action!("pool: default\n"))], None, ""),
    ] {
        let revision = load(vec![disk_with(&changes)]);
        let compiled = revision.compiled();
        let requires = &compiled.action("disk.clean").unwrap().plan.requires;
        assert_eq!(requires.get("zone").map(String::as_str), wanted);
        let text = |problems: Problems| problems.to_string();
        let told_of = |zone: &str, before| compiled.check_pools(&pools(zone), before).map(text).map_err(text);
        assert_eq!(told_of(wanted.unwrap_or("any"), None), Ok(String::new()));
        let told = told_of("moon", None);
        // What required the same before is not refused for pools that have changed since.
        let again = told_of("moon", Some(compiled)).ok();
        assert_eq!(again.filter(|known| !known.is_empty()), told.clone().err());
        let other = load(vec![disk_with(&[(PATH, action!("requires: { zone: sun }\n"))])]);
        assert_eq!(told_of("moon", Some(other.compiled())), told);
        let problem = wanted.map(|zone| {
            format!(
                "actions/clean.yaml:{at}: disk.clean requires a pool with zone: {zone}, and no configured pool has that"
            )
        });
        assert_eq!(told.err(), problem);
    }
}

#[test]
fn what_no_worker_of_a_pool_has_is_refused_at_an_apply() {
    let size = |memory_bytes: u64, cpu_milli: u64| Needs { memory_bytes, cpu_milli };
    let pools = [("default".to_owned(), BTreeMap::new()), ("far".to_owned(), labels(&[("zone", "dmz")]))];
    let sizes = |default: Needs, far: Needs| BTreeMap::from([("default".to_owned(), default), ("far".to_owned(), far)]);
    let (small, large) = (size(1 << 30, 4_000), size(2 << 30, 1_500));
    for (text, pool, at) in [
        (action!("needs: { memory: 2GiB, cpu: 1.5 }\n"), "default", "5:8"),
        (action!("requires: { zone: dmz }\nneeds: { memory: 2147483648, cpu: 1.5 }\n"), "far", "6:8"),
    ] {
        let revision = load(vec![disk_with(&[(PATH, text)])]);
        let compiled = revision.compiled();
        assert_eq!(compiled.action("disk.clean").unwrap().plan.needs, large);
        let checked = |default: Needs, far: Needs| {
            compiled.check_sizes(&pools, &sizes(default, far)).map_err(|problems| problems.to_string()).err()
        };
        let (fits, other) =
            if pool == "far" { ((small, large), (large, small)) } else { ((large, small), (small, large)) };
        assert_eq!(checked(fits.0, fits.1), None);
        assert_eq!(compiled.check_sizes(&pools, &BTreeMap::new()), Ok(()), "nobody knows");
        let why = format!(
            "actions/clean.yaml:{at}: disk.clean needs 2 GiB of memory and 1.5 processors, and the largest worker of the \
             pool {pool} has 1 GiB of memory and 4 processors"
        );
        assert_eq!(checked(other.0, other.1), Some(why));
    }
}

#[test]
fn a_rule_says_how_early_or_else_the_action_does() {
    const RULE: &str = "name: clean_tmp\ntrigger: disk.alert\naction: { ref: disk.clean, parameters: { host: a } }\n";
    const URGENT: &str =
        "name: clean_tmp\ntrigger: disk.alert\nclass: urgent\naction: { ref: disk.clean, parameters: { host: a } }\n";
    for (rule, wanted) in [(RULE, None), (URGENT, Some(Class::Urgent))] {
        let changes = [("rules/clean_tmp.yaml", rule), (PATH, action!("class: bulk\n"))];
        let revision = load(vec![disk_with(&changes)]);
        let compiled = revision.compiled();
        let plan = compiled.plan("disk.alert").unwrap();
        let mut found = Vec::new();
        let on = &mut |index: RuleIndex, verdict: Verdict<'_>| {
            found.extend((verdict == Verdict::True).then(|| plan.rule_of(index).class));
        };
        let event = br#"{"host":"db-1","mount":"/tmp","used_pct":95.0}"#;
        Matcher::new().run(plan.rules(), event, 0, &Kv::empty(), on).unwrap();
        assert_eq!(found, [wanted]);
        assert_eq!(compiled.action("disk.clean").unwrap().plan.class, Class::Bulk);
    }
}
