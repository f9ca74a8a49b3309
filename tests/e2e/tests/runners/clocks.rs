//! The time of day of processes jumps by an hour, either way, in the middle of long actions.
#![expect(clippy::disallowed_methods, reason = "what is checked is how long something lasts")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Cluster, Size};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until};
use serde_json::Value;

use super::held::{Held, TOLD};
use super::pack::Servers;
use super::{RUNNERS, SOON};

/// Longer than the tests' leases last.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(8);
/// How long `limited` and `due` may last.
const ALLOWED: Duration = Duration::from_secs(15);
/// What their ends may be late by: no hour.
const LATE: Duration = Duration::from_secs(15);
/// How much later than they are asked for they may begin to write: that long before the end of `due` belongs to its time, too.
const EARLY: Duration = Duration::from_secs(5);
const HOUR_MS: i64 = 3_600_000;

/// The clocks of the processes, by their names.
struct Clocks {
    dir: PathBuf,
    library: PathBuf,
}

impl Clocks {
    /// Builds the library that shifts the time of day.
    fn build(dir: &Path) -> Result<Self> {
        let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
        std::fs::write(&source, include_str!("clock.c"))?;
        let built = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
        let built = built.context("a C compiler, which librdkafka needs, too, builds the clock")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Ok(Self { dir: dir.to_owned(), library })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.clock"))
    }

    /// Variables of a process with a clock of that name, which is right.
    fn environment(&self, name: &str) -> Result<[(&'static str, String); 2]> {
        std::fs::write(self.file(name), 0_i64.to_ne_bytes())?;
        let (library, file) = (self.library.display().to_string(), self.file(name).display().to_string());
        Ok([("LD_PRELOAD", library), ("PETREL_TEST_CLOCK", file)])
    }

    /// That clock shows so much more than the true time from now on.
    fn set(&self, name: &str, ahead_ms: i64) -> Result<()> {
        // The file is in the process's memory: it must never be shorter.
        let mut file = std::fs::File::options().write(true).open(self.file(name))?;
        Ok(file.write_all(&ahead_ms.to_ne_bytes())?)
    }

    /// What a program that asks for the time of day is told, and what the time is, in seconds since the epoch.
    fn shown(&self, name: &str) -> Result<(i64, i64)> {
        let ask = |date: &mut Command| -> Result<i64> {
            Ok(String::from_utf8(date.arg("+%s").output()?.stdout)?.trim().parse()?)
        };
        let mut date = Command::new("date");
        date.env("LD_PRELOAD", &self.library).env("PETREL_TEST_CLOCK", self.file(name));
        Ok((ask(&mut date)?, ask(&mut Command::new("date"))?))
    }
}

/// Waits until every action that tells of itself has gone on for longer than a lease, all being the attempts that they were.
fn go_on(held: &Held, what: &str) -> Result<()> {
    let (logs, began) = (told(held), Instant::now());
    let mut lengths: Vec<usize> = logs.iter().map(|log| held.length(log)).collect();
    let goes_on = poll_until(SOON, || {
        if began.elapsed() < LONGER_THAN_A_LEASE {
            lengths = logs.iter().map(|log| held.length(log)).collect();
            return None;
        }
        logs.iter().zip(&lengths).all(|(log, length)| held.length(log) > *length).then_some(())
    });
    ensure!(goes_on.is_some(), "{what}: not all of {logs:?} go on");
    for log in held.ids().keys().filter(|log| !is_timed(log)) {
        let shown = held.get(log)?;
        let is_as_it_was = shown["status"] == "running" && shown["attempt"] == 1 && shown["lost_leases"] == 0;
        ensure!(is_as_it_was && (log.starts_with("kafka-") || held.begun(log) == [1]), "{what}: {log}: {shown}");
    }
    Ok(())
}

fn is_timed(log: &str) -> bool {
    ["limited-", "due-"].iter().any(|timed| log.starts_with(timed))
}

fn told(held: &Held) -> Vec<String> {
    let is_told = |log: &&String| TOLD.iter().any(|runner| log.starts_with(&format!("{runner}-")));
    held.ids().keys().filter(is_told).cloned().collect()
}

/// It ends as it would with clocks that are right: not before its time, and soon afterwards. It has written all that time.
fn ends_in_time(held: &Held, log: &str, code: &str) -> Result<()> {
    let ended = held.ended(log, "timeout")?;
    let lasted = held.lasted(log)?;
    ensure!(lasted >= ALLOWED - EARLY && lasted < ALLOWED + LATE, "{log} lasted {lasted:?}: {ended}");
    ensure!(ended["code"] == code, "{log}: {ended}");
    ensure!(held.begun(log) == [1], "{log}: {:?}", held.begun(log));
    Ok(())
}

#[test]
fn a_time_of_day_that_jumps_costs_no_lease_and_moves_no_time_out() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let (broker, dir) = (KafkaBroker::start()?, tempfile::tempdir()?);
    let (servers, clocks) = (Servers::start(dir.path())?, Clocks::build(dir.path())?);
    let prefix = format!("clocks{}.", std::process::id());
    let (mut names, mut prepared) = (Vec::new(), Ok(()));
    let size = Size { slots: 100, ..Size::default() };
    let mut cluster = Cluster::start_changed(dir.path(), &broker.bootstrap(), &prefix, size, |member| {
        servers.environment().iter().for_each(|(name, value)| member.set_environment(name, Some(value)));
        match clocks.environment(member.name()) {
            Ok(clock) => clock.iter().for_each(|(name, value)| member.set_environment(name, Some(value))),
            Err(error) => prepared = Err(error),
        }
        names.push(member.name().to_owned());
    })?;
    prepared?;
    let cli = Cli::new(cluster.cli().api().to_owned());
    let mut topic = servers.apply(dir.path(), &cli, &broker)?;
    topic.leader.kill9();
    let mut held = Held::new(&cli, dir.path(), &format!("clocks-{}", std::process::id()));
    // Twice, so that more than one worker is likely to have something of a runner.
    for runner in RUNNERS.iter().chain(&RUNNERS) {
        let log = held.ask(runner)?;
        held.runs(&log, 0)?;
    }
    let (limited, due) = (held.ask("limited")?, held.ask("due")?);
    held.runs(&limited, 0)?;
    held.runs(&due, 0)?;

