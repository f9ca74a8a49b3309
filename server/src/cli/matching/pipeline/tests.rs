//! Order, counts and ends, with blocks far smaller than usual.

use std::io::ErrorKind;

use super::*;

const RULES: [(&str, &str); 5] = [
    ("seven", "trigger.n % 7 == 0"),
    ("all", "true"),
    ("divide", "10 / (trigger.n % 3) > 0"),
    ("none", "trigger.absent == 1"),
    ("quo\"ted", "trigger.n == 3"),
];

fn events(count: u64) -> String {
    let line = |n: u64| match n % 50 {
        11 => "{\"n\":".to_owned(),
        12 => String::new(),
        13 => format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(300)),
        14 => "  \r".to_owned(),
        _ => format!("{{\"n\":{n}}}"),
    };
    (1..=count).map(|n| line(n) + "\n").collect()
}

fn run_with(text: &str, workers: usize, read_bytes: usize, counts: bool) -> (Totals, String) {
    let plan = Plan { workers, read_bytes, line_bytes_max: 200, counts };
    let mut out = Vec::new();
    let totals = run(&Subject::of_list(&RULES), text.as_bytes(), &plan, &mut out, &|_| {}).unwrap();
    (totals, String::from_utf8(out).unwrap())
}

/// What must be written, from the arithmetic of the rules.
fn expected(count: u64) -> String {
    let mut out = String::new();
    for n in (1..=count).filter(|n| !(11..=14).contains(&(n % 50))) {
        let matching = [n % 7 == 0, true, n % 3 != 0, false, n == 3];
        for ((name, _), _) in RULES.iter().zip(matching).filter(|(_, matches)| *matches) {
            out += &format!("{}\n", json!({ "line": n, "rule": name }));
        }
    }
    out
}

#[test]
fn the_output_is_in_order_whatever_the_blocks_and_threads_are() {
    let text = events(2_000);
    let (first, _) = run_with(&text, 1, 1 << 20, true);
    for (workers, read_bytes) in [(1, 1 << 20), (1, 17), (2, 100), (8, 13), (8, 64), (3, 4096)] {
        let (totals, out) = run_with(&text, workers, read_bytes, false);
        assert!(out == expected(2_000), "{workers} workers by {read_bytes} bytes");
        assert_eq!(totals, first, "{workers} workers by {read_bytes} bytes");
    }
}

#[test]
fn everything_is_counted() {
    let text = events(2_000);
    let (totals, out) = run_with(&text, 4, 64, true);
    assert_eq!(out, "");
    assert_eq!(totals.bytes, text.len() as u64);
    let tally = &totals.tally;
    assert_eq!((tally.events, tally.malformed, tally.too_large, tally.refused), (1_920, 40, 40, 0));
    let seen = |by: u64| (1..=2_000).filter(|n| !(11..=14).contains(&(n % 50)) && n % by == 0).count() as u64;
    assert_eq!(tally.matches, [seen(7), seen(1), seen(1) - seen(3), 0, 1]);
    assert_eq!(tally.errors, [0, 0, seen(3), 0, 0], "a missing field is no error");
    let lines: Vec<u64> = totals.bad.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [11, 13, 61, 63, 111, 113, 161, 163, 211, 213], "the first ones, in order");
    assert!(totals.bad[0].what.starts_with("no JSON: "), "{:?}", totals.bad[0]);
    assert_eq!(totals.bad[1].what, "more than 200 bytes");
}

#[test]
fn an_output_that_nobody_reads_ends_the_run() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let endless = io::repeat(b'\n').chain(io::empty());
    let input = "{\"n\":1}\n".as_bytes().chain(endless);
    let plan = Plan { workers: 2, read_bytes: 64, line_bytes_max: 200, counts: false };
    let ended = run(&Subject::of_list(&RULES), input, &plan, &mut Closed, &|_| {});
    assert!(matches!(ended, Err(RunError::Write(e)) if e.kind() == ErrorKind::BrokenPipe));
}

#[test]
fn an_input_that_breaks_off_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::ConnectionReset.into())
        }
    }
    let plan = Plan { workers: 2, read_bytes: 64, line_bytes_max: 200, counts: false };
    let mut out = Vec::new();
    let input = "{\"n\":1}\n".as_bytes().chain(Broken);
    let ended = run(&Subject::of_list(&RULES), input, &plan, &mut out, &|_| {});
    assert!(matches!(ended, Err(RunError::Read(_))));
    let seen = String::from_utf8(out).unwrap();
    assert!(seen.starts_with("{\"line\":1,\"rule\":\"all\"}\n"), "what was read before is written: {seen}");
}

#[test]
fn many_matches_of_one_block_go_through_in_pieces() {
    let text = "{\"n\":1}\n".repeat(30_000);
    let plan = Plan { workers: 2, read_bytes: 1 << 20, line_bytes_max: 200, counts: false };
    let mut out = Vec::new();
    let totals = run(&Subject::of_list(&RULES), text.as_bytes(), &plan, &mut out, &|_| {}).unwrap();
    assert_eq!(memchr::memchr_iter(b'\n', &out).count() as u64, totals.tally.matches.iter().sum::<u64>());
    let lines = String::from_utf8(out).unwrap();
    assert!(lines.ends_with("{\"line\":30000,\"rule\":\"all\"}\n{\"line\":30000,\"rule\":\"divide\"}\n"));
}
