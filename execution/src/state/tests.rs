//! The transitions, as the documentation draws them.

use std::collections::BTreeSet;
use std::path::Path;

use super::EDGES;
use crate::status::Status;

/// The diagram of docs/EXECUTIONS.md: lines `from --> to`.
fn drawn() -> BTreeSet<(Status, Status)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/EXECUTIONS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let diagram = text.split("```mermaid").nth(1).unwrap().split("```").next().unwrap();
    let status = |name: &str| Status::parse(name.trim()).unwrap_or_else(|| panic!("there is no status {name:?}"));
    diagram
        .lines()
        .filter_map(|line| line.split_once("-->"))
        .filter(|(from, to)| !from.contains("[*]") && !to.contains("[*]"))
        .map(|(from, to)| (status(from), status(to.split(':').next().unwrap())))
        .collect()
}

#[test]
fn the_documentation_draws_every_transition_and_no_other() {
    let edges: BTreeSet<_> = EDGES.iter().copied().collect();
    assert_eq!(edges.len(), EDGES.len(), "an edge stands twice");
    assert_eq!(drawn(), edges);
}

#[test]
fn what_is_final_leads_at_most_to_another_run_and_everything_else_to_an_end() {
    for status in Status::ALL {
        let next: Vec<Status> = EDGES.iter().filter(|(from, _)| *from == status).map(|(_, to)| *to).collect();
        assert_eq!(next.is_empty() || next == [Status::Resuming], status.is_final(), "{status:?}");
        let mut reached: BTreeSet<Status> = [status].into();
        while let Some((_, to)) = EDGES.iter().find(|(from, to)| reached.contains(from) && !reached.contains(to)) {
            reached.insert(*to);
        }
        assert!(reached.iter().any(|s| s.is_final()), "{status:?} has no end");
        assert_eq!(Status::parse(status.as_str()), Some(status));
    }
    assert_eq!(Status::parse("lost"), None);
}
