//! The runner `ssh`: a command, a script or files of an action on hosts, each at most once in an attempt.
//!
//! `wire` (what is said to a host, and the programs of the shell that it carries out), `known` (hosts' keys),
//! `connect` (connections), `pool` (connections that are kept), `exchange` (one channel), `host` (the work on one
//! host), `live` (what is told while it runs), `told` (what is made of it).
//!
//! What runs on a host ends when its connection does, and at the latest when the lease passes: the host itself
//! watches for that, by its own clock, so that nothing of an attempt goes on beside the next one, whatever became of
//! the worker.

mod connect;
mod exchange;
mod host;
mod known;
mod live;
mod pool;
mod prompt;
mod told;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use petrel_execution::runner::{KnownHosts, Run, SshCall, UploadFrom};
use petrel_execution::worker::{Exit, Holding, Why};
use petrel_execution::{Delivery, code};
use petrel_secrets::Mask;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Context;
use super::limited::Leave;
use crate::live::Live;
use connect::{Connector, NotConnected, read};
use host::{Doing, in_pack, work_on};
use known::{KNOWN_BYTES_MAX, Remembered};
use live::Telling;
use pool::Pool;
use told::{OnHost, error, outcome, result, streams};

/// Most bytes of what all hosts of an execution write and hold that are kept, and fewest of each.
const KEPT_BYTES_MAX: usize = 32 << 20;
const KEPT_BYTES_MIN: usize = 1 << 10;

/// How hosts are spoken to.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// Files of known hosts, for actions that name none. One that is not there is passed over.
    pub known_hosts: Vec<PathBuf>,
    /// File in which hosts are remembered that were believed at first sight; without one, they are for as long as
    /// this process is there.
    pub remembered: Option<PathBuf>,
    /// Socket of an agent.
    pub agent: Option<PathBuf>,
    /// From SIGTERM to SIGKILL, in milliseconds; whole seconds, rounded up.
    pub kill_grace_ms: u64,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            known_hosts: vec!["/etc/ssh/ssh_known_hosts".into()],
            remembered: None,
            agent: None,
            kill_grace_ms: 5_000,
        }
    }
}

/// Works on hosts for the attempts of a worker.
#[derive(Debug)]
pub struct SshRunner {
    options: SshOptions,
    connector: Arc<Connector>,
    pool: Arc<Pool>,
}

impl Default for SshRunner {
    fn default() -> Self {
        Self::new(SshOptions::default())
    }
}

/// What is to be known of the attempt beside its call.
#[derive(Clone, Copy)]
pub struct SshRequest<'a> {
    /// How often the action may run.
    pub delivery: Delivery,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// Most of each output of each host that is kept, and of each file that is read, in bytes.
    pub output_bytes_max: usize,
    /// Folder of its pack, where its call uses it.
    pub pack: Option<&'a Path>,
    /// Masks the secrets that it was given.
    pub mask: &'a Arc<Mask>,
    /// Where it tells what hosts write, while they write it.
    pub live: &'a Live,
}

pub(super) async fn carry_out(call: Box<SshCall>, context: &Context<'_>) -> Exit {
    let request = SshRequest {
        delivery: context.plan.delivery,
        timeout_ms: context.timeout_ms(),
        output_bytes_max: context.plan.output_bytes_max,
        pack: context.pack,
        mask: context.mask,
        live: context.live,
    };
    (context.started)();
    context.runners.ssh.run(&call, request, context.held.subscribe()).await
}

impl SshRunner {
    /// A runner with these settings.
    pub fn new(options: SshOptions) -> Self {
        let remembered = Arc::new(Remembered::new(options.remembered.clone()));
        let connector = Arc::new(Connector { agent: options.agent.clone(), remembered });
        Self { options, connector, pool: Arc::default() }
    }

    /// How many connections are kept that nobody uses.
    pub fn idle(&self) -> usize {
        self.pool.len()
    }

    /// Works on the hosts until all are done or it has failed, and for as long as the attempt may go on. Dropping the
    /// future closes the connections, which ends what runs there.
    pub async fn run(&self, call: &SshCall, request: SshRequest<'_>, held: watch::Receiver<Holding>) -> Exit {
        let leave = Leave::new(held.clone(), request.timeout_ms);
        let doing = match self.doing(call, request, leave, held).await {
            Ok(doing) => Arc::new(doing),
            Err(why) => return Exit::bare(Why::NotStarted(code::NOT_STARTED), Some(why)),
        };
        let (hosts, mask) = (on_all(&doing).await, request.mask.clone());
        doing.telling.end(hosts.iter().all(|host| host.stopped_by.is_none()));
        // It takes a while, and this thread keeps the leases of other attempts.
        let masked = move || hosts.into_iter().map(|host| host.masked(&mask)).collect::<Vec<_>>();
        let hosts = match tokio::task::spawn_blocking(masked).await {
            Ok(hosts) => hosts,
            Err(e) => return Exit::bare(Why::Unknown, Some(format!("what hosts wrote cannot be masked: {e}"))),
        };
        if hosts.iter().all(|host| host.code() == Some(outcome::LACKING) || host.code() == Some(outcome::SKIPPED))
            && let Some(lack) = hosts.iter().find(|host| host.has_failed())
        {
            return Exit::bare(Why::GivenBack { begun: false }, Some(error(std::slice::from_ref(lack))));
        }
        ended(&hosts, call, request, doing.leave.over())
    }

