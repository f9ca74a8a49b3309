//! What the audit trail must tell of workflows that have all succeeded: every transition, once, and in order.

use anyhow::{Result, ensure};
use petrel_e2e_tests::Cli;

use super::relay::{ACTION, EXECUTIONS, orders};

/// Which status may follow which of an execution that succeeds, with what a lost worker, a full one, a revision that has
/// not arrived and a delay bring. One that is dispatched in the step that requests it has `scheduled` as its first.
const FOLLOWS: &str = "('', 'requested'), ('', 'delayed'), ('', 'scheduled'), ('requested', 'delayed'), \
    ('requested', 'scheduled'), ('delayed', 'delayed'), ('delayed', 'scheduled'), ('scheduled', 'delayed'), \
    ('scheduled', 'running'), ('running', 'delayed'), ('running', 'scheduled'), ('running', 'succeeded')";

/// What there must be none of, each as a query that counts it.
fn none_of() -> [(&'static str, String); 7] {
    let count = |of: &str| format!("SELECT count() FROM ({of})");
    [
        (
            "changes that are there twice",
            count("SELECT execution_id, sequence FROM executions GROUP BY ALL HAVING count() > 1"),
        ),
        (
            "executions with changes that are missing",
            count(
                "SELECT execution_id FROM executions GROUP BY ALL HAVING min(sequence) != 1 OR max(sequence) != count()",
            ),
        ),
        (
            "executions that have not ended once, as succeeded, with their last change",
            count(
                "SELECT execution_id FROM executions GROUP BY ALL \
                 HAVING countIf(ended_at IS NOT NULL) != 1 OR argMax(status, sequence) != 'succeeded'",
            ),
        ),
        (
            "changes that may not follow the one before",
            format!(
                "SELECT countIf((toString(before), toString(status)) NOT IN ({FOLLOWS})) FROM (SELECT status, \
                 lagInFrame(status) OVER (PARTITION BY execution_id ORDER BY sequence \
                 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before FROM executions)"
            ),
        ),
        (
            "executions whose changes stand in the log in another order",
            count(
                "SELECT execution_id, arrayMap(change -> change.3, arraySort(groupArray((log_offset, log_row, sequence)))) \
                 AS told FROM executions GROUP BY execution_id HAVING told != arraySort(told) OR uniqExact(log_partition) > 1",
            ),
        ),
        (
            "tasks with more than one execution",
            count(
                "SELECT parent_execution_id, task FROM executions WHERE parent_execution_id != '' GROUP BY ALL \
                 HAVING uniqExact(execution_id) != 1",
            ),
        ),
        (
            "workflows with another number of executions",
            count(&format!(
                "SELECT root_execution_id FROM executions GROUP BY ALL HAVING uniqExact(execution_id) != {EXECUTIONS}"
            )),
        ),
    ]
}

/// Every workflow's changes are there once and in order, those of its tasks in the order of its definition.
pub(super) fn check(cli: &Cli, workflows: u64) -> Result<()> {
    let roots = format!("SELECT uniqExact(execution_id) FROM executions WHERE action = '{ACTION}'");
    ensure!(cli.number(&roots)? == workflows, "{} workflows instead of {workflows}", cli.number(&roots)?);
    for (what, query) in none_of() {
        let found = cli.number(&query)?;
        ensure!(found == 0, "{found} {what}: {query}");
    }
    let orders: Vec<String> = orders().iter().map(|(before, after)| format!("('{before}', '{after}')")).collect();
    let pairs = format!(
        "WITH spans AS (SELECT root_execution_id AS root, toString(task) AS task, min((log_offset, log_row)) AS first, \
         max((log_offset, log_row)) AS last FROM executions WHERE parent_execution_id = root_execution_id \
         GROUP BY root, task) \
         SELECT WHAT FROM spans AS one INNER JOIN spans AS other ON one.root = other.root \
         WHERE (one.task, other.task) IN ({})",
        orders.join(", ")
    );
    let all = cli.number(&pairs.replace("WHAT", "count()"))?;
    ensure!(all == workflows * orders.len() as u64, "{all} pairs of tasks that follow each other");
    let early = cli.number(&pairs.replace("WHAT", "countIf(one.last >= other.first)"))?;
    ensure!(early == 0, "{early} tasks began before the ones that lead to them had ended");
    ensure!(cli.number("SELECT count() FROM dead_letters")? == 0, "there are dead letters");
    cli.reconciles()
}
