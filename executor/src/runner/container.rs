//! The runner `container`: a program in a container of a daemon that speaks Docker's API. What is known of containers is in
//! [`crate::containers`]; here an attempt becomes one, and its end is judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use petrel_execution::code;
use petrel_execution::runner::{CONTAINER_ACTIONS, CONTAINER_WORK, ContainerCall, ContainerPlace, Limits, May, Pull};
use petrel_execution::worker::{Exit, Holding, Why};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::process::{self, WorkDirectories};
use super::supervised::{self, Ended, Failed};
use super::{Context, RunnerOptions};
use crate::containers::{
    ATTEMPT_LABEL, Daemon, EXECUTION_LABEL, HOLDER, LIFE_LABEL, Left, Registry, TOKEN_LABEL, TOLD_FD, Told,
    WORKER_LABEL, Wanted,
};
use crate::live::Live;
use crate::supervise::{self, Confinement, Finding, Job, STDIN_BYTES_MAX, StreamSpec, Supervisor, Telling};

/// How much longer than its container a holder may take to end, in milliseconds.
const HOLDER_GRACE_MS: u64 = 3_000;
/// Exit code of a container whose program was ended by SIGKILL.
const KILLED: i32 = 137;
/// Bytes of what a holder tells.
const TOLD_BYTES_MAX: usize = 64 << 10;
/// Where a daemon listens, where nothing is said.
const SOCKETS: [&str; 3] = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"];
/// Mode of the work directory: any user of the container may write there.
const WORK_MODE: u32 = 0o1777;

/// How containers are run.
#[derive(Debug, Clone)]
pub struct ContainerOptions {
    /// Socket of the daemon.
    pub socket: PathBuf,
}

/// By `DOCKER_HOST`, where that is a socket; else the first that is there.
impl Default for ContainerOptions {
    fn default() -> Self {
        let told = std::env::var("DOCKER_HOST").ok();
        let told = told.and_then(|host| host.strip_prefix("unix://").map(PathBuf::from));
        let own = std::env::var("XDG_RUNTIME_DIR").ok().map(|dir| Path::new(&dir).join("podman/podman.sock"));
        let usual = SOCKETS.iter().map(PathBuf::from).chain(own).find(|socket| socket.exists());
        Self { socket: told.or(usual).unwrap_or_else(|| SOCKETS[0].into()) }
    }
}

impl ContainerOptions {
    /// What the daemon gives, and what it does not.
    pub fn findings(&self) -> Vec<Finding> {
        let socket = self.socket.display();
        let finding = |is_given, sentence| Finding { is_given, sentence };
        let missing = match Daemon::new(&self.socket).limits_missing() {
            Ok(missing) => missing,
            Err(error) => return vec![finding(false, format!("The runner container has no daemon: {error}."))],
        };
        let there = finding(true, format!("The runner container has a daemon at {socket}."));
        let limits = match &missing[..] {
            [] => finding(true, "Its machine keeps all limits of containers.".to_owned()),
            _ => finding(false, format!("Its machine cannot keep {} of containers.", missing.join(", "))),
        };
        vec![there, limits]
    }

    /// Ends the containers that earlier lives of that worker have left, on a thread of its own.
    pub fn end_left(&self, worker: &Arc<str>) {
        if !self.socket.exists() {
            return;
        }
        let (socket, worker) = (self.socket.clone(), worker.clone());
        let thread = std::thread::Builder::new().name("containers".to_owned());
        let spawned = thread.spawn(move || match left_of(&socket, &worker) {
            Ok(left) => left.iter().for_each(|left| {
                if let Err(error) = left.end(false) {
                    tracing::error!(error, "a container of an earlier life of this worker could not be ended");
                }
            }),
            Err(error) => {
                tracing::warn!(%error, "it is not known whether an earlier life of this worker left containers");
            }
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "what an earlier life of this worker may have left as containers stays");
        }
    }
}

