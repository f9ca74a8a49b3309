//! Two releases side by side under load: forward, back, forward again, and the upgrade finished. Nothing is lost,
//! doubled or dead-lettered, and nobody meets a record that it cannot read before that.
//!
//! The newer release is the same program that was told to be it (`PETREL_TEST_NEXT_RELEASE`): each of its records
//! has one version more, which the older one, this test among it, does not know.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]
// How far it is belongs into the output of a test that fails.
#![allow(clippy::print_stderr)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use petrel_e2e_tests::{
    Cli, Cluster, Feed, Member, Size, committed_values, create_topic, topics_of, write_pack, write_reporting_pack,
};
use petrel_schemas::{DecodeError, kind_of};
use petrel_testkit::{HttpSink, kafka_or_skip, poll_until, shared_kafka, wait_until};

/// Makes a process one of the next release.
const NEXT: &str = "PETREL_TEST_NEXT_RELEASE";
/// How long a process may take to end, or actions to go on.
const PATIENCE: Duration = Duration::from_secs(90);
const SETTLE: Duration = Duration::from_secs(300);
/// The process that is forgotten when the upgrade is finished.
const OVERLOOKED: &str = "rules-2";
/// Events at a time, of which a tenth causes an action.
const CHUNK: u64 = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    This,
    Next,
}

#[test]
fn a_release_can_be_taken_back_until_the_upgrade_is_finished() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(kafka) = shared_kafka() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let topic = format!("upgrade-{}", std::process::id());
    create_topic(kafka, &topic, 4, &[])?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let source = format!("{{ kafka: {{ topic: {topic}, format: json, start: earliest }} }}");
    let orders = write_reporting_pack(dir.path(), &source, &sink.url())?;
    let beat = write_beat(dir.path())?;
    let mut cluster = Cluster::start_with(
        dir.path(),
        kafka,
        &format!("upgrade{}.", std::process::id()),
        Size { ingest: 1, ..Size::default() },
    )?;
    let cli = cluster.cli().clone();
    cli.run(&["pack", "apply", &orders.display().to_string(), &beat.display().to_string()])?;

    let is_over = AtomicBool::new(false);
    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids.txt"))?;
    let written = std::thread::scope(|scope| {
        let load = scope.spawn(|| load(&mut feed, &sink, &is_over));
        let rolled = forward_back_and_finish(&mut cluster, kafka, &sink, &beat);
        is_over.store(true, Ordering::SeqCst);
        let written = load.join().expect("the load ends");
        rolled.and(written)
    });
    // A panic shows what every process said at the end.
    let written = written.unwrap_or_else(|error| panic!("{error:#}"));
    // Without the timer's pack there is an end.
    cli.run(&["pack", "apply", &orders.display().to_string(), "--prune"])?;
    settle(&cli, &sink, written)?;
    for member in cluster.petrels() {
        member.check_running()?;
    }
    Ok(())
}

/// Writes events as fast as their actions run, until told to stop; how many.
fn load(feed: &mut Feed, sink: &HttpSink, is_over: &AtomicBool) -> Result<u64> {
    while !is_over.load(Ordering::SeqCst) {
        let before = sink.count();
        feed.write(CHUNK)?;
        let ran = || (sink.count() >= before + CHUNK as usize / 10 || is_over.load(Ordering::SeqCst)).then_some(());
        let _ = poll_until(Duration::from_secs(1), ran);
    }
    Ok(feed.written())
}

fn forward_back_and_finish(cluster: &mut Cluster, kafka: &str, sink: &HttpSink, beat: &Path) -> Result<()> {
    let cli = cluster.cli().clone();
    ensure!(sink.wait_for(10, PATIENCE), "the first actions ran");
    roll(cluster, sink, Release::Next, None)?;
    // What the newer release writes at somebody's wish, the older one will have to read, too.
    cli.run(&["pause"])?;
    cli.run(&["resume"])?;
    std::fs::write(beat.join("README.md"), "Applied by the next release\n")?;
    cli.run(&["pack", "apply", &beat.display().to_string()])?;
    expect_readable(cluster, kafka)?;

    roll(cluster, sink, Release::This, None)?;
    expect_readable(cluster, kafka)?;
    let status = cli.json(&["upgrade", "status"])?;
    ensure!(status["format"] == 1 && status["finished"] == true, "this release has nothing to finish: {status}");

    roll(cluster, sink, Release::Next, Some(OVERLOOKED))?;
    expect_readable(cluster, kafka)?;
    // One of the older release stands still, is not seen, and is still there afterwards.
    member(cluster, OVERLOOKED).process().pause()?;
    wait_until("nobody of the older release is seen", PATIENCE, || {
        cli.json(&["upgrade", "status"]).is_ok_and(|status| status["too_old"].as_array().is_some_and(Vec::is_empty))
    });
    let status = cli.json(&["upgrade", "status"])?;
    ensure!(status["format"] == 1 && status["finished"] == false, "{status}");
    let finished = cli.json(&["upgrade", "finish"])?;
    ensure!(finished["format"] == 2 && finished["changed"] == true, "{finished}");
    ensure!(cli.json(&["upgrade", "finish"])?["changed"] == false, "it is finished once");
    goes_on(sink, "after the upgrade was finished")?;
    // Some are written every few seconds only.
    let names = ["requests", "results", "executions", "audit", "tasks.default", "triggers", "processes", "positions"];
    let all = || {
        let newer = newer_topics(cluster, kafka).ok()?;
        names.iter().all(|name| newer.contains(&cluster.topic(name))).then_some(())
    };
    if poll_until(PATIENCE, all).is_none() {
        bail!("not everything is written in the new format: {:?}", newer_topics(cluster, kafka)?);
    }
    let overlooked = member(cluster, OVERLOOKED);
    overlooked.process().resume()?;
    ends_and_says_why(overlooked)?;
    let worker = member(cluster, "worker-1");
    worker.end(PATIENCE)?;
    worker.set_environment(NEXT, None);
    worker.start()?;
    ends_and_says_why(worker)?;
    goes_on(sink, "at the end")
}

