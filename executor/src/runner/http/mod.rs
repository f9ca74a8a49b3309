//! The runner `http`: one request of an action, sent again where the action says so, and what is answered.
//!
//! `guard` (to which addresses requests may go), `lookup` (names to addresses), `client` (connections), `body` (what is
//! sent), `exchange` (one request and its redirects), `tokens` (OAuth 2), `pause` (until it is sent again), `answer` (what
//! is made of it).

mod answer;
mod body;
mod client;
mod exchange;
mod guard;
mod lookup;
mod pause;
#[cfg(test)]
mod tests;
mod tokens;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use petrel_bus::Clock;
use petrel_execution::runner::{Auth, Hidden, HttpCall, is_untouched};
use petrel_execution::worker::{Exit, Holding, Why};
use petrel_execution::{Delivery, code};
use petrel_secrets::{Mask, SecretValue};
use reqwest::Url;
use tokio::sync::watch;

use super::Context;
use super::email::EmailRunner;
use super::limited::{Leave, limited};
use super::masking::LEFT_OUT;
use crate::supervise::boot_ms;
use answer::{Whole, read};
use client::{Clients, Ways, Whom};
pub(super) use exchange::is_lack;
use exchange::{NoAnswer, Outgoing, check_literal, exchange};
pub use guard::{AddressGuard, GuardError};
pub(super) use lookup::Guarded;
pub use lookup::{LookedUp, Lookup, SystemLookup};
use pause::{pause_ms, retry_after_ms};
use tokens::Tokens;

/// Methods that may be sent twice by what HTTP says of them (RFC 9110 §9.2.2).
const IDEMPOTENT: [&str; 5] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];

/// How often, and how long, a request waits for what this worker lacks, descriptors for example, until its attempt is given
/// back; in milliseconds.
const LACKS_MAX: u32 = 3;
const LACK_PAUSE_MS: u64 = 1_000;

/// How requests over HTTP are sent.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// To which addresses they may go.
    pub guard: AddressGuard,
    /// Finds the addresses of hosts.
    pub lookup: Arc<dyn Lookup>,
    /// Hosts and ports of Petrel's own services, to which no request goes whatever the guard allows. An unspecified
    /// address is this machine.
    pub own: Vec<(String, u16)>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { guard: AddressGuard::default(), lookup: Arc::new(SystemLookup::default()), own: Vec::new() }
    }
}

/// Sends requests for the attempts of a worker.
#[derive(Debug)]
pub struct HttpRunner {
    guarded: Guarded,
    clients: Clients,
    tokens: Tokens,
}

impl Default for HttpRunner {
    fn default() -> Self {
        Self::new(HttpOptions::default())
    }
}

/// What is to be known of the attempt beside its call.
#[derive(Clone, Copy)]
pub struct HttpRequest<'a> {
    /// Sent with each request, so that a server that knows it does what is asked once.
    pub execution_id: &'a str,
    /// How often the action may run.
    pub delivery: Delivery,
    /// Longest run, in milliseconds, with all that is sent again.
    pub timeout_ms: u64,
    /// Most of a body that is kept, in bytes.
    pub output_bytes_max: usize,
    /// Whether the result has all of that, however large it is.
    pub is_whole: bool,
    /// Folder of its pack, where its call uses it.
    pub pack: Option<&'a Path>,
    /// Time of day, for servers that say until when to wait.
    pub clock: &'a dyn Clock,
    /// Masks the secrets that the attempt was given, before anything of an answer is cut to a limit.
    pub mask: &'a Arc<Mask>,
}

