//! The runner `http` with an attempt around it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use petrel_bus::Clock;
use petrel_execution::Delivery;
use petrel_execution::runner::{HttpCall, PackFiles, Rendering, RunnerCall, RunnerSpec};
use petrel_execution::worker::{Exit, Holding, Remembered, Why};
use petrel_executor::runner::{AddressGuard, HttpOptions, HttpRequest, HttpRunner, LookedUp, Lookup};
use petrel_executor::supervise::boot_ms;
use petrel_schemas::Task;
use petrel_secrets::Mask;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Nothing here takes that long unless it hangs.
pub const LIMIT: Duration = Duration::from_secs(30);

pub const CANCEL: Remembered = Remembered { cancel: true, grant: false };

/// Names of a test: each look-up takes the next of the answers, the last one for ever. Where it is empty, there is no
/// descriptor to look it up.
#[derive(Debug, Default)]
pub struct Names {
    answers: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub fn set(&self, name: &str, answers: &[&[&str]]) {
        let read = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers.iter().map(read).collect());
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Lookup for Names {
    fn addresses(&self, host: &str) -> LookedUp {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut names = self.answers.lock().unwrap();
        let answer = match names.get_mut(host) {
            None => Err(std::io::Error::other(format!("{host} is unknown"))),
            Some(answers) if answers.len() > 1 => Ok(answers.remove(0)),
            Some(answers) => Ok(answers[0].clone()),
        };
        let lacks_none = |addresses: Vec<IpAddr>| match addresses.is_empty() {
            true => Err(std::io::Error::from_raw_os_error(libc::EMFILE)),
            false => Ok(addresses),
        };
        Box::pin(async move { answer.and_then(lacks_none) })
    }
}

/// 1994-11-06T08:49:37Z, and it stays so.
pub struct Still;

impl Clock for Still {
    fn now_ms(&self) -> i64 {
        784_111_777_000
    }

    fn sleep(&self, _: Duration) {}
}

/// A runner whose requests may go to 127.0.0.1 alone of what is denied by default.
pub struct Asking {
    pub runner: HttpRunner,
    pub names: Arc<Names>,
    pub timeout_ms: u64,
    pub output_bytes_max: usize,
    pub delivery: Delivery,
    pub success_codes: Value,
    /// Of the secrets of the attempt.
    pub mask: Arc<Mask>,
}

impl Asking {
    pub fn new() -> Self {
        Self::allowed(&["127.0.0.1"])
    }

    pub fn allowed(allow: &[&str]) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let names = Arc::new(Names::default());
        let guard = AddressGuard::new(&texts(&AddressGuard::DENY_DEFAULT), &texts(allow)).unwrap();
        Self {
            runner: HttpRunner::new(HttpOptions { guard, lookup: names.clone(), own: Vec::new() }),
            names,
            timeout_ms: 20_000,
            output_bytes_max: 64 << 10,
            delivery: Delivery::AtLeastOnce,
            success_codes: json!(["200-299"]),
            mask: Arc::new(Mask::NOTHING),
        }
    }

    fn call(&self, request: Value, parameters: &Value) -> HttpCall {
        let Value::Object(keys) = json!({ "request": request, "success_codes": self.success_codes }) else {
            unreachable!()
        };
        let spec = RunnerSpec::parse("http", &keys, &AnyFile).unwrap();
        let rendering = Rendering { parameters, secrets: &Value::Null, execution_id: "e-1", attempt: 1 };
        let Ok(RunnerCall::Http(call)) = spec.render(rendering) else { panic!("not rendered") };
        *call
    }

    /// With a lease that lasts.
    pub async fn ask(&self, request: Value) -> Exit {
        let (_director, held) = watch::channel(holding(60_000));
        self.ask_held(request, None, held).await
    }

    /// With parameters.
    pub async fn ask_with(&self, request: Value, parameters: &Value) -> Exit {
        let (_director, held) = watch::channel(holding(60_000));
        self.run(&self.call(request, parameters), None, held).await
    }

    pub async fn ask_held(&self, request: Value, pack: Option<&Path>, held: watch::Receiver<Holding>) -> Exit {
        self.run(&self.call(request, &json!({})), pack, held).await
    }

    pub async fn run(&self, call: &HttpCall, pack: Option<&Path>, held: watch::Receiver<Holding>) -> Exit {
        let request = HttpRequest {
            execution_id: "e-1",
            delivery: self.delivery,
            timeout_ms: self.timeout_ms,
            output_bytes_max: self.output_bytes_max,
            is_whole: false,
            pack,
            clock: &Still,
            mask: &self.mask,
        };
        tokio::time::timeout(LIMIT, self.runner.run(call, request, held)).await.expect("the request hangs")
    }
}

pub struct AnyFile;

impl PackFiles for AnyFile {
    fn executable(&self, _: &str) -> Option<bool> {
        Some(false)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

/// An attempt whose lease lasts from now for that long, in milliseconds.
pub fn holding(lease_ms: u64) -> Holding {
    let task = Task {
        execution_id: "e-1".to_owned(),
        root_execution_id: "e-1".to_owned(),
        action: "demo.x".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 20_000,
        ..Task::default()
    };
    Holding::new(&task, boot_ms() + lease_ms, Remembered::default())
}

/// The code of a failure, and whether it may go better the next time.
pub fn failure(exit: &Exit) -> (&'static str, bool) {
    match exit.why {
        Why::Failed { code, retriable } => (code, retriable),
        _ => panic!("it did not fail: {exit:?}"),
    }
}

pub fn result(exit: &Exit) -> &Value {
    exit.result.as_ref().unwrap_or_else(|| panic!("it has no result: {exit:?}"))
}
