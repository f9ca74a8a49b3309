//! From the call of a runner to the first own instruction of what it runs.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use petrel_execution::Delivery;
use petrel_execution::runner::{RunnerCall, RunnerSpec};
use petrel_execution::worker::{Exit, Why};
use petrel_executor::live::Live;
use petrel_executor::runner::{
    AddressGuard, HttpOptions, HttpRequest, HttpRunner, Process, ProcessAttempt, Processes, RunnerOptions, SshOptions,
    SshRequest, SshRunner, WorkDirectories,
};
use petrel_executor::supervise::Supervisor;
use petrel_secrets::Mask;
use petrel_testkit::{petrel_binary, scratch_dir};
use serde_json::json;

use super::attempt::{TIMEOUT_MS, call, lease, spec};
use super::servers::{HttpServer, Sshd};
use super::table::Table;
use crate::clock::SystemClock;

/// A program that tells the time of day at once, in nanoseconds.
const NOW: [&str; 2] = ["date", "+%s%N"];
/// A command may take so many times as long as a process that is started without Petrel.
const COMMAND_TIMES_MAX: f64 = 3.0;
/// Starts before anything is measured.
pub(super) const WARM_UP: usize = 20;
/// Connections and logins are slow: so many times fewer of them.
pub(super) const COLD_FEWER: usize = 10;
/// Kept of each stream, and of a body.
pub(super) const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// The runners of a worker.
pub(crate) struct Rig {
    pub(super) folder: tempfile::TempDir,
    pub(super) options: RunnerOptions,
    pub(super) supervisor: Supervisor,
    pub(super) work: WorkDirectories,
    http: HttpRunner,
    ssh: SshRunner,
    mask: Arc<Mask>,
}