/// What the containers of a worker share.
#[derive(Debug, Clone, Copy)]
pub struct Containers<'w> {
    /// Starts what holds them.
    pub supervisor: &'w Supervisor,
    /// How.
    pub options: &'w RunnerOptions,
    /// Whose they are.
    pub daemon: &'w ContainerOptions,
    /// The worker's life.
    pub work: &'w WorkDirectories,
}

/// What is to be known of an attempt beside its container.
#[derive(Debug, Clone)]
pub struct ContainerAttempt {
    /// Execution that it is an attempt of.
    pub execution_id: String,
    /// Number of the attempt.
    pub attempt: i32,
    /// Its fencing token.
    pub token: i64,
    /// Instance id of the worker.
    pub worker: Arc<str>,
    /// Variables that the action cannot set.
    pub variables: BTreeMap<String, String>,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes_max: usize,
    /// How much of what stood before an end that is kept has to be known, in bytes.
    pub lead_bytes: usize,
    /// Where what it writes is told while it runs.
    pub live: Live,
}

pub(super) async fn carry_out(call: ContainerCall, context: &Context<'_>) -> Exit {
    let Some(pack) = context.pack else { return Exit::bare(Why::NotStarted(code::PACK_UNUSABLE), None) };
    let (task, runners) = (context.task, context.runners);
    let attempt = ContainerAttempt {
        execution_id: task.execution_id.clone(),
        attempt: task.attempt,
        token: task.token,
        worker: runners.worker.clone(),
        variables: process::variables(task),
        timeout_ms: context.timeout_ms(),
        output_bytes_max: context.plan.output_bytes_max,
        lead_bytes: context.mask.lead_bytes(),
        live: context.live.clone(),
    };
    let containers = Containers {
        supervisor: &runners.supervisor,
        options: &runners.command,
        daemon: &runners.container,
        work: &runners.work,
    };
    containers.run(call, pack, attempt, context.held.subscribe(), context.started).await
}