    async fn doing(
        &self,
        call: &SshCall,
        request: SshRequest<'_>,
        leave: Leave,
        held: watch::Receiver<Holding>,
    ) -> Result<Doing, String> {
        let SshRequest { output_bytes_max, pack, .. } = request;
        let mut uploads = Vec::with_capacity(call.uploads.len());
        for upload in &call.uploads {
            uploads.push(match &upload.from {
                UploadFrom::OfPack(path) => pack_file(pack, path).await?,
                UploadFrom::Text(text) => Bytes::from(text.clone()),
            });
        }
        let script = match &call.run {
            Some(Run::Script { file, .. }) => pack_file(pack, file).await?,
            _ => Bytes::new(),
        };
        let texts = call.hosts.len() * (2 + call.downloads.len());
        Ok(Doing {
            call: call.clone(),
            known_hosts: self.known_hosts(&call.known_hosts, pack).await?.into(),
            uploads,
            script,
            bytes_max: output_bytes_max.min((KEPT_BYTES_MAX / texts.max(1)).max(KEPT_BYTES_MIN)),
            kill_grace_ms: self.options.kill_grace_ms,
            leave,
            held,
            telling: Telling::new(request.live, request.mask, call.hosts.len()),
            connector: self.connector.clone(),
            pool: self.pool.clone(),
        })
    }

    async fn known_hosts(&self, known_hosts: &KnownHosts, pack: Option<&Path>) -> Result<String, String> {
        let of_file = async |path: &Path| {
            read(path, KNOWN_BYTES_MAX).await.map_err(|e| match e {
                NotConnected::Unusable(why) => why,
                other => format!("{other:?}"),
            })
        };
        match known_hosts {
            KnownHosts::Text(lines) => Ok(lines.clone()),
            KnownHosts::OfPack(path) => of_file(&in_pack(pack, path)?).await,
            KnownHosts::OfWorker => {
                let mut lines = String::new();
                for path in &self.options.known_hosts {
                    if tokio::fs::try_exists(path).await.unwrap_or(true) {
                        lines.push_str(&of_file(path).await?);
                        lines.push('\n');
                    }
                }
                Ok(lines)
            }
        }
    }
}

async fn pack_file(pack: Option<&Path>, path: &str) -> Result<Bytes, String> {
    let file = in_pack(pack, path)?;
    tokio::fs::read(&file).await.map(Bytes::from).map_err(|e| format!("{path}: {e}"))
}

/// A number that nobody knows beforehand.
fn number() -> Result<String, NoNumber> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoNumber)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The system gives no random numbers.
struct NoNumber;

/// Works on all hosts, on so many at a time, until it has failed.
async fn on_all(doing: &Arc<Doing>) -> Vec<OnHost> {
    let targets = &doing.call.hosts;
    let mut told: Vec<Option<OnHost>> = vec![None; targets.len()];
    let (mut at_work, mut next, mut failed) = (JoinSet::new(), 0, 0);
    let parallel = usize::try_from(doing.call.parallel).unwrap_or(1).max(1);
    let has_failed = |failed| doing.call.fail_at.is_reached(failed, targets.len());
    loop {
        while next < targets.len() && at_work.len() < parallel && !has_failed(failed) && doing.leave.over().is_none() {
            let (doing, target, index) = (doing.clone(), targets[next].clone(), next);
            at_work.spawn(async move { (index, work_on(doing, target).await) });
            next += 1;
        }
        match at_work.join_next().await {
            Some(Ok((index, host))) => {
                failed += usize::from(host.has_failed());
                told[index] = Some(host);
            }
            // A fault of ours; what it was is told by the runtime. The host is told as one of which nothing is known.
            Some(Err(_)) => failed += 1,
            None => break,
        }
    }
    let why = match has_failed(failed) {
        true => "it had failed on too many others",
        false => "the attempt ended before",
    };
    let of = |(index, told): (usize, Option<OnHost>)| {
        told.unwrap_or_else(|| {
            let name = &targets[index].name;
            if index >= next {
                return OnHost::skipped(name, why);
            }
            let mut host = OnHost { begun: true, ..OnHost::new(name) };
            host.failed(outcome::UNKNOWN, "the worker has a fault".to_owned());
            host
        })
    };
    told.into_iter().enumerate().map(of).collect()
}

fn ended(hosts: &[OnHost], call: &SshCall, request: SshRequest<'_>, over: Option<Why>) -> Exit {
    let failed = hosts.iter().filter(|host| host.has_failed()).count();
    let has_begun = hosts.iter().any(|host| host.begun);
    let stopped_by = hosts.iter().find_map(|host| host.stopped_by);
    let is_cut_short = hosts.iter().any(|host| host.code() == Some(outcome::SKIPPED));
    let (why, text) = match stopped_by {
        Some(why) => (why, Some(error(hosts))),
        None if call.fail_at.is_reached(failed, hosts.len()) => {
            // What is not the host's to change is no better the next time.
            let may_help = hosts.iter().filter_map(OnHost::code).any(|code| {
                ![outcome::HOST_KEY, outcome::AUTH, outcome::NOT_STARTED, outcome::SKIPPED].contains(&code)
            });
            let retriable = may_help && (request.delivery == Delivery::AtLeastOnce || !has_begun);
            (Why::Failed { code: code::SSH_HOSTS, retriable }, Some(error(hosts)))
        }
        // It ended between two hosts.
        None if is_cut_short => (over.unwrap_or(Why::Stopped), None),
        None => (Why::Succeeded, None),
    };
    let why = match why {
        // It is as good as new to another worker.
        Why::Stopped if !has_begun => Why::GivenBack { begun: false },
        why => why,
    };
    let (stdout, stderr) = streams(hosts, request.output_bytes_max);
    let return_code = match hosts {
        [host] => host.return_code,
        _ => None,
    };
    Exit { return_code, result: Some(result(hosts)), stdout, stderr, ..Exit::bare(why, text) }
}
