//! Where the time from an event to its action's start goes, by the instants that the audit trail keeps.
//!
//! All are milliseconds of the same machine's clock: the event's timestamp, the match step, the owner's
//! step, the worker's claim, and the arrival of the action's datagram.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use petrel_testkit::poll_until;
use serde_json::{Value, json};

use crate::cell::rounded;
use crate::ratio::spread;

/// How long rows may take to reach the tables.
const ROWS: Duration = Duration::from_secs(60);

const QUERY: &str = "SELECT JSONExtractString(any(e.parameters), 'name') AS name, \
    toUnixTimestamp64Milli(any(m.event_at)) AS event, \
    toUnixTimestamp64Milli(any(e.requested_at)) AS matched, \
    toUnixTimestamp64Milli(minIf(e.changed_at, e.status = 'scheduled')) AS owned, \
    toUnixTimestamp64Milli(assumeNotNull(min(e.started_at))) AS claimed \
    FROM executions AS e INNER JOIN rule_matches AS m ON m.execution_id = e.execution_id \
    WHERE e.rule = 'latency.full' \
    GROUP BY e.execution_id HAVING countIf(e.started_at IS NOT NULL) > 0 AND countIf(e.status = 'scheduled') > 0";

/// The ways from one instant to the next.
const NAMES: [&str; 4] = ["event to match", "match to owner", "owner to claim", "claim to start"];

/// Medians of the ways, in milliseconds. `sql` answers a query with one JSON object a line; `arrived`
/// has the instant at which each action was heard of.
pub(crate) fn measure(sql: impl Fn(&str) -> Result<String>, arrived: &HashMap<String, i64>) -> Result<Value> {
    let rows = || -> Result<Vec<[i64; 4]>> {
        let text = sql(QUERY)?;
        let rows = text.lines().filter_map(|line| ways(&serde_json::from_str(line).ok()?, arrived));
        Ok(rows.collect())
    };
    // The sink writes in batches: the last rows come a moment later.
    let found = poll_until(ROWS, || rows().ok().filter(|rows| rows.len() >= arrived.len()));
    let found = found.map_or_else(rows, Ok).context("the audit trail does not answer")?;
    let mut medians = serde_json::Map::new();
    for (at, name) in NAMES.iter().enumerate() {
        let values: Vec<f64> = found.iter().map(|ways| ways[at] as f64).collect();
        let median = spread(&values).map(|(_, median, _)| rounded(median));
        println!("    {name:<15} {} ms (median)", median.map_or_else(|| "-".to_owned(), |ms| format!("{ms:>6.1}")));
        medians.insert((*name).to_owned(), json!(median));
    }
    Ok(Value::Object(medians))
}

/// The ways of one row; none if its action was not among the measured ones.
fn ways(row: &Value, arrived: &HashMap<String, i64>) -> Option<[i64; 4]> {
    let started = *arrived.get(row["name"].as_str()?)?;
    // 64-bit numbers may come as text.
    let instant = |name: &str| row[name].as_i64().or_else(|| row[name].as_str()?.parse().ok());
    let [event, matched, owned, claimed] =
        [instant("event")?, instant("matched")?, instant("owned")?, instant("claimed")?];
    Some([matched - event, owned - matched, claimed - owned, started - claimed])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_lie_between_instants() {
        let arrived = HashMap::from([("one".to_owned(), 140)]);
        let row = json!({"name": "one", "event": "100", "matched": 110, "owned": "113", "claimed": 120});
        assert_eq!(ways(&row, &arrived), Some([10, 3, 7, 20]));
        assert_eq!(ways(&json!({"name": "warm-up"}), &arrived), None);
        let sql = |_: &str| Ok(format!("{row}\n"));
        assert_eq!(measure(sql, &arrived).unwrap()["claim to start"], json!(20.0));
    }
}
