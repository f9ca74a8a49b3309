//! Files that the command line names, of which one may be standard input.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::{EXIT_USAGE, Failure};

const STANDARD_INPUT: &str = "-";

/// Reads a whole file; `-` is standard input.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file != Path::new(STANDARD_INPUT) {
        return fs::read(file);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a file is called in a message.
pub(super) fn name(file: &Path) -> String {
    if file == Path::new(STANDARD_INPUT) { "standard input".to_owned() } else { file.display().to_string() }
}

/// Refuses standard input for more than one of some options.
pub(super) fn standard_input_once(options: &[(&str, Option<&Path>)]) -> Result<(), Failure> {
    let reads = |file: Option<&Path>| file == Some(Path::new(STANDARD_INPUT));
    let twice: Vec<&str> = options.iter().filter(|(_, file)| reads(*file)).map(|(option, _)| *option).collect();
    match &twice[..] {
        [one, .., other] => {
            Err(Failure::new(EXIT_USAGE, format!("{one} and {other} cannot both be - (standard input)")))
        }
        _ => Ok(()),
    }
}
