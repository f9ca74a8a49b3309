//! What the system can give a process: what is over that is refused before anything is started, by the limit's name.

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

use crate::supervise::{JOB_BYTES_MAX, Job, STDIN_BYTES_MAX};

/// Pages of the longest single argument or variable (`MAX_ARG_STRLEN` of Linux), NUL included.
const STRING_PAGES_MAX: usize = 32;
/// What arguments and environment may have together of the limit of the stack: a quarter of it, and not more than three of
/// the four MiB pieces of its default, whatever it is.
const STACK_PARTS: usize = 4;
const TOTAL_BYTES_MAX: usize = 6 << 20;
/// What they may always have.
const TOTAL_BYTES_MIN: usize = 128 << 10;
/// Kept for the program's path, and for what a line `#!` of it puts before the arguments.
const RESERVED_BYTES: usize = 8 << 10;
/// Most bytes that one byte of a text takes in JSON.
const JSON_BYTES_OF_ONE: usize = 6;

/// Most bytes of a process's arguments and variables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    string_bytes_max: usize,
    total_bytes_max: usize,
}

impl Sizes {
    pub(super) fn of_this_system() -> Self {
        let page_bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        let page_bytes = page_bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(4096);
        let stack = getrlimit(Resource::RLIMIT_STACK).map_or(u64::MAX, |(soft, _)| soft);
        Self::of(page_bytes, usize::try_from(stack).unwrap_or(usize::MAX))
    }

    fn of(page_bytes: usize, stack_bytes: usize) -> Self {
        let total_bytes_max = (stack_bytes / STACK_PARTS).clamp(TOTAL_BYTES_MIN, TOTAL_BYTES_MAX);
        Self { string_bytes_max: page_bytes * STRING_PAGES_MAX, total_bytes_max }
    }

    /// Which limit a job is over: a sentence with its name.
    pub(super) fn over(self, job: &Job) -> Option<String> {
        let most = self.string_bytes_max;
        if let Some((at, text)) = job.argv.iter().enumerate().find(|(_, text)| text.len() >= most) {
            return Some(format!(
                "argument {at} of the command has {} bytes and a NUL, more than MAX_ARG_STRLEN of this system, which is \
                 {most} bytes; give it by \"stdin\"",
                text.len()
            ));
        }
        let bytes_of = |(name, value): (&String, &String)| name.len() + value.len() + 1;
        if let Some((name, bytes)) =
            job.environment.iter().map(|one| (one.0, bytes_of(one))).find(|(_, bytes)| *bytes >= most)
        {
            return Some(format!(
                "variable {name} has {bytes} bytes and a NUL, more than MAX_ARG_STRLEN of this system, which is {most} \
                 bytes; give it by \"stdin\""
            ));
        }
        let strings = job.argv.iter().map(String::len).chain(job.environment.iter().map(bytes_of));
        let (count, bytes) = strings.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        // Each has a NUL, and a pointer to it.
        let total = bytes + count * (1 + size_of::<usize>());
        let most = self.total_bytes_max.saturating_sub(RESERVED_BYTES);
        if total > most {
            return Some(format!(
                "arguments and environment take {total} bytes, more than ARG_MAX of this system leaves them, which is \
                 {most} bytes by its limit of the stack; give them by \"stdin\""
            ));
        }
        if job.stdin_bytes > STDIN_BYTES_MAX {
            return Some(format!(
                "standard input has {} bytes, more than STDIN_BYTES_MAX, which is {STDIN_BYTES_MAX} bytes",
                job.stdin_bytes
            ));
        }
        // Characters of control take several bytes on the way to the guard.
        let is_large = bytes * JSON_BYTES_OF_ONE + (64 << 10) > JOB_BYTES_MAX;
        let job_bytes = if is_large { serde_json::to_vec(job).map_or(usize::MAX, |text| text.len()) } else { 0 };
        (job_bytes >= JOB_BYTES_MAX).then(|| {
            format!(
                "arguments and environment take {job_bytes} bytes on the way to the process, more than JOB_BYTES_MAX, which \
                 is {JOB_BYTES_MAX} bytes; give them by \"stdin\""
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use petrel_execution::runner::{Limits, May};

    use super::*;
    use crate::supervise::Confinement;

    fn job(argv: Vec<String>, environment: &[(&str, String)]) -> Job {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Job {
            argv,
            environment: environment.collect::<BTreeMap<_, _>>(),
            directory: "/".into(),
            stdin_bytes: 0,
            streams: Vec::new(),
            telling: crate::supervise::Telling::default(),
            timeout_ms: 1,
            lease_deadline_ms: 1,
            kill_grace_ms: 1,
            user: None,
            limits: Limits::default(),
            may: May::default(),
            container: None,
            confinement: Confinement::default(),
        }
    }

    #[test]
    fn the_sum_follows_the_limit_of_the_stack() {
        for (stack_bytes, expected) in [(8 << 20, 2 << 20), (1 << 20, 256 << 10), (0, 128 << 10), (usize::MAX, 6 << 20)]
        {
            assert_eq!(Sizes::of(4096, stack_bytes).total_bytes_max, expected);
        }
    }

    #[test]
    fn what_is_over_a_limit_is_told_by_its_name() {
        let sizes = Sizes::of(4096, 8 << 20);
        let over = |job: &Job| sizes.over(job).unwrap_or_default();
        let long = |bytes: usize| "x".repeat(bytes);
        assert_eq!(over(&job(vec!["a".to_owned(), long(131_071)], &[("B", long(131_069))])), "");
        let told = over(&job(vec!["a".to_owned(), long(131_072)], &[]));
        assert!(
            told.starts_with("argument 1 of the command has 131072 bytes and a NUL, more than MAX_ARG_STRLEN"),
            "{told}"
        );
        let told = over(&job(vec!["a".to_owned()], &[("B", long(131_070))]));
        assert!(told.starts_with("variable B has 131072 bytes and a NUL, more than MAX_ARG_STRLEN"), "{told}");
        let told = over(&job(vec![long(130_000); 17], &[]));
        assert!(told.contains("take 2210153 bytes, more than ARG_MAX"), "{told}");
        let mut large = job(vec!["a".to_owned()], &[]);
        large.stdin_bytes = STDIN_BYTES_MAX + 1;
        assert!(over(&large).contains("more than STDIN_BYTES_MAX"));
    }

    #[test]
    fn characters_of_control_fit_on_the_way_or_are_refused() {
        let sizes = Sizes::of(4096, usize::MAX);
        let told = sizes.over(&job(vec!["\u{1}".repeat(130_000); 12], &[])).unwrap();
        assert!(told.contains("more than JOB_BYTES_MAX"), "{told}");
        assert_eq!(sizes.over(&job(vec!["\u{1}".repeat(130_000); 10], &[])), None);
        assert_eq!(sizes.over(&job(vec!["x".repeat(130_000); 40], &[])), None);
    }
}
