use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use petrel_bus::sim::SimClock;
use petrel_bus::{Acknowledge, Output, Receipt, receipt};
use petrel_schemas::{OutputChunk, decode};
use petrel_secrets::SecretValue;

use super::*;

const TOKEN: &str = "Zq7kV-9xR2mBwT";

/// A log that keeps chunks, and answers nothing while it is away.
#[derive(Default)]
struct Log {
    chunks: Mutex<Vec<OutputChunk>>,
    unanswered: Mutex<Vec<Acknowledge>>,
    is_away: AtomicBool,
}

impl Publisher for Log {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = receipt();
        if self.is_away.load(Ordering::SeqCst) {
            self.unanswered.lock().unwrap().push(acknowledge);
            return receipt;
        }
        let chunk = |output: &Output| decode::<OutputChunk>(output.value.as_deref().unwrap()).unwrap();
        self.chunks.lock().unwrap().extend(outputs.iter().map(chunk));
        acknowledge.send(Ok(Vec::new())).unwrap();
        receipt
    }
}

impl Log {
    fn chunks(&self) -> Vec<OutputChunk> {
        self.chunks.lock().unwrap().clone()
    }

    async fn ended(&self) -> Vec<OutputChunk> {
        while !self.chunks().last().is_some_and(|chunk| chunk.is_last) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let chunks = self.chunks();
        assert!(chunks.is_sorted_by(|one, next| one.sequence < next.sequence));
        assert_eq!(chunks.iter().filter(|chunk| chunk.is_last).count(), 1);
        chunks
    }
}

fn live(log: &Arc<Log>, mask: Mask, options: LiveOptions) -> Live {
    let (publisher, clock) = (log.clone(), SimClock::at(5));
    LiveOutput { options, publisher, clock, topic: "petrel.output".into() }.attempt(&task(), &Arc::new(mask))
}

fn task() -> Task {
    Task {
        execution_id: "e".to_owned(),
        root_execution_id: "e".to_owned(),
        action: "demo.x".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 60_000,
        ..Task::default()
    }
}

fn masks() -> Mask {
    Mask::new([&SecretValue::new(TOKEN.to_owned()).unwrap()])
}

/// Text of a stream, with what was left out.
fn told(chunks: &[OutputChunk], stream: &str) -> String {
    let (mut text, mut at) = (String::new(), 0);
    for chunk in chunks.iter().filter(|chunk| chunk.stream == stream) {
        if chunk.offset > at {
            text += &format!("<{}>", chunk.offset - at);
        }
        text += &String::from_utf8_lossy(&chunk.bytes);
        at = chunk.offset + chunk.bytes.len() as i64;
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_split_over_writes_and_chunks_is_told_by_nobody() {
    let log = Arc::new(Log::default());
    let live = live(&log, masks(), LiveOptions { chunk_bytes_max: 5, ..LiveOptions::default() });
    let text = format!("a {TOKEN} b\n");
    for (at, byte) in text.bytes().enumerate() {
        live.tell(1, at as u64, &[byte]);
        if at % 4 == 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    live.tell(2, 0, &[0xFF, 0xFE]);
    live.tell(3, 0, b"no output");
    live.end([text.len() as u64, 2], true);
    let chunks = log.ended().await;
    assert_eq!(told(&chunks, "stdout"), "a ******** b\n");
    assert!(chunks.len() > 3 && chunks.iter().all(|chunk| chunk.bytes.len() <= 5 && chunk.told_at_ms == 5));
    let errors: Vec<u8> = chunks.iter().filter(|c| c.stream == "stderr").flat_map(|c| c.bytes.clone()).collect();
    assert_eq!(errors, [0xFF, 0xFE]);
}

#[tokio::test(start_paused = true)]
async fn who_writes_nothing_tells_nothing() {
    let log = Arc::new(Log::default());
    let live = live(&log, Mask::NOTHING, LiveOptions::default());
    live.tell(1, 0, b"");
    live.end([0, 0], true);
    drop(live);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(log.chunks(), []);
}

/// A gap, whoever left something out, and the end of a secret behind it.
#[tokio::test(start_paused = true)]
async fn what_is_left_out_is_told_by_its_size_and_no_part_of_a_secret_is_left_beside_it() {
    for cut in 0..=TOKEN.len() {
        let log = Arc::new(Log::default());
        let live = live(&log, masks(), LiveOptions::default());
        let first = format!("first {}", &TOKEN[..cut]);
        live.tell(1, 0, first.as_bytes());
        let later = format!("{}{}", &TOKEN[cut..], ".".repeat(1_000));
        live.tell(1, 1_000, later.as_bytes());
        live.end([3_000, 7], true);
        let chunks = log.ended().await;
        let text = told(&chunks, "stdout");
        let clear: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        assert!(text.starts_with("first "), "{text}");
        assert!(
            !clear.contains("wT") && !clear.contains("Zq") && text.contains("....") && text.ends_with('>'),
            "{text}"
        );
        assert_eq!(told(&chunks, "stderr"), "<7>");
    }
}

/// Neither the runner nor the end of the attempt waits for a log that is away.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_away_costs_a_gap() {
    let log = Arc::new(Log::default());
    log.is_away.store(true, Ordering::SeqCst);
    let live = live(&log, Mask::NOTHING, LiveOptions { queue_bytes_max: 1_000, ..LiveOptions::default() });
    live.tell(1, 0, &[b'a'; 100]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in 0..1_000 {
        live.tell(1, 100 + n * 100, &[b'b'; 100]);
    }
    log.is_away.store(false, Ordering::SeqCst);
    log.unanswered.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(1)).await;
    live.tell(1, 100_100, b"c");
    live.end([100_101, 0], true);
    let text = told(&log.ended().await, "stdout");
    assert_eq!(text, format!("<100>{}<99000>c", "b".repeat(1_000)));
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_take_at_the_end_is_given_up() {
    let log = Arc::new(Log::default());
    log.is_away.store(true, Ordering::SeqCst);
    let live = live(&log, Mask::NOTHING, LiveOptions::default());
    live.tell(1, 0, b"a");
    let queue = Arc::downgrade(&live.0.as_ref().unwrap().queue);
    drop(live);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(queue.upgrade().is_none(), "somebody still waits");
}

/// An attempt whose end nobody tells was cut off, and may have been in the middle of a secret.
#[tokio::test(start_paused = true)]
async fn of_what_is_cut_off_the_beginning_of_a_secret_is_masked() {
    for (is_whole, wanted) in [(true, "it is Zq7k"), (false, "it is ********")] {
        let log = Arc::new(Log::default());
        let live = live(&log, masks(), LiveOptions::default());
        live.tell(1, 0, b"it is Zq7k");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(told(&log.chunks(), "stdout"), "it is ");
        if is_whole {
            live.end([10, 0], true);
        }
        drop(live);
        assert_eq!(told(&log.ended().await, "stdout"), wanted);
    }
}
