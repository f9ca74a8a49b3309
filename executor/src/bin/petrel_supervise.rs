//! The supervisor as a program of its own, for the tests of this crate.

fn main() -> std::process::ExitCode {
    petrel_executor::supervise::main()
}