    // Every other process is an hour ahead, and the rest an hour behind; then the other way round: two hours at once.
    let jump = |sign: i64| {
        let ahead = |n: usize| if n.is_multiple_of(2) { sign * HOUR_MS } else { -sign * HOUR_MS };
        names.iter().enumerate().try_for_each(|(n, name)| clocks.set(name, ahead(n)))
    };
    jump(1)?;
    let (shown, is) = clocks.shown(&names[0])?;
    ensure!((3_590..=3_610).contains(&(shown - is)), "the time of day is not shifted: {shown} at {is}");
    go_on(&held, "an hour")?;
    jump(-1)?;
    go_on(&held, "two hours the other way")?;
    ends_in_time(&held, &limited, "run_timeout")?;
    ends_in_time(&held, &due, "deadline")?;

    // Owners that come back with another time of day than those before them had.
    for name in ["executor-1", "executor-2"] {
        cluster.member(name)?.crash()?;
    }
    go_on(&held, "other owners")?;

    held.open()?;
    topic.leader.start_again()?;
    for log in held.ids().keys().filter(|log| !is_timed(log)) {
        let ended = held.ended(log, "succeeded")?;
        ensure!(ended["attempt"] == 1, "{log}: {ended}");
    }
    held.check()?;
    check_audit(&cli, &held)
}

/// Each execution has all its rows, and nothing is missing or doubled.
fn check_audit(cli: &Cli, held: &Held) -> Result<()> {
    let query = "SELECT execution_id, toString(status) AS status, attempt FROM executions_latest";
    let has_all = || {
        let text = cli.run(&["sql", query, "--format", "json"]).ok()?;
        let rows: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>().ok()?;
        let of = |log: &String, id: &String| {
            let status = if is_timed(log) { "timeout" } else { "succeeded" };
            rows.iter().any(|row| row["execution_id"] == id.as_str() && row["status"] == status && row["attempt"] == 1)
        };
        held.ids().iter().all(|(log, id)| of(log, id)).then_some(())
    };
    ensure!(poll_until(SOON, has_all).is_some(), "rows are missing: {:?}", cli.run(&["sql", query]));
    let reconciled = || {
        let rows = cli.run(&["sql", "--reconcile", "--grace", "0", "--format", "json"]).ok()?;
        rows.trim().is_empty().then_some(())
    };
    let left = || cli.run(&["sql", "--reconcile", "--grace", "0", "--format", "json"]);
    ensure!(poll_until(SOON, reconciled).is_some(), "it does not add up: {:?}", left());
    Ok(())
}
