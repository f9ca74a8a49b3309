//! The runner `kafka`: a record by way of the log that the worker reports to. Its headers name the execution, so that
//! whoever reads it knows it again where it was written twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use petrel_bus::{Output, PublishError, Publisher, To, Written};
use petrel_execution::runner::KafkaCall;
use petrel_execution::worker::{Exit, Holding, Why};
use petrel_execution::{Delivery, code};
use petrel_schemas::Topics;
use serde_json::json;
use tokio::sync::watch;

use super::Context;
use super::limited::{Leave, limited};

/// Pause before a record is sent again: first and longest, in milliseconds.
const PAUSE_MS: (u64, u64) = (100, 5_000);

/// Header with the execution's id, the same in every attempt.
pub const EXECUTION_HEADER: &str = "petrel-execution-id";

/// Writes records for the attempts of a worker.
#[derive(Clone)]
pub struct KafkaRunner {
    publisher: Arc<dyn Publisher>,
    topics: Topics,
}

/// What is to be known of the attempt beside its call.
#[derive(Debug, Clone, Copy)]
pub struct KafkaRequest<'a> {
    /// Goes into a header.
    pub execution_id: &'a str,
    /// Whether a record of which nobody knows whether it was written is sent again.
    pub delivery: Delivery,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
}

pub(super) async fn carry_out(call: KafkaCall, context: &Context<'_>) -> Exit {
    let request = KafkaRequest {
        execution_id: &context.task.execution_id,
        delivery: context.plan.delivery,
        timeout_ms: context.timeout_ms(),
    };
    (context.started)();
    context.runners.kafka.run(call, request, context.held.subscribe()).await
}

impl std::fmt::Debug for KafkaRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaRunner").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// How far a record came.
#[derive(Debug, Default)]
struct Progress {
    /// How often it was handed to the log.
    sent: AtomicU32,
    /// How often nobody knows what became of it.
    unknown: AtomicU32,
}

impl KafkaRunner {
    /// Writes by this publisher; `topics` tells which are Petrel's own.
    pub fn new(publisher: Arc<dyn Publisher>, topics: Topics) -> Self {
        Self { publisher, topics }
    }

    /// Writes a record until it is acknowledged, and for as long as the attempt may go on.
    pub async fn run(&self, call: KafkaCall, request: KafkaRequest<'_>, held: watch::Receiver<Holding>) -> Exit {
        if self.topics.is_own(&call.topic) {
            let why = format!("{} is one of Petrel's own topics", call.topic);
            return Exit::bare(Why::Failed { code: code::NOT_STARTED, retriable: false }, Some(why));
        }
        let progress = Progress::default();
        let leave = Leave::new(held, request.timeout_ms);
        match limited(leave, self.to_the_end(&call, request, &progress)).await {
            Ok(Ok(written)) => acknowledged(&call, &written, &progress),
            Ok(Err(error)) => refused(&call, error, &progress),
            Err(why) => {
                // What the log has in hand is written in its time, whoever waits for it.
                let is_on_its_way = progress.sent.load(Ordering::Relaxed) > 0;
                Exit::bare(why, is_on_its_way.then(|| format!("the record for {} may have been written", call.topic)))
            }
        }
    }

    async fn to_the_end(
        &self,
        call: &KafkaCall,
        request: KafkaRequest<'_>,
        progress: &Progress,
    ) -> Result<Written, PublishError> {
        let output = output(call, request.execution_id);
        let mut pause_ms = PAUSE_MS.0;
        loop {
            progress.sent.fetch_add(1, Ordering::Relaxed);
            let error = match self.publisher.publish(vec![output.clone()]).await {
                Ok(written) => return Ok(written),
                Err(error) => error,
            };
            match &error {
                PublishError::OutcomeUnknown(_) => {
                    progress.unknown.fetch_add(1, Ordering::Relaxed);
                    if request.delivery == Delivery::AtMostOnce {
                        return Err(error);
                    }
                }
                // Nothing was written.
                PublishError::Unavailable(_) | PublishError::Overloaded => {}
                PublishError::TooLarge { .. } | PublishError::UnknownTopic(_) | PublishError::Closed => {
                    return Err(error);
                }
            }
            tracing::debug!(%error, topic = call.topic, pause_ms, "a record was not acknowledged");
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MS.1);
        }
    }
}