pub(super) async fn carry_out(call: Box<HttpCall>, context: &Context<'_>) -> Exit {
    let shape = context.plan.runner.shape();
    let result_bytes_max = shape.and_then(|shape| shape.bytes_max).unwrap_or(0);
    let request = HttpRequest {
        execution_id: &context.task.execution_id,
        delivery: context.plan.delivery,
        timeout_ms: context.timeout_ms(),
        output_bytes_max: context.plan.output_bytes_max.max(result_bytes_max),
        is_whole: shape.is_some(),
        pack: context.pack,
        clock: context.clock,
        mask: context.mask,
    };
    (context.started)();
    let exit = context.runners.http.run(&call, request, context.held.subscribe()).await;
    let problems = match (&exit.result, shape) {
        (Some(result), Some(shape)) if exit.why == Why::Succeeded => shape.problems(result),
        _ => Vec::new(),
    };
    if problems.is_empty() {
        return exit;
    }
    let why = Why::Failed { code: code::OUTPUT_INVALID, retriable: false };
    Exit { why, error: Some(format!("the answer does not fit output.schema: {}", problems.join("; "))), ..exit }
}

impl HttpRunner {
    /// A runner with these settings.
    pub fn new(options: HttpOptions) -> Self {
        let guarded = Guarded { guard: Arc::new(options.guard), lookup: options.lookup, own: options.own.into() };
        Self { guarded, clients: Clients::default(), tokens: Tokens::default() }
    }

    /// Mail by the same addresses.
    pub fn email(&self) -> EmailRunner {
        EmailRunner::new(self.guarded.clone())
    }

    /// Sends a request until there is an answer to keep, and for as long as the attempt may go on. Dropping the future
    /// closes the connection.
    pub async fn run(&self, call: &HttpCall, request: HttpRequest<'_>, held: watch::Receiver<Holding>) -> Exit {
        let leave = Leave::new(held, request.timeout_ms);
        let (began_ms, requests) = (boot_ms(), AtomicU32::new(0));
        let tokens = Mutex::default();
        let has_arrived = AtomicBool::new(false);
        let asking =
            Asking { runner: self, call, request, leave: leave.clone(), began_ms, requests, has_arrived, tokens };
        match limited(leave, asking.to_the_end()).await {
            Ok(Ok(whole)) => asking.answered(whole).await,
            Ok(Err(no_answer)) => asking.not_answered(no_answer).await,
            Err(why) => Exit::bare(why, None),
        }
    }
}

/// One call on its way to its end.
struct Asking<'a> {
    runner: &'a HttpRunner,
    call: &'a HttpCall,
    request: HttpRequest<'a>,
    leave: Leave,
    began_ms: u64,
    /// How many were sent, redirects and tokens left out.
    requests: AtomicU32,
    /// Whether one of them may have been carried out, however the last one ended.
    has_arrived: AtomicBool,
    /// What was sent to show who asks, beside the secrets of the attempt.
    tokens: Mutex<Vec<SecretValue>>,
}