impl Containers<'_> {
    /// Runs a container to its end. `started` is called once what holds it runs. Dropping the future ends it.
    pub async fn run(
        &self,
        call: ContainerCall,
        pack: &Path,
        attempt: ContainerAttempt,
        held: watch::Receiver<Holding>,
        started: impl FnOnce() + Send,
    ) -> Exit {
        let wanted = self.wanted(&call, pack, &attempt);
        let left = Left {
            socket: wanted.socket.clone(),
            name: wanted.name.clone(),
            // Its daemon needs time to end it before the owner may have it begun again.
            reserve_ms: held.borrow().margin_ms(),
        };
        let Ok(mut input) = serde_json::to_vec(&wanted) else { return lacking("it cannot be told".to_owned()) };
        input.push(b'\n');
        input.extend_from_slice(&call.process.stdin);
        if input.len() > STDIN_BYTES_MAX {
            let bytes = input.len();
            return Exit::bare(
                Why::NotStarted(code::NOT_STARTED),
                Some(format!(
                    "what the container is given takes {bytes} bytes, more than STDIN_BYTES_MAX, which is {STDIN_BYTES_MAX} bytes"
                )),
            );
        }
        let result_bytes_max = call.process.output.as_ref().and_then(|output| output.shape.bytes_max).unwrap_or(0);
        let stdout_bytes_max = attempt.output_bytes_max.max(result_bytes_max);
        let mut job = self.job(&attempt, left.clone(), input.len(), held.borrow().lease_deadline_ms());
        // A result may be longer than what is told of the output.
        job.streams[0].bytes_max = stdout_bytes_max;
        let memory = call.place.memory_bytes_max;
        let exit = match supervised::run_told(self.supervisor, &job, &input, held, started, &attempt.live).await {
            // A guard that was ended from outside reports nothing, and has not ended the container.
            Ok(ended) if ended.report.streams.is_empty() && ended.report.left_others => {
                let exit = exit(ended, memory);
                with(exit, ended_here(left).await)
            }
            Ok(ended) => {
                attempt.live.end(ended.read_bytes(), ended.is_whole());
                exit(ended, memory)
            }
            Err(Failed::NotBegun(why)) => lacking(why),
            Err(Failed::Lost(why)) => with(Exit::bare(Why::Unknown, Some(why)), ended_here(left).await),
        };
        process::judged_beside(call.process, move || exit).await
    }

    fn job(&self, attempt: &ContainerAttempt, left: Left, stdin_bytes: usize, lease_deadline_ms: u64) -> Job {
        let program = self.options.supervisor.iter().map(|part| part.to_string_lossy().into_owned());
        let streams = [(1, attempt.output_bytes_max), (2, attempt.output_bytes_max), (TOLD_FD, TOLD_BYTES_MAX)];
        Job {
            argv: program.chain([HOLDER.to_owned()]).collect(),
            environment: BTreeMap::new(),
            directory: "/".into(),
            stdin_bytes,
            streams: streams.map(|(fd, bytes_max)| StreamSpec { fd, bytes_max }).to_vec(),
            telling: Telling { live_bytes_max: attempt.live.bytes_max(), lead_bytes: attempt.lead_bytes },
            timeout_ms: attempt.timeout_ms,
            lease_deadline_ms,
            kill_grace_ms: self.options.kill_grace_ms.saturating_add(HOLDER_GRACE_MS),
            user: None,
            limits: Limits::default(),
            may: May::default(),
            container: Some(left),
            confinement: Confinement::default(),
        }
    }

    fn wanted(&self, call: &ContainerCall, pack: &Path, attempt: &ContainerAttempt) -> Wanted {
        let pull = match (call.pull, &call.image.name) {
            (Pull::Missing | Pull::Always, Some(name)) => Some((name.clone(), call.image.version.clone())),
            _ => None,
        };
        let registry = call.registry.clone().map(|(username, password)| Registry { username, password });
        Wanted {
            socket: self.daemon.socket.clone(),
            name: format!("petrel-{}-{}", attempt.execution_id, attempt.token),
            execution_id: attempt.execution_id.clone(),
            token: attempt.token,
            image: call.image.reference.clone(),
            pulls_always: call.pull == Pull::Always && pull.is_some(),
            pull,
            registry,
            container: self.container(call, pack, attempt),
            is_limited: call.place.is_limited(),
            reads: !call.process.stdin.is_empty(),
            kill_grace_ms: self.options.kill_grace_ms,
        }
    }

    /// The container, as the daemon wants it.
    fn container(&self, call: &ContainerCall, pack: &Path, attempt: &ContainerAttempt) -> Value {
        let mut variables = self.options.environment.clone();
        variables.extend(call.process.env.iter().cloned());
        variables.extend(attempt.variables.clone());
        variables.insert("PETREL_ACTION_DIR".to_owned(), CONTAINER_ACTIONS.to_owned());
        variables.insert("PETREL_WORK_DIR".to_owned(), CONTAINER_WORK.to_owned());
        let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reads = !call.process.stdin.is_empty();
        let mut container = json!({
            "Image": call.image.reference,
            "Env": variables,
            "AttachStdin": reads,
            "AttachStdout": true,
            "AttachStderr": true,
            "OpenStdin": reads,
            "StdinOnce": reads,
            "Tty": false,
            "Labels": {
                (EXECUTION_LABEL): attempt.execution_id,
                (ATTEMPT_LABEL): attempt.attempt.to_string(),
                (TOKEN_LABEL): attempt.token.to_string(),
                (WORKER_LABEL): &*attempt.worker,
                (LIFE_LABEL): self.work.life().to_string_lossy(),
            },
            "HostConfig": host(&call.place, &process::actions_of(pack)),
        });
        let own = [
            ("Entrypoint", call.entrypoint.as_ref().map(|list| json!(list))),
            ("Cmd", call.command.as_ref().map(|list| json!(list))),
            ("WorkingDir", call.place.cwd.as_ref().map(|text| json!(text))),
            ("User", call.place.user.as_ref().map(|text| json!(text))),
        ];
        for (key, value) in own {
            if let Some(value) = value {
                container[key] = value;
            }
        }
        container
    }
}

