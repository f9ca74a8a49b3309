//! What must hold at the end, whoever was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use petrel_e2e_tests::{Cli, committed_values};
use petrel_schemas::{ActionRequest, decode};
use petrel_testkit::{HttpSink, wait_until};

/// How long everything may take to settle after the last kill.
const SETTLE: Duration = Duration::from_secs(900);
/// Finished executions as SQL counts them.
const FINISHED: &str = "SELECT count() FROM executions_latest WHERE status = 'succeeded'";
/// Workers that lost a lease, each with how many, and why one of them was lost: the row before says whose it was.
const LEASES_LOST: &str = "SELECT held.worker AS worker, count() AS leases, any(lost.error) AS why \
    FROM executions AS lost INNER JOIN executions AS held \
    ON held.execution_id = lost.execution_id AND held.sequence = lost.sequence - 1 \
    WHERE lost.code IN ('lease_lost', 'lost_leases_max') GROUP BY worker ORDER BY worker";

/// Ids of the events that a rule matches.
pub(super) fn expected_ids(events: u64) -> BTreeSet<String> {
    (0..events).filter(|n| n % 10 == 0).map(|n| format!("e{n}")).collect()
}

/// Waits until SQL has as many finished executions as there must be.
pub(super) fn settle(cli: &Cli, sink: &HttpSink, expected: usize) {
    let began = Instant::now();
    let mut last = 0;
    wait_until("every expected execution is finished in SQL", SETTLE, || {
        last = cli.number(FINISHED).unwrap_or(last);
        last >= expected as u64
    });
    eprintln!("settled {:.1} s after the last events", began.elapsed().as_secs_f64());
    assert!(sink.count() >= expected);
}

/// The executions that `petrel.requests` asks for: one for each expected event.
pub(super) fn requested(bootstrap: &str, topic: &str, expected: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let mut requested: BTreeMap<String, String> = BTreeMap::new();
    for value in committed_values(bootstrap, topic)? {
        let request: ActionRequest = decode(&value)?;
        let parameters: serde_json::Value = serde_json::from_str(&request.parameters)?;
        let id = parameters["id"].as_str().unwrap_or_default().to_owned();
        assert!(requested.insert(id.clone(), request.execution_id).is_none(), "two requests for event {id}");
    }
    assert_eq!(requested.keys().cloned().collect::<BTreeSet<_>>(), *expected, "one request for each expected event");
    Ok(requested.into_values().collect())
}

/// Every execution ran, is known to SQL once, and no more of them ran twice than were running at a kill.
pub(super) fn check(cli: &Cli, sink: &HttpSink, executions: &BTreeSet<String>, extra_runs_max: usize) -> Result<()> {
    let reported = sink.ids();
    let distinct: BTreeSet<String> = reported.iter().cloned().collect();
    assert_eq!(distinct, *executions, "every execution reported, and none other");
    let extra = reported.len() - distinct.len();
    eprintln!("executions {}, extra runs {extra} (at most {extra_runs_max})", executions.len());
    if extra > extra_runs_max {
        tell_of_extra_runs(cli, sink)?;
    }
    assert!(extra <= extra_runs_max, "{extra} extra runs, more than ran when their workers were killed");
    let finished = cli.sql(
        "SELECT execution_id, count() AS n FROM executions_latest WHERE status = 'succeeded' GROUP BY execution_id",
    )?;
    let in_sql: BTreeSet<String> =
        finished.iter().filter_map(|r| r["execution_id"].as_str()).map(str::to_owned).collect();
    assert_eq!(in_sql, *executions, "SQL has exactly one finished execution per expected event");
    assert_eq!(finished.len(), executions.len());
    cli.reconciles()?;
    Ok(())
}

/// What ran more than once, with what its runs said and how it came about, change by change.
fn tell_of_extra_runs(cli: &Cli, sink: &HttpSink) -> Result<()> {
    let mut runs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    sink.hits().into_iter().for_each(|hit| runs.entry(hit.id().to_owned()).or_default().push(hit.path));
    for (id, paths) in runs.iter().filter(|(_, paths)| paths.len() > 1) {
        eprintln!("{paths:?}");
        let changes = format!(
            "SELECT sequence, status, code, changed_at, recorded_at, attempt, worker, error, log_partition, log_offset \
             FROM executions WHERE execution_id = '{id}' ORDER BY sequence"
        );
        cli.sql(&changes)?.iter().for_each(|row| eprintln!("{row}"));
    }
    Ok(())
}

/// A lease is lost with its worker, and never otherwise.
pub(super) fn leases_were_lost_of(cli: &Cli, killed: &BTreeSet<String>) -> Result<()> {
    let rows = cli.sql(LEASES_LOST)?;
    eprintln!("leases lost: {rows:?}; workers killed: {killed:?}");
    for row in rows {
        let worker = row["worker"].as_str().unwrap_or_default();
        ensure!(killed.contains(worker), "a lease was lost of {worker:?}, which was never killed: {row}");
    }
    Ok(())
}