/// Ends one process after the other in order and starts it as one of that release, but for one that is overlooked.
/// The API comes first, so that the newer release is asked to finish while the older one runs.
fn roll(cluster: &mut Cluster, sink: &HttpSink, release: Release, overlooked: Option<&str>) -> Result<()> {
    let (cli, began) = (cluster.cli().clone(), Instant::now());
    let count = cluster.petrels().len();
    for n in 0..count {
        let member = &mut cluster.petrels()[n];
        if overlooked == Some(member.name()) {
            continue;
        }
        member.set_environment(NEXT, (release == Release::Next).then_some("1"));
        member.end(PATIENCE)?;
        member.start()?;
        let name = member.name().to_owned();
        if n == 0 {
            ensure!(cli.wait_ready(PATIENCE), "the API came back");
        }
        if n == 0 && release == Release::Next {
            finish_is_refused(&cli)?;
        }
        goes_on(sink, &format!("{name} of {release:?}"))?;
    }
    eprintln!("{count} processes became {release:?} in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn finish_is_refused(cli: &Cli) -> Result<()> {
    let refused = cli.output(&["upgrade", "finish"])?;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(4), "{}: {why}", refused.status);
    ensure!(why.contains("processes of an older release run") && why.contains("worker-1"), "{why}");
    let status = cli.json(&["upgrade", "status"])?;
    let too_old = status["too_old"].as_array().map_or(0, Vec::len);
    ensure!(status["format"] == 1 && too_old >= 8, "{status}");
    Ok(())
}

/// Actions still run.
fn goes_on(sink: &HttpSink, after: &str) -> Result<()> {
    let wanted = sink.count() + 5;
    ensure!(sink.wait_for(wanted, PATIENCE), "nothing runs any more: {after}");
    Ok(())
}

/// Topics that hold a record that this release cannot read.
fn newer_topics(cluster: &Cluster, kafka: &str) -> Result<BTreeSet<String>> {
    let mut newer = BTreeSet::new();
    for topic in topics_of(kafka, cluster.prefix())? {
        let values = committed_values(kafka, &topic)?;
        let is_newer = |value: &Vec<u8>| matches!(kind_of(value), Err(DecodeError::UnknownSchema { .. }));
        if values.iter().any(is_newer) {
            newer.insert(topic);
        }
    }
    Ok(newer)
}

fn expect_readable(cluster: &Cluster, kafka: &str) -> Result<()> {
    let newer = newer_topics(cluster, kafka)?;
    ensure!(newer.is_empty(), "written in a format that is not in force: {newer:?}");
    Ok(())
}

fn member<'c>(cluster: &'c mut Cluster, name: &str) -> &'c mut Member {
    let found = cluster.petrels().into_iter().find(|member| member.name() == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// A process of the older release ends by itself, says what to do, and is started as one of the newer.
fn ends_and_says_why(member: &mut Member) -> Result<()> {
    let status = member.process().wait(PATIENCE)?;
    let said = member.log_tail();
    ensure!(!status.success(), "it ended with {status}\n{said}");
    ensure!(said.contains("there is no way back: start that release, or a newer one"), "{said}");
    member.set_environment(NEXT, Some("1"));
    member.start()
}

/// What must hold at the end, once everything is over.
fn settle(cli: &Cli, sink: &HttpSink, written: u64) -> Result<()> {
    let expected = (0..written).filter(|n| n % 10 == 0).count() as u64;
    let of_orders = "SELECT count() FROM executions_latest WHERE rule = 'crash.every_tenth' AND status = 'succeeded'";
    wait_until("every order's execution is finished in SQL", SETTLE, || {
        cli.number(of_orders).is_ok_and(|n| n >= expected)
    });
    cli.reconciles()?;
    ensure!(cli.number(of_orders)? == expected, "one execution for each expected event");
    ensure!(cli.number("SELECT count() FROM dead_letters")? == 0, "{:?}", cli.sql("SELECT * FROM dead_letters")?);
    ensure!(cli.number("SELECT count() FROM executions_latest WHERE status != 'succeeded'")? == 0, "all succeeded");
    let reported = sink.ids();
    let distinct: BTreeSet<String> = reported.iter().cloned().collect();
    ensure!(reported.len() == distinct.len(), "{} runs of {} executions", reported.len(), distinct.len());
    let finished: BTreeSet<String> = cli
        .sql("SELECT execution_id FROM executions_latest")?
        .iter()
        .filter_map(|row| row["execution_id"].as_str().map(str::to_owned))
        .collect();
    ensure!(finished == distinct, "{} executions in SQL, {} ran", finished.len(), distinct.len());
    let beats = cli.number("SELECT count() FROM executions_latest WHERE rule = 'beat.every'")?;
    ensure!(beats > 20, "only {beats} instants of the timer ran");
    eprintln!("{expected} orders and {beats} instants of a timer, each once");
    Ok(())
}

/// A timer whose every instant causes an action.
fn write_beat(dir: &Path) -> Result<std::path::PathBuf> {
    write_pack(
        dir,
        "beat",
        &[
            ("pack.yaml", "name: beat\nversion: 1.0.0\ndescription: An action each second\n"),
            ("triggers/second.yaml", "name: second\nsource: { interval: { every: 1s } }\n"),
            (
                "rules/every.yaml",
                "name: every\ntrigger: beat.second\naction:\n  ref: crash.report\n  parameters: { id: \"beat\", takes_ms: 0 }\n",
            ),
        ],
    )
}
