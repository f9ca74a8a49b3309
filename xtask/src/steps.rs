//! A run in steps, with a summary at its end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What became of each step.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: String,
    took: Duration,
    error: Option<String>,
}

impl Steps {
    /// Runs a step; `Some` of its value if it succeeded. A failure is shown at once, and the run may
    /// go on: [`Steps::finish`] will fail.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("\n==> {name}");
        let started = Instant::now();
        let outcome = step();
        let took = started.elapsed();
        let (value, error) = match outcome {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        if let Some(error) = &error {
            eprintln!("error: {error}");
        }
        self.done.push(Step { name: name.to_owned(), took, error });
        value
    }

    /// Prints the summary; an error if a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n{}", self.summary());
        let failed: Vec<&str> =
            self.done.iter().filter(|step| step.error.is_some()).map(|step| step.name.as_str()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let width = self.done.iter().map(|step| step.name.len()).max().unwrap_or(0);
        let lines = self.done.iter().map(|step| {
            let outcome = if step.error.is_none() { "ok" } else { "FAILED" };
            format!("{:width$}  {:>7.1} s  {outcome}", step.name, step.took.as_secs_f64())
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn one_failure_fails_the_run_but_not_the_steps_after_it() {
        let mut steps = Steps::default();
        assert_eq!(steps.run("first", || Ok(1)), Some(1));
        assert_eq!(steps.run("second", || Err::<(), _>(anyhow!("broken"))), None);
        assert_eq!(steps.run("third", || Ok(3)), Some(3));
        let summary = steps.summary();
        let outcomes: Vec<&str> = summary.lines().filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(outcomes, ["ok", "FAILED", "ok"]);
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: second");
    }

    #[test]
    fn a_run_without_failures_succeeds() {
        let mut steps = Steps::default();
        steps.run("only", || Ok(()));
        steps.finish().unwrap();
    }
}
