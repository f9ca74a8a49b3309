//! What runners get beside a command: standard input, results on a stream of their own, limits, another user.

#[path = "support/actions.rs"]
mod actions;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use actions::{holding, supervisor};
use petrel_execution::runner::{Limits, May};
use petrel_executor::runner::{Ended, Failed, run_supervised};
use petrel_executor::supervise::{Confinement, Job, StreamSpec, Telling, User, Why, boot_ms};
use tokio::sync::watch;

fn job(text: &str, directory: &Path) -> Job {
    Job {
        argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        directory: directory.to_owned(),
        stdin_bytes: 0,
        streams: [1, 2, 3].map(|fd| StreamSpec { fd, bytes_max: 1 << 20 }).to_vec(),
        telling: Telling::default(),
        timeout_ms: 20_000,
        lease_deadline_ms: boot_ms() + 60_000,
        kill_grace_ms: 300,
        user: None,
        limits: Limits::default(),
        may: May::default(),
        container: None,
        confinement: Confinement::default(),
    }
}

async fn run(job: &Job, stdin: &[u8]) -> Ended {
    let (_director, held) = watch::channel(holding(60_000));
    run_supervised(&supervisor(), job, stdin, held, || {}).await.unwrap()
}

#[tokio::test]
async fn standard_input_and_a_stream_for_results() {
    let dir = tempfile::tempdir().unwrap();
    let stdin: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut job = job("wc -c; echo '{\"a\":1}' >&3; echo err >&2", dir.path());
    job.stdin_bytes = stdin.len();
    let ended = run(&job, &stdin).await;
    assert_eq!((ended.report.why, ended.report.return_code), (Why::Exited, Some(0)));
    assert_eq!(ended.captured[0].trim_ascii(), b"1200000");
    assert_eq!((&*ended.captured[1], &*ended.captured[2]), (&b"err\n"[..], &b"{\"a\":1}\n"[..]));
    // One that does not read it all.
    let ended = run(&Job { argv: vec!["true".to_owned()], ..job }, &stdin).await;
    assert_eq!(ended.report.return_code, Some(0));
}

#[tokio::test]
async fn limits_hold() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = job("ulimit -n; ulimit -f; ulimit -v; ulimit -t", dir.path());
    job.limits = Limits {
        open_files_max: Some(50),
        file_bytes_max: Some(512 * 1024),
        memory_bytes_max: Some(1 << 30),
        processes_max: None,
        cpu_s_max: Some(7),
        ..Limits::default()
    };
    let ended = run(&job, &[]).await;
    assert_eq!(String::from_utf8_lossy(&ended.captured[0]), "50\n1024\n1048576\n7\n");
    // The number of processes is read without starting one: it is that of the user, who may have more already.
    job.limits = Limits { processes_max: Some(3_000), ..Limits::default() };
    job.argv[2] =
        "while read -r a b c d; do case \"$a $b\" in 'Max processes') echo $c ;; esac; done < /proc/self/limits"
            .to_owned();
    assert_eq!(String::from_utf8_lossy(&run(&job, &[]).await.captured[0]), "3000\n");
    job.limits = Limits { file_bytes_max: Some(1_024), ..Limits::default() };
    job.argv[2] = "head -c 1024 /dev/zero > file && echo fits; head -c 1025 /dev/zero > file; echo $?".to_owned();
    assert_eq!(String::from_utf8_lossy(&run(&job, &[]).await.captured[0]), "fits\n153\n");
    job.argv[2] = "true".to_owned();
    // More than the worker may have itself is no mistake, and less than it has.
    job.limits = Limits { open_files_max: Some(u64::MAX - 1), ..Limits::default() };
    assert_eq!(run(&job, &[]).await.report.return_code, Some(0));
    job.limits = Limits { cpu_s_max: Some(1), ..Limits::default() };
    job.argv[2] = "while :; do :; done".to_owned();
    let ended = run(&job, &[]).await;
    assert_eq!((ended.report.why, ended.report.return_code), (Why::Exited, None));
}

#[tokio::test]
async fn another_user_if_the_worker_is_root() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = job("id -u; id -g; id -G", Path::new("/"));
    job.user = Some(User { uid: 65_534, gid: 65_533 });
    let ended = run(&job, &[]).await;
    let is_root = petrel_executor::supervise::Ability::look().is_root;
    match is_root {
        true => assert_eq!(String::from_utf8_lossy(&ended.captured[0]), "65534\n65533\n65533\n"),
        false => assert_eq!(ended.report.why, Why::NotStarted),
    }
    drop(dir);
}

#[tokio::test]
async fn nothing_starts_behind_the_end_of_its_lease() {
    let dir = tempfile::tempdir().unwrap();
    let job = job("echo > ran", dir.path());
    // The worker asks for no guard then.
    let (_director, held) = watch::channel(holding(0));
    let supervisor = supervisor();
    let failed = run_supervised(&supervisor, &job, &[], held, || panic!("it started")).await.unwrap_err();
    assert!(matches!(failed, Failed::NotBegun(_)), "{failed}");
    assert_eq!(supervisor.process(), None);
    assert!(!dir.path().join("ran").exists());
}

/// The worker stands still, by its only thread, from the first start on until all deadlines have passed.
#[tokio::test]
async fn a_report_that_is_there_counts_before_a_deadline_that_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Arc::new(supervisor());
    let until_ms = boot_ms() + 3_000;
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let (supervisor, mut job) = (supervisor.clone(), job("true", dir.path()));
        job.timeout_ms = 500;
        runs.spawn(async move {
            let (_director, held) = watch::channel(holding(60_000));
            let stand_still = || {
                while boot_ms() < until_ms {
                    std::thread::yield_now();
                }
            };
            run_supervised(&supervisor, &job, &[], held, stand_still).await
        });
    }
    for ended in runs.join_all().await {
        assert_eq!(ended.unwrap().report.why, Why::Exited);
    }
}
