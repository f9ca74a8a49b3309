use petrel_execution::runner::{PackFiles, RunnerSpec};
use petrel_execution::worker::{Holding, Remembered, Verdict};
use petrel_execution::{ActionPlan, CompleteParameters, Delivery, ParameterError};

use super::*;
use crate::secrets::Opening;
use crate::view::{EachFile, PackContent};

const TOKEN: &str = "Zq7kV-9xR2mBwT";

fn mask() -> Mask {
    Mask::new([&SecretValue::new(TOKEN.to_owned()).unwrap()])
}

#[test]
fn an_error_is_masked_before_it_is_cut() {
    let task = crate::worker::attempt::tests::task();
    let holding = Holding::new(&task, 0, Remembered::default());
    for before in 4_080..4_100 {
        let error = format!("{}{TOKEN}", "x".repeat(before));
        let exit = Exit::bare(Why::NotStarted(code::NOT_STARTED), Some(error));
        let Verdict::Ended(outcome) = holding.ended(mask_all(exit, &mask())) else { panic!("it is given back") };
        let error = outcome.note.error.unwrap();
        assert!(!error.contains('Z') && error.trim_start_matches('x').chars().all(|c| c == '*'), "{error}");
    }
}

#[test]
fn whatever_is_stopped_may_have_been_in_the_middle_of_a_secret() {
    let ends = [
        (Why::Exited, Some(0), false),
        (Why::Exited, Some(7), false),
        (Why::Exited, None, true),
        (Why::Timeout, None, true),
        (Why::Stopped, None, true),
        (Why::LeaseLost, None, true),
        (Why::Unknown, None, true),
    ];
    for (why, return_code, is_cut) in ends {
        let stream = Stream { bytes: b"it is Zq7kV-9".to_vec(), truncated: false };
        let exit = Exit { return_code, stdout: stream.clone(), stderr: stream, ..Exit::bare(why, None) };
        let Exit { stdout, stderr, .. } = mask_all(exit, &mask());
        let wanted = if is_cut { "it is ********" } else { "it is Zq7kV-9" };
        for stream in [stdout, stderr] {
            assert_eq!((&*String::from_utf8_lossy(&stream.bytes), stream.truncated), (wanted, false), "{why:?}");
        }
    }
}

/// Every secret is as long as one can be.
struct Long;

impl SecretSource for Long {
    fn open<'s>(&'s self, keys: &'s [String], _: i64) -> Opening<'s> {
        let long = |key: &String| SecretValue::new(format!("{key:.<16384}")).unwrap();
        Box::pin(async move { Ok(keys.iter().map(long).collect()) })
    }
}

/// Parameters that all hold secrets.
#[derive(Debug)]
struct Secret(Vec<String>);

impl CompleteParameters for Secret {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        Ok(given.clone())
    }

    fn secrets(&self) -> &[String] {
        &self.0
    }
}

struct Nothing;

impl PackFiles for Nothing {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

impl PackContent for Nothing {
    fn name(&self) -> String {
        "revision/demo".to_owned()
    }

    fn hash(&self) -> Result<String, String> {
        Ok("abc".to_owned())
    }

    fn files(&self, _: &mut EachFile<'_>) -> Result<(), String> {
        Ok(())
    }
}

async fn open_so_many(count: usize) -> Result<Opened, NotOpened> {
    let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
    let given = names.iter().map(|name| (name.clone(), Value::from(format!("${{secret.demo.{name}}}"))));
    let parameters = Value::Object(given.collect()).to_string();
    let task = Task { parameters, ..crate::worker::attempt::tests::task() };
    let plan = ActionPlan {
        pool: "default".to_owned(),
        delivery: Delivery::AtLeastOnce,
        timeout_ms: 1_000,
        output_bytes_max: 1_000,
        runner: Arc::new(RunnerSpec::parse("noop", &Map::new(), &Nothing).unwrap()),
        parameters: Arc::new(Secret(names)),
    };
    let action = ResolvedAction { plan: Arc::new(plan), pack: Arc::new(Nothing) };
    open(&Long, &task, &action, 0).await
}

#[tokio::test]
async fn an_attempt_has_no_more_secrets_than_can_be_searched_for() {
    let opened = open_so_many(4).await.ok().unwrap();
    let text = format!("it is {}", opened.parameters["p3"].as_str().unwrap());
    let exit = Exit::bare(Why::NotStarted(code::NOT_STARTED), Some(text));
    assert_eq!(masked(exit, &opened.mask).await.error.as_deref(), Some("it is ********"));
    let Err(NotOpened::Failed(code, why)) = open_so_many(5).await else { panic!("they are opened") };
    assert_eq!(code, code::SECRET_UNUSABLE);
    assert!(why.contains("at most 65536 bytes; these have 81920"), "{why}");
}
