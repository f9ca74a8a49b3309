//! A download by another program, with a spinner that shows what has arrived.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

const REFRESH: Duration = Duration::from_millis(200);
/// What an error shows of the program's output.
const TAIL_LINES: usize = 30;

/// Runs `command`, whose output goes to `log`, and shows `title`, the time and the bytes in `dir`
/// until it ends. An error shows the end of the log.
pub(crate) fn fetch(title: &str, command: &mut Command, log: &Path, dir: &Path) -> Result<()> {
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let started = Instant::now();
    let spinner = spinner(title);
    if spinner.is_hidden() {
        println!("fetching {title} …");
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for {program}"))? {
            break status;
        }
        spinner.set_message(HumanBytes(bytes_below(dir)).to_string());
        std::thread::sleep(REFRESH);
    };
    spinner.finish_and_clear();
    if !status.success() {
        bail!("{program} could not fetch {title} ({status}):\n{}", tail(log));
    }
    let bytes = HumanBytes(bytes_below(dir));
    println!("fetched {title}: {bytes} in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn spinner(title: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    // The template is a constant of this line; if it were wrong, the default would do.
    if let Ok(style) = ProgressStyle::with_template("{spinner:.green} fetching {prefix}: {msg} ({elapsed})") {
        spinner.set_style(style);
    }
    spinner.set_prefix(title.to_owned());
    spinner.enable_steady_tick(REFRESH);
    spinner
}

/// The size of all files below `dir`; what cannot be read counts as nothing.
fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size_of = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    entries.flatten().map(size_of).sum()
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in the system's temporary directory that is removed with its value.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let dir = std::env::temp_dir().join(format!("petrel-xtask-{name}-{}", std::process::id()));
            std::fs::create_dir_all(dir.join("below")).unwrap();
            Scratch(dir)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn bytes_are_counted_at_every_depth() {
        let scratch = Scratch::new("bytes");
        std::fs::write(scratch.0.join("a"), [0; 10]).unwrap();
        std::fs::write(scratch.0.join("below/b"), [0; 5]).unwrap();
        assert_eq!(bytes_below(&scratch.0), 15);
        assert_eq!(bytes_below(&scratch.0.join("gone")), 0);
    }

    #[test]
    fn a_failure_shows_what_the_program_said() {
        let scratch = Scratch::new("failure");
        let log = scratch.0.join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such version >&2; exit 7"]);
        let error = fetch("a thing", &mut command, &log, &scratch.0).unwrap_err().to_string();
        assert!(error.contains("sh could not fetch a thing") && error.contains("no such version"), "{error}");
        fetch("a thing", &mut Command::new("true"), &log, &scratch.0).unwrap();
    }
}
