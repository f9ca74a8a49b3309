//! The binary `petrel`.

use std::process::ExitCode;

fn main() -> ExitCode {
    petrel_server::main()
}
