//! Fuzz targets: whatever bytes come, the parser's boundary, the extractor and the matcher answer, and
//! answer alike.
//!
//! A target is a function of bytes in `targets`. libFuzzer needs a nightly compiler, so these are driven on
//! the stable one by `driver`: it plays the seeds in `corpus/` and then mutates them (`mutate`), keeping
//! inputs that make a target answer in a new way. In the gate that is a few thousand inputs;
//! `cargo xtask fuzz --seconds 60` goes on for a minute per target (`PETREL_FUZZ_SECONDS`). A run is repeated by
//! its seed (`PETREL_FUZZ_SEED`). What fails belongs into the corpus, as a line of its own.

mod driver;
mod mutate;
#[path = "../properties/rng.rs"]
mod rng;
mod targets;

use driver::{Target, drive};

#[test]
fn compile() {
    drive(&Target {
        name: "compile",
        seeds: include_str!("corpus/compile.txt"),
        words: mutate::CEL_WORDS,
        run: targets::compile,
    });
}

#[test]
fn extract() {
    drive(&Target {
        name: "extract",
        seeds: include_str!("corpus/extract.txt"),
        words: mutate::JSON_WORDS,
        run: targets::extract,
    });
}

#[test]
fn matching() {
    drive(&Target {
        name: "matching",
        seeds: include_str!("corpus/matching.txt"),
        words: mutate::CEL_WORDS,
        run: targets::matching,
    });
}
