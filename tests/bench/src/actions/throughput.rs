//! Executions of `true` from their events to their ends, with the audit trail on.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use petrel_testkit::petrel_binary;

use super::table::Table;
use crate::executions::server::{Action, Server};
use crate::executions::{SUCCEEDED, feed};

/// So many times as fast as the release it is held against.
const TIMES_MIN: f64 = 4.0;
/// How often each of two releases is measured, in turns: a machine has slow moments, and they fall on both.
const ROUNDS: usize = 3;
/// Executions before anything is measured, of `count`.
const WARM_UP_PART: u64 = 10;

pub(crate) fn measure(count: u64, against: Option<&Path>, table: &mut Table) -> Result<()> {
    let (mut others, mut own) = (Vec::new(), Vec::new());
    let rounds = if against.is_some() { ROUNDS } else { 1 };
    for _ in 0..rounds {
        others.extend(against.map(|program| rate(program, count)).transpose()?);
        own.push(rate(&petrel_binary()?, count)?);
    }
    let (other, own) = (against.map(|_| median(others)), median(own));
    if let Some(other) = other {
        table.number("executions of true, the other release", other, "/s", None);
    }
    let held = other.map(|other| {
        let times = own / other;
        (format!("{times:.1} x the other release (at least {TIMES_MIN})"), times >= TIMES_MIN)
    });
    table.number("executions of true", own, "/s", held);
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(program: &Path, count: u64) -> Result<f64> {
    let mut server = Server::start_of(program, Action::True, None)?;
    let warm_up = count.div_ceil(WARM_UP_PART);
    feed::send(server.http(), "warm-up", warm_up)?;
    feed::until_metric(&server, "warm-up", SUCCEEDED, warm_up)?;
    let began = Instant::now();
    feed::send(server.http(), "measured", count)?;
    feed::until_metric(&server, "executions", SUCCEEDED, warm_up + count)?;
    let took = began.elapsed();
    server.stop()?;
    Ok(count as f64 / took.as_secs_f64())
}
