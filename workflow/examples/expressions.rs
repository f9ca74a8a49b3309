//! Runs files of vectors of expressions (JSON lines) and says which cases fail: `expressions FILE…`.

#![expect(clippy::print_stdout, reason = "it is a command")]

#[path = "../tests/vectors/mod.rs"]
mod vectors;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut failed = 0;
    for path in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) => {
                println!("{path}: {e}");
                return ExitCode::FAILURE;
            }
        };
        let (mut passed, mut skipped) = (0, 0);
        for line in text.lines() {
            let Ok(case) = serde_json::from_str::<serde_json::Value>(line) else {
                println!("{path}: a line is no JSON: {line}");
                return ExitCode::FAILURE;
            };
            match vectors::check(&case) {
                Ok(()) => passed += 1,
                Err(_) if vectors::evaluates_twice(&case) => skipped += 1,
                Err(why) => {
                    failed += 1;
                    println!("{}: {why}", case["name"]);
                }
            }
        }
        println!("{path}: {passed} passed, {skipped} skipped because a result would have to be evaluated again");
    }
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