impl Asking<'_> {
    async fn to_the_end(&self) -> Result<Whole, NoAnswer> {
        let outgoing = Outgoing::of(self.call, self.request.execution_id).map_err(NoAnswer::Impossible)?;
        let (mut times, mut lacks) = (0, 0);
        loop {
            let ended = match self.ways().await {
                Ok(ways) => self.in_time(self.once(&ways, outgoing.clone())).await,
                Err(no_answer) => Err(no_answer),
            };
            if self.may_be_carried_out(&ended) {
                self.has_arrived.store(true, Ordering::Relaxed);
            }
            let pause_ms = match &ended {
                Err(NoAnswer::Lacking { may_have_arrived: false, .. }) if lacks < LACKS_MAX => {
                    lacks += 1;
                    LACK_PAUSE_MS
                }
                _ => {
                    times += 1;
                    let Some(pause_ms) = self.again_after_ms(&ended, times) else { return ended };
                    pause_ms
                }
            };
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }

    /// Whoever waits for a server no longer does not know how far it came.
    async fn in_time(&self, once: impl Future<Output = Result<Whole, NoAnswer>>) -> Result<Whole, NoAnswer> {
        let Some(timeout_ms) = self.call.timeout_ms else { return once.await };
        let before = self.requests.load(Ordering::Relaxed);
        let over = |_| {
            let why = format!("not answered within {timeout_ms} ms");
            // Where it waited for a token, nothing else was sent.
            Err(NoAnswer::Failed { why, may_have_arrived: self.requests.load(Ordering::Relaxed) > before })
        };
        tokio::time::timeout(Duration::from_millis(timeout_ms), once).await.unwrap_or_else(over)
    }

    /// The clients for it. A proxy's address is looked at first.
    async fn ways(&self) -> Result<Ways<'_>, NoAnswer> {
        let Self { runner, call, request, .. } = self;
        let guarded = &runner.guarded;
        let mut proxy_look = None;
        if let Some(proxy) = &call.proxy {
            let url = Url::parse(&proxy.url).map_err(|e| NoAnswer::Impossible(format!("the proxy: {e}")))?;
            let look = guarded.look(&url, false);
            check_literal(guarded, &url, look).await?;
            proxy_look = Some(look);
        }
        runner.clients.ways(call, proxy_look, request.pack, guarded, self.leave.clone()).await
    }

    /// One request, and a second one where the first one's token is no good any more.
    async fn once(&self, ways: &Ways<'_>, mut outgoing: Outgoing) -> Result<Whole, NoAnswer> {
        let Self { runner, call, request, .. } = self;
        let mut is_first = true;
        loop {
            let mut may_be_old = false;
            if let Auth::OAuth2 { .. } = &call.auth {
                // A secret with characters that a form encodes is sent in another form than it has.
                tokens::sent(&call.auth).iter().for_each(|sent| self.note(sent));
                let (token, was_kept) = runner.tokens.get(&call.auth, ways, &outgoing.url).await?;
                outgoing.bearer(&token.0).map_err(NoAnswer::Impossible)?;
                self.note(&token);
                may_be_old = was_kept && is_first;
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            let server = outgoing.url.origin();
            let answer = exchange(ways, Whom::Named, outgoing.clone(), call.redirects_max).await?;
            let is_no_good = may_be_old && answer.response.status() == reqwest::StatusCode::UNAUTHORIZED;
            if is_no_good && answer.url.origin() == server {
                runner.tokens.forget(&call.auth, ways, &outgoing.url);
            }
            // Behind a redirect the first server has done what it was asked for, and would do it again.
            if is_no_good && answer.redirects == 0 {
                is_first = false;
                continue;
            }
            let failed = |why| NoAnswer::Failed { why, may_have_arrived: true };
            return read(answer, request.output_bytes_max).await.map_err(failed);
        }
    }

    /// Whether it may have been carried out, though it did not end well. A server that is redirected to is another one than
    /// the one that was asked.
    fn may_be_carried_out(&self, ended: &Result<Whole, NoAnswer>) -> bool {
        match ended {
            Ok(whole) => {
                let asks_for_it = retry_after_ms(&whole.headers, self.request.clock.now_ms()).is_some();
                whole.redirects > 0 || !is_untouched(whole.status, asks_for_it)
            }
            Err(NoAnswer::Failed { may_have_arrived, .. } | NoAnswer::Lacking { may_have_arrived, .. }) => {
                *may_have_arrived
            }
            Err(NoAnswer::Refused(_) | NoAnswer::Impossible(_)) => false,
        }
    }

    /// How long to wait until it is sent again after so many times, in milliseconds; nothing if this is the end.
    fn again_after_ms(&self, ended: &Result<Whole, NoAnswer>, times: u32) -> Option<u64> {
        let Self { call, request, .. } = self;
        if times > call.retry.times {
            return None;
        }
        let asked_ms = match ended {
            Ok(whole) if call.success.contains(whole.status) => return None,
            Ok(whole) => {
                let asked_ms = retry_after_ms(&whole.headers, request.clock.now_ms());
                if !call.retry.is_on(whole.status, self.may_arrive_twice(), asked_ms.is_some()) {
                    return None;
                }
                asked_ms
            }
            Err(NoAnswer::Failed { may_have_arrived, .. }) if !may_have_arrived || self.may_arrive_twice() => None,
            Err(_) => return None,
        };
        let pause_ms = pause_ms(&call.retry, times, asked_ms, request.execution_id);
        // Whoever waits for longer than there is time has nothing to tell but that it took too long.
        let until_ms = boot_ms().saturating_add(pause_ms).saturating_sub(self.began_ms);
        (until_ms < request.timeout_ms).then_some(pause_ms)
    }

    /// An action that may run again after it was lost may also be asked for again; one that may not is safe only where
    /// HTTP says so.
    fn may_arrive_twice(&self) -> bool {
        self.request.delivery == Delivery::AtLeastOnce || IDEMPOTENT.contains(&self.call.method.as_str())
    }

    /// A token is as good as the secret that it was given for. One that cannot be masked without eating what is none, such
    /// as a text of three letters, is none either.
    fn note(&self, token: &Hidden) {
        let Ok(token) = SecretValue::new(token.0.clone()) else { return };
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).push(token);
    }

    /// Masks the secrets of the attempt and the tokens: to be used off the runtime, for their forms take a while to find.
    fn mask(&self) -> Mask {
        let tokens = std::mem::take(&mut *self.tokens.lock().unwrap_or_else(PoisonError::into_inner));
        self.request.mask.with(&tokens)
    }

    async fn answered(&self, whole: Whole) -> Exit {
        let status = whole.status;
        let retry_after_ms = retry_after_ms(&whole.headers, self.request.clock.now_ms());
        let (why, error) = if self.call.success.contains(status) {
            (Why::Succeeded, None)
        } else {
            let retriable = match self.may_arrive_twice() {
                true => matches!(status, 408 | 425 | 429 | 500..=599),
                false => is_untouched(status, retry_after_ms.is_some()),
            };
            let error = format!("{} was answered with {status} {}", self.call.shown, whole.reason);
            (Why::Failed { code: code::HTTP_STATUS, retriable }, Some(error.trim_end().to_owned()))
        };
        let requests = self.requests.load(Ordering::Relaxed);
        let (mask, elapsed_ms) = (self.mask(), boot_ms().saturating_sub(self.began_ms));
        let is_whole = self.request.is_whole;
        let told = tokio::task::spawn_blocking(move || {
            let (result, stdout) = whole.into_result(requests, elapsed_ms, &mask, is_whole);
            (result, stdout, error.map(|error| mask.text(error)))
        });
        match told.await {
            Ok((result, stdout, error)) => {
                Exit { result: Some(result), retry_after_ms, stdout, ..Exit::bare(why, error) }
            }
            Err(_) => Exit { retry_after_ms, ..Exit::bare(why, Some(LEFT_OUT.to_owned())) },
        }
    }

    async fn not_answered(&self, no_answer: NoAnswer) -> Exit {
        let exit = self.failed(no_answer);
        let (mask, error) = (self.mask(), exit.error);
        // What stands in it may be a server's word.
        let masked = tokio::task::spawn_blocking(move || error.map(|error| mask.text(error))).await;
        Exit { error: masked.unwrap_or_else(|_| Some(LEFT_OUT.to_owned())), ..exit }
    }

    fn failed(&self, no_answer: NoAnswer) -> Exit {
        let has_arrived = self.has_arrived.load(Ordering::Relaxed);
        let (code, retriable, why) = match no_answer {
            NoAnswer::Lacking { why, .. } => return Exit::bare(Why::GivenBack { begun: has_arrived }, Some(why)),
            NoAnswer::Refused(why) => (code::ADDRESS_REFUSED, false, why),
            NoAnswer::Impossible(why) => (code::NOT_STARTED, false, why),
            NoAnswer::Failed { why, .. } if has_arrived && !self.may_arrive_twice() => {
                (code::HTTP_UNKNOWN, false, format!("it may have been carried out: {why}"))
            }
            NoAnswer::Failed { why, .. } => (code::HTTP_FAILED, true, why),
        };
        Exit::bare(Why::Failed { code, retriable }, Some(format!("{}: {why}", self.call.shown)))
    }
}