fn output(call: &KafkaCall, execution_id: &str) -> Output {
    let own = (EXECUTION_HEADER.to_owned(), execution_id.to_owned());
    let headers = call.headers.iter().cloned().chain([own]);
    Output {
        topic: call.topic.as_str().into(),
        to: call.partition.map_or(To::Key, To::Partition),
        key: Some(call.key.clone().into_bytes()),
        value: call.value.clone().map(String::into_bytes),
        timestamp_ms: None,
        headers: headers.map(|(name, value)| (name, value.into_bytes())).collect(),
    }
}

fn acknowledged(call: &KafkaCall, written: &Written, progress: &Progress) -> Exit {
    let (at, offset) = written.first().map_or((None, None), |(at, offset)| (Some(at.partition), *offset));
    let result = json!({
        "topic": call.topic,
        "partition": at,
        "offset": offset,
        "key": call.key,
        "sent": progress.sent.load(Ordering::Relaxed),
        "may_be_doubled": progress.unknown.load(Ordering::Relaxed) > 0,
    });
    Exit { result: Some(result), ..Exit::bare(Why::Succeeded, None) }
}

fn refused(call: &KafkaCall, error: PublishError, progress: &Progress) -> Exit {
    let is_known = progress.unknown.load(Ordering::Relaxed) == 0;
    let (code, retriable) = match &error {
        PublishError::OutcomeUnknown(_) => (code::RECORD_UNKNOWN, false),
        PublishError::TooLarge { .. } => (code::RECORD_TOO_LARGE, false),
        PublishError::UnknownTopic(_) => (code::NO_SUCH_TOPIC, true),
        _ => return Exit::bare(Why::GivenBack { begun: !is_known }, Some(error.to_string())),
    };
    Exit::bare(Why::Failed { code, retriable }, Some(format!("the record for {}: {error}", call.topic)))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Mutex, PoisonError};

    use petrel_bus::{Receipt, TopicPartition, receipt};

    use super::super::limited::tests::holding;
    use super::*;

    /// Answers in the order given, then hangs.
    #[derive(Default)]
    struct Answers {
        next: Mutex<VecDeque<Result<Written, PublishError>>>,
        taken: Mutex<Vec<Output>>,
        hanging: Mutex<Vec<petrel_bus::Acknowledge>>,
    }

    impl Publisher for Answers {
        fn publish(&self, outputs: Vec<Output>) -> Receipt {
            let (acknowledge, receipt) = receipt();
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(outputs);
            match self.next.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                Some(answer) => acknowledge.send(answer).unwrap_or_default(),
                None => self.hanging.lock().unwrap_or_else(PoisonError::into_inner).push(acknowledge),
            }
            receipt
        }
    }

    fn call(topic: &str) -> KafkaCall {
        KafkaCall {
            topic: topic.to_owned(),
            key: "db-1".to_owned(),
            partition: None,
            headers: vec![("team".to_owned(), "sre".to_owned())],
            value: Some("{}".to_owned()),
        }
    }

    fn written() -> Written {
        vec![(TopicPartition { topic: "incidents".into(), partition: 2 }, Some(17))]
    }

    async fn run(
        topic: &str,
        delivery: Delivery,
        timeout_ms: u64,
        answers: Vec<Result<Written, PublishError>>,
    ) -> (Exit, Vec<Output>) {
        let log = Arc::new(Answers { next: Mutex::new(answers.into()), ..Answers::default() });
        let (_director, held) = watch::channel(holding(600_000));
        let runner = KafkaRunner::new(log.clone(), Topics::new("petrel.", 4, 4));
        let request = KafkaRequest { execution_id: "e1", delivery, timeout_ms };
        let exit = runner.run(call(topic), request, held).await;
        let taken = std::mem::take(&mut *log.taken.lock().unwrap());
        (exit, taken)
    }

    fn unknown() -> PublishError {
        PublishError::OutcomeUnknown("no answer".to_owned())
    }

    #[tokio::test]
    async fn a_record_says_where_it_stands_and_whose_it_is() {
        let (exit, taken) = run("incidents", Delivery::AtMostOnce, 60_000, vec![Ok(written())]).await;
        assert_eq!(exit.why, Why::Succeeded);
        let expected = json!({
            "topic": "incidents", "partition": 2, "offset": 17, "key": "db-1", "sent": 1, "may_be_doubled": false,
        });
        assert_eq!(exit.result, Some(expected));
        let [output] = &taken[..] else { panic!("{taken:?}") };
        let headers = [("team", "sre"), ("petrel-execution-id", "e1")];
        assert_eq!(output.headers, headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())));
        assert_eq!((output.key.as_deref(), output.to), (Some(&b"db-1"[..]), To::Key));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_certainly_not_written_is_sent_again_by_everybody() {
        let away = || Err(PublishError::Unavailable("no leader".to_owned()));
        for delivery in [Delivery::AtLeastOnce, Delivery::AtMostOnce] {
            let answers = vec![away(), Err(PublishError::Overloaded), Ok(written())];
            let (exit, taken) = run("incidents", delivery, 60_000, answers).await;
            let result = exit.result.unwrap();
            assert_eq!((taken.len(), &result["sent"], &result["may_be_doubled"]), (3, &json!(3), &json!(false)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_written_is_sent_again_only_where_it_may_be_doubled() {
        let (exit, taken) = run("incidents", Delivery::AtLeastOnce, 60_000, vec![Err(unknown()), Ok(written())]).await;
        assert_eq!((taken.len(), exit.why), (2, Why::Succeeded));
        assert_eq!(exit.result.unwrap()["may_be_doubled"], true);
        let (exit, taken) = run("incidents", Delivery::AtMostOnce, 60_000, vec![Err(unknown()), Ok(written())]).await;
        assert_eq!((taken.len(), exit.why), (1, Why::Failed { code: code::RECORD_UNKNOWN, retriable: false }));
    }

    #[tokio::test]
    async fn what_no_repetition_helps_fails_at_once() {
        let too_large = PublishError::TooLarge { bytes: 2, limit_bytes: 1 };
        let no_topic = PublishError::UnknownTopic("incidents".to_owned());
        for (error, code, retriable) in
            [(too_large, code::RECORD_TOO_LARGE, false), (no_topic, code::NO_SUCH_TOPIC, true)]
        {
            let (exit, taken) = run("incidents", Delivery::AtLeastOnce, 60_000, vec![Err(error)]).await;
            assert_eq!((taken.len(), exit.why), (1, Why::Failed { code, retriable }));
        }
        let (exit, taken) = run("petrel.requests", Delivery::AtLeastOnce, 60_000, vec![Ok(written())]).await;
        assert_eq!((taken.len(), exit.why), (0, Why::Failed { code: code::NOT_STARTED, retriable: false }));
        let (exit, _) = run("incidents", Delivery::AtLeastOnce, 60_000, vec![Err(PublishError::Closed)]).await;
        assert_eq!(exit.why, Why::GivenBack { begun: false });
    }

    #[tokio::test]
    async fn what_hangs_ends_with_the_attempt_and_says_that_it_may_have_been_written() {
        let (exit, taken) = run("incidents", Delivery::AtLeastOnce, 50, Vec::new()).await;
        assert_eq!((taken.len(), exit.why), (1, Why::Timeout));
        assert!(exit.error.unwrap().contains("may have been written"));
    }
}