/// What a container has of its machine.
fn host(place: &ContainerPlace, actions: &Path) -> Value {
    let mut host = json!({
        "NetworkMode": place.network,
        "ReadonlyRootfs": place.read_only,
        "CapAdd": place.capabilities,
        // What it writes goes over the connection alone, and is not kept beside by the daemon.
        "LogConfig": { "Type": "none" },
        "Mounts": [
            { "Type": "bind", "Source": actions, "Target": CONTAINER_ACTIONS, "ReadOnly": true },
            {
                "Type": "tmpfs",
                "Target": CONTAINER_WORK,
                "TmpfsOptions": { "SizeBytes": place.work_bytes_max, "Mode": WORK_MODE },
            },
        ],
    });
    if !place.gains_privileges {
        host["CapDrop"] = json!(["ALL"]);
        host["SecurityOpt"] = json!(["no-new-privileges"]);
    }
    if let Some(bytes) = place.memory_bytes_max {
        host["Memory"] = json!(bytes);
        host["MemorySwap"] = json!(bytes);
    }
    if let Some(millicpus) = place.millicpus_max {
        host["NanoCpus"] = json!(millicpus.saturating_mul(1_000_000));
    }
    if let Some(processes) = place.processes_max {
        host["PidsLimit"] = json!(processes);
    }
    host
}

/// Ends a container whose guard could not.
async fn ended_here(left: Left) -> Result<(), String> {
    let ended = tokio::task::spawn_blocking(move || left.end(true)).await;
    ended.unwrap_or_else(|_| Err("what ends its container panicked".to_owned()))
}

/// The end of an attempt whose container has been ended, or not.
fn with(exit: Exit, ended: Result<(), String>) -> Exit {
    let Err(left) = ended else { return exit };
    tracing::error!(left, "a container of an attempt that is over could not be ended");
    let error = exit.error.iter().cloned().chain([left]).collect::<Vec<_>>().join("; ");
    Exit { error: Some(error), ..exit }
}

fn lacking(error: String) -> Exit {
    Exit::bare(Why::GivenBack { begun: false }, Some(error))
}

/// How an attempt ended whose guard has reported, of a container with that much memory.
fn exit(ended: Ended, memory: Option<u64>) -> Exit {
    let (was, failure) = (ended.report.why, ended.report.error.clone());
    let mut streams = ended.into_streams();
    let mut stream = || streams.next().unwrap_or_default();
    let (stdout, stderr, told) = (stream(), stream(), stream());
    let told: Option<Told> = serde_json::from_slice(&told.bytes).ok();
    let (by_itself, return_code, error) = judged_by(told, memory);
    let why = match was {
        supervise::Why::NotStarted | supervise::Why::NotConfined | supervise::Why::NotBegun => {
            Why::GivenBack { begun: false }
        }
        supervise::Why::Exited => by_itself,
        supervise::Why::Timeout => Why::Timeout,
        supervise::Why::Canceled => Why::Stopped,
        supervise::Why::LeaseLost | supervise::Why::WorkerGone => Why::LeaseLost,
        supervise::Why::SupervisorGone => Why::Unknown,
    };
    let error = if was == supervise::Why::Exited { error } else { None };
    let is_cut = was != supervise::Why::Exited;
    let exit = Exit { return_code, is_cut, stdout, stderr, ..Exit::bare(why, error) };
    with(exit, failure.map_or(Ok(()), Err))
}