impl Rig {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("actions-").tempdir_in(scratch_dir()?)?;
        let options =
            RunnerOptions { supervisor: vec![petrel_binary()?.into(), "supervise".into()], ..RunnerOptions::default() };
        let guard = AddressGuard::new(&[], &["127.0.0.1".to_owned()])?;
        Ok(Self {
            supervisor: Supervisor::new(options.supervisor.clone()),
            work: WorkDirectories::open(folder.path().join("work"))?,
            http: HttpRunner::new(HttpOptions { guard, ..HttpOptions::default() }),
            ssh: SshRunner::new(SshOptions::default()),
            mask: Arc::new(Mask::NOTHING),
            folder,
            options,
        })
    }

    pub(crate) async fn measure(&self, starts: usize, table: &mut Table) -> Result<()> {
        let bare = table.times("a process, without Petrel", times(starts, bare)?, |_| None);
        let command = spec("command", &json!({ "command": NOW }))?;
        let held = |p50: f64| {
            let times = p50 / bare;
            Some((format!("{times:.2} x without Petrel (at most {COMMAND_TIMES_MAX})"), times <= COMMAND_TIMES_MAX))
        };
        table.times("command", self.processes(starts, &command).await?, held);
        let shell = spec("shell", &json!({ "script": NOW.join(" ") }))?;
        let bare_times =
            |p50: f64| Some((format!("{:.2} x without Petrel; StackStorm's: 19 ms", p50 / bare), p50 < 19.0));
        table.times("shell", self.processes(starts, &shell).await?, bare_times);
        self.pythons(starts, table).await?;
        self.requests(starts, table).await?;
        self.hosts(starts, table).await
    }

    async fn processes(&self, starts: usize, spec: &RunnerSpec) -> Result<Vec<f64>> {
        let mut taken = Vec::with_capacity(starts);
        for at in 0..starts + WARM_UP {
            let called = SystemTime::now();
            let process = match call(spec)? {
                RunnerCall::Command(call) => Process::command(call, self.folder.path()),
                RunnerCall::Shell(call) => Process::shell(call, self.folder.path(), "bench.action"),
                other => bail!("no process: {other:?}"),
            };
            let (_director, held) = lease();
            let attempt = ProcessAttempt {
                variables: BTreeMap::new(),
                timeout_ms: TIMEOUT_MS,
                output_bytes_max: OUTPUT_BYTES_MAX,
                lead_bytes: 0,
                live: Live::default(),
            };
            let processes = Processes { supervisor: &self.supervisor, options: &self.options, work: &self.work };
            let exit = processes.run(process, attempt, held, || {}).await;
            let began = began(&exit)?;
            if at >= WARM_UP {
                taken.push(ms(called, began)?);
            }
        }
        Ok(taken)
    }

    async fn requests(&self, starts: usize, table: &mut Table) -> Result<()> {
        let server = HttpServer::start()?;
        let spec = spec("http", &json!({ "request": { "url": server.url } }))?;
        let cold = starts.div_ceil(COLD_FEWER);
        let mut taken = Vec::new();
        for (count, is_new) in [(cold, true), (WARM_UP, false), (starts, false)] {
            taken = Vec::with_capacity(count);
            for _ in 0..count {
                let guard = AddressGuard::new(&[], &["127.0.0.1".to_owned()])?;
                let new = is_new.then(|| HttpRunner::new(HttpOptions { guard, ..HttpOptions::default() }));
                let called = SystemTime::now();
                let RunnerCall::Http(call) = call(&spec)? else { bail!("no request") };
                let (_director, held) = lease();
                let request = HttpRequest {
                    execution_id: "e-1",
                    delivery: Delivery::AtLeastOnce,
                    timeout_ms: TIMEOUT_MS,
                    output_bytes_max: OUTPUT_BYTES_MAX,
                    is_whole: false,
                    pack: None,
                    clock: &SystemClock,
                    mask: &self.mask,
                };
                let exit = new.as_ref().unwrap_or(&self.http).run(&call, request, held).await;
                ensure!(exit.why == Why::Succeeded, "http: {exit:?}");
                taken.push(ms(called, server.read.recv_timeout(Duration::from_secs(1))?)?);
            }
            if is_new {
                table.times("http, a new connection", std::mem::take(&mut taken), |_| None);
            }
        }
        table.times("http, a connection used again", taken, |_| None);
        Ok(())
    }

    async fn hosts(&self, starts: usize, table: &mut Table) -> Result<()> {
        let server = Sshd::start()?;
        let spec = spec("ssh", &server.action(&NOW)?)?;
        let count = starts.div_ceil(COLD_FEWER);
        for (what, is_new) in [("ssh, a new connection", true), ("ssh, a connection used again", false)] {
            let mut taken = Vec::with_capacity(count);
            for _ in 0..count {
                let new = is_new.then(|| SshRunner::new(SshOptions::default()));
                let called = SystemTime::now();
                let RunnerCall::Ssh(call) = call(&spec)? else { bail!("no host") };
                let (_director, held) = lease();
                let request = SshRequest {
                    delivery: Delivery::AtLeastOnce,
                    timeout_ms: TIMEOUT_MS,
                    output_bytes_max: OUTPUT_BYTES_MAX,
                    pack: None,
                    mask: &self.mask,
                    live: &Live::default(),
                };
                let exit = new.as_ref().unwrap_or(&self.ssh).run(&call, request, held).await;
                taken.push(ms(called, began(&exit)?)?);
            }
            // The first of them has to connect.
            taken.drain(..usize::from(!is_new && count > 1));
            table.times(what, taken, |_| None);
        }
        Ok(())
    }
}

fn times(starts: usize, mut one: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    (0..WARM_UP).try_for_each(|_| one().map(drop))?;
    (0..starts).map(|_| one()).collect()
}

/// What any program that starts another one has to pay.
fn bare() -> Result<f64> {
    let called = SystemTime::now();
    let output = Command::new(NOW[0]).arg(NOW[1]).output()?;
    ms(called, told(&output.stdout)?)
}

/// When an action began, by what it wrote.
fn began(exit: &Exit) -> Result<SystemTime> {
    ensure!(exit.error.is_none(), "{exit:?}");
    told(&exit.stdout.bytes).with_context(|| format!("{exit:?}"))
}

fn told(stdout: &[u8]) -> Result<SystemTime> {
    let nanoseconds = std::str::from_utf8(stdout)?.trim().parse()?;
    Ok(UNIX_EPOCH + Duration::from_nanos(nanoseconds))
}

pub(super) fn ms(called: SystemTime, began: SystemTime) -> Result<f64> {
    Ok(began.duration_since(called).context("the clock was set meanwhile")?.as_secs_f64() * 1e3)
}
