//! Many seeds, and that each is the same run every time.
#![allow(clippy::print_stdout, reason = "a test tells what it has met")]

use std::sync::atomic::{AtomicU64, Ordering};

use petrel_sim_tests::checks::workflows::Seen;
use petrel_sim_tests::fault::{Coverage, FaultKind, PLACES, Place};
use petrel_sim_tests::{Options, Report, run};

/// Seeds of the gate; `cargo xtask sim` runs more.
const SEEDS: u64 = 1_000;
/// Each on a thread of its own.
const THREADS: usize = 2;

/// Runs seeds from 0 on, on several threads, and hands each report to `each`.
fn run_all(seeds: u64, options: &Options, each: impl Fn(&Report) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    each(&run(seed, options));
                }
            });
        }
    });
}

#[test]
fn nothing_is_lost_doubled_or_stranded() {
    let found = std::sync::Mutex::new((Coverage::default(), Vec::new(), 0, 0, 0, Seen::default()));
    run_all(SEEDS, &Options::default(), |report| {
        let mut found = found.lock().unwrap();
        found.0.add(&report.coverage);
        found.2 += report.gate_waits;
        found.3 += report.switch_waits;
        found.4 += report.switch_declines;
        found.5.add(&report.workflows);
        if let Some(first) = report.violations.first() {
            let replay = format!("cargo xtask sim --seeds 1 --from {} --verbose", report.seed);
            found.1.push(format!("seed {}: {first}\n  replay: {replay}", report.seed));
        }
    });
    let (coverage, failures, gate_waits, switch_waits, switch_declines, workflows) = found.into_inner().unwrap();
    println!("{coverage}\n{workflows:?}");
    assert!(
        failures.is_empty(),
        "{} seeds fail, the first of them:\n{}",
        failures.len(),
        failures[..failures.len().min(5)].join("\n")
    );
    for kind in Options::default().faults {
        for place in PLACES
            .into_iter()
            .filter(|p| *p == Place::At(petrel_bus::DriverPoint::BeforeCommit) || !kind.is_of_commit())
        {
            assert!(coverage.at(kind, place) >= 5, "{kind:?} at {place} was met {} times", coverage.at(kind, place));
        }
    }
    assert!(coverage.of(FaultKind::Kill) > SEEDS / 2);
    assert!(switch_waits as u64 > SEEDS / 10, "somebody waited for a switch {switch_waits} times");
    assert!(switch_declines as u64 > SEEDS / 10, "a worker met a switch {switch_declines} times");
    // Many runs have workflows, and some of those rest, are canceled, or have children that faults end.
    let least = |found: usize, share: u64| assert!(found as u64 > SEEDS / share, "{found} are too few: {workflows:?}");
    least(workflows.succeeded, 4);
    least(workflows.failed, 10);
    least(workflows.canceled, 50);
    least(workflows.paused, 50);
    least(workflows.ended_by_faults, 250);
    // People are asked, decide and let run again.
    least(workflows.answered, 20);
    least(workflows.unanswered, 200);
    least(workflows.decided, 20);
    least(workflows.reran, 50);
    least(workflows.in_vain, 100);
    // Gates keep somebody waiting in every run, by and large.
    assert!(gate_waits as u64 > SEEDS, "somebody waited at a gate {gate_waits} times");
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    let options = Options { keeps_lines: true, ..Options::default() };
    for seed in [0, 1, 7, 99, 12_345] {
        let first = run(seed, &options);
        // Another thread has other hash keys and other memory.
        let second = std::thread::spawn(move || run(seed, &Options { keeps_lines: true, ..Options::default() }));
        let second = second.join().unwrap();
        assert_eq!(first.lines, second.lines, "seed {seed}");
        assert_eq!((first.hash, first.took_ms), (second.hash, second.took_ms), "seed {seed}");
    }
    assert_ne!(run(1, &options).hash, run(2, &options).hash);
}