/// What it means that a holder told this and ended by itself.
fn judged_by(told: Option<Told>, memory: Option<u64>) -> (Why, Option<i32>, Option<String>) {
    match told {
        Some(Told::Ended { exit_code, lacked_memory: true }) if exit_code != 0 => {
            let error = "it needed more memory than its limits.memory_bytes_max, and the kernel ended it";
            let why = Why::Failed { code: code::OUT_OF_MEMORY, retriable: true };
            (why, Some(exit_code), Some(error.to_owned()))
        }
        // Not every kernel tells its daemon why it ended something.
        Some(Told::Ended { exit_code, .. }) => {
            let limit = memory.filter(|_| exit_code == KILLED);
            let error =
                |bytes| format!("it was killed, maybe for want of memory: its limits.memory_bytes_max is {bytes}");
            (Why::Exited, Some(exit_code), limit.map(error))
        }
        Some(Told::NotBegun(error)) => (Why::GivenBack { begun: false }, None, Some(error)),
        Some(Told::NoImage(error)) => (Why::Failed { code: code::IMAGE_MISSING, retriable: true }, None, Some(error)),
        Some(Told::NotStarted(error)) => (Why::NotStarted(code::NOT_STARTED), None, Some(error)),
        Some(Told::Lost(error)) => (Why::Unknown, None, Some(error)),
        None => (Why::Unknown, None, Some("what holds its container ended without a word".to_owned())),
    }
}

/// Containers of lives of that worker that are over.
fn left_of(socket: &Path, worker: &str) -> Result<Vec<Left>, crate::containers::ApiError> {
    let listed = Daemon::new(socket).labelled(WORKER_LABEL, worker)?;
    let over = listed.into_iter().filter(|container| {
        container.labels.get(LIFE_LABEL).is_none_or(|life| WorkDirectories::is_over(Path::new(life)))
    });
    Ok(over.map(|container| Left { socket: socket.to_owned(), name: container.id, reserve_ms: 0 }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_holder_tells_says_whether_it_is_worth_another_try() {
        let ended = |exit_code, lacked_memory| Some(Told::Ended { exit_code, lacked_memory });
        let error = || "x".to_owned();
        let cases = [
            (ended(0, false), Why::Exited, Some(0)),
            // Something that it started, and that it got along without.
            (ended(0, true), Why::Exited, Some(0)),
            (ended(137, true), Why::Failed { code: code::OUT_OF_MEMORY, retriable: true }, Some(137)),
            (ended(137, false), Why::Exited, Some(137)),
            (Some(Told::NotBegun(error())), Why::GivenBack { begun: false }, None),
            (Some(Told::NoImage(error())), Why::Failed { code: code::IMAGE_MISSING, retriable: true }, None),
            (Some(Told::NotStarted(error())), Why::NotStarted(code::NOT_STARTED), None),
            (Some(Told::Lost(error())), Why::Unknown, None),
            (None, Why::Unknown, None),
        ];
        for (told, why, return_code) in cases {
            let (found, code, error) = judged_by(told.clone(), Some(9));
            assert_eq!((found, code), (why, return_code), "{told:?}");
            assert_eq!(error.is_some(), !matches!(told, Some(Told::Ended { exit_code: 0, .. })), "{told:?}");
        }
        assert_eq!(judged_by(ended(137, false), None), (Why::Exited, Some(137), None));
    }

    #[test]
    fn a_container_has_what_its_action_says_and_no_more() {
        let place = ContainerPlace {
            memory_bytes_max: Some(64 << 20),
            millicpus_max: Some(500),
            processes_max: Some(7),
            capabilities: vec!["CHOWN".to_owned()],
            ..ContainerPlace::default()
        };
        let host = host(&place, Path::new("/packs/a/actions"));
        assert_eq!((&host["CapDrop"], &host["CapAdd"]), (&json!(["ALL"]), &json!(["CHOWN"])));
        assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
        assert_eq!((&host["Memory"], &host["MemorySwap"]), (&json!(64 << 20), &json!(64 << 20)));
        assert_eq!((&host["NanoCpus"], &host["PidsLimit"]), (&json!(500_000_000), &json!(7)));
        let mount = &host["Mounts"][0];
        assert_eq!((&mount["Source"], &mount["ReadOnly"]), (&json!("/packs/a/actions"), &json!(true)));
        for opening in ["Privileged", "Devices", "Binds", "PidMode", "IpcMode", "UsernsMode", "VolumesFrom"] {
            assert_eq!(host[opening], Value::Null);
        }
    }
}
