//! The binary `petrel`.

use std::process::ExitCode;

/// The system's allocator keeps half as much again as is in use, when many threads free what others have allocated
/// (ADR 0017).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    petrel_server::main()
}
