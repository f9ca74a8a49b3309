//! A stage that counts records per key, and says so.

use std::sync::{Arc, Mutex, PoisonError};

use petrel_bus::{
    Batch, Context, DueTimer, GlobalsSource, InputTopic, Longest, Output, Silence, Stage, StageSpec, Start, Taken,
    TopicPartition, Versioned,
};

/// The topics of a [`CountStage`].
#[derive(Debug, Clone)]
pub struct Topics {
    /// What it reads.
    pub inputs: Vec<InputTopic>,
    /// Where it writes to.
    pub output: Arc<str>,
    /// Where its state is.
    pub changelog: Arc<str>,
}

/// The globals of a [`CountStage`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether records with the value `wait` are blocked.
    pub closed: bool,
    /// Written beside every output.
    pub label: u64,
    /// Topics read beside the stage's own.
    pub more: Vec<InputTopic>,
    /// Keys that are told beside the log, with their partitions: each cancels its timer and writes `told <key>`.
    pub told: Vec<(u32, String)>,
}

/// Settings that a test changes while drivers run.
#[derive(Debug)]
pub struct SharedSettings(Mutex<Versioned<Settings>>);

impl SharedSettings {
    /// The defaults, as version 1.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Versioned { version: 1, value: Arc::default() })))
    }

    /// Replaces them under the next version.
    pub fn set(&self, settings: Settings) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Versioned { version: current.version + 1, value: Arc::new(settings) };
    }
}

impl GlobalsSource<Settings> for SharedSettings {
    fn current(&self) -> Versioned<Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts records per key and writes one output per record: key, `<topic>/<partition>/<offset> <count>
/// <label> <value>`.
///
/// A value `timer <ms>` or `silence <ms>` also sets a timer of the key, whose firing writes `fired <key>`; `wait` is
/// blocked while [`Settings::closed`]; `panic` panics, as the timer of a key `panic` does while it is closed; `large <bytes>` makes the output that large. Dead letters go to
/// the output topic. A change of the
/// settings to label N writes `globals N` once per partition that has state.
#[derive(Debug)]
pub struct CountStage {
    spec: StageSpec,
    topics: Topics,
    /// What was told by `committed`, `aborted` and `revoked`, for tests that look.
    pub told: Vec<&'static str>,
    /// Whether values that are numbers are none of its input: its own state, which it reads.
    pub ignores_numbers: bool,
    /// Keys that were told: in the open transaction, and before.
    heard: [Vec<String>; 2],
}

impl CountStage {
    /// A stage of that name over those topics.
    pub fn new(name: &str, topics: Topics) -> Self {
        let silence = topics.inputs.first().map(|input| Silence {
            input: input.name.clone(),
            grace_ms: 0,
            longest: Some(Longest { key_ends_with: b"", ms: 60_000 }),
        });
        let (changelog, dead_letters) = (Some(topics.changelog.clone()), topics.output.clone());
        let spec = StageSpec { name: name.into(), changelog, silence, dead_letters };
        Self { spec, topics, told: Vec::new(), ignores_numbers: false, heard: Default::default() }
    }

    /// The same stage, but its counts are its own and last as long as a driver.
    #[must_use]
    pub fn without_changelog(mut self) -> Self {
        self.spec.changelog = None;
        self
    }

    fn take(&self, at: &TopicPartition, offset: i64, key: &[u8], value: &str, context: &mut Context<'_, Settings>) {
        let count: u64 = context.get(key).and_then(|v| std::str::from_utf8(&v).ok()?.parse().ok()).unwrap_or(0) + 1;
        context.put(key, count.to_string().into_bytes()).expect("a number is small");
        // In the middle of the step, with its state half changed.
        assert!(value != "panic", "as told");
        let label = context.globals().label;
        let mut text = format!("{}/{}/{offset} {count} {label} {value}", at.topic, at.partition);
        match value.split_once(' ') {
            Some(("timer", ms)) => {
                let due_ms = context.now_ms() + ms.parse::<i64>().unwrap_or(0);
                context.set_timer(key, due_ms);
            }
            Some(("silence", ms)) => {
                let due_ms = context.now_ms() + ms.parse::<i64>().unwrap_or(0);
                context.set_silence_timer(key, due_ms);
            }
            Some(("large", bytes)) => text.push_str(&"x".repeat(bytes.parse().unwrap_or(0))),
            _ => {}
        }
        context.emit(Output::keyed(&self.topics.output, key, text.into_bytes()));
    }
}

impl Stage for CountStage {
    type Globals = Settings;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, globals: &Settings) -> Vec<InputTopic> {
        self.topics.inputs.iter().chain(&globals.more).cloned().collect()
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, Settings>) -> Taken {
        let at = TopicPartition { topic: batch.topic.clone(), partition: batch.partition };
        for (consumed, record) in batch.records.iter().enumerate() {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default());
            if value == "wait" && context.globals().closed {
                return Taken::Blocked { consumed, reason: "the gate is closed".into() };
            }
            if self.ignores_numbers && value.parse::<u64>().is_ok() {
                continue;
            }
            self.take(&at, record.offset, record.key.unwrap_or_default(), &value, context);
        }
        Taken::All
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, Settings>) {
        for timer in due {
            assert!(*timer.key != *b"panic" || !context.globals().closed, "as told");
            let key = String::from_utf8_lossy(&timer.key).into_owned();
            context.emit(Output::keyed(&self.topics.output, &*timer.key, format!("fired {key}").into_bytes()));
        }
    }

    fn globals_changed(&mut self, context: &mut Context<'_, Settings>) {
        let label = context.globals().label;
        // The state remembers what was said, so that a restored partition says nothing again.
        let said = context.get(b"#label").unwrap_or_default() == label.to_string().as_bytes();
        if label > 0 && !said {
            context.put(b"#label", label.to_string().into_bytes()).expect("a number is small");
            let text = format!("globals {label}").into_bytes();
            context.emit(Output::keyed(&self.topics.output, format!("p{}", context.partition()), text));
        }
    }

    fn told(&mut self, globals: &Settings, mine: &[u32]) -> Vec<u32> {
        let is_new = |key: &String| !self.heard.iter().flatten().any(|heard| heard == key);
        let told = globals.told.iter().filter(|(partition, key)| mine.contains(partition) && is_new(key));
        told.map(|(partition, _)| *partition).collect()
    }

    fn take_told(&mut self, context: &mut Context<'_, Settings>) {
        let here = context.partition();
        for (_, key) in context.globals().told.iter().filter(|(partition, _)| *partition == here) {
            context.cancel_timer(key.as_bytes());
            let text = format!("told {key}").into_bytes();
            context.emit(Output::keyed(&self.topics.output, key.as_bytes(), text));
            self.heard[0].push(key.clone());
        }
    }

    fn committed(&mut self) {
        let [open, before] = &mut self.heard;
        before.append(open);
        self.told.push("committed");
    }

    fn aborted(&mut self) {
        self.heard[0].clear();
        self.told.push("aborted");
    }

    fn revoked(&mut self, _partition: u32) {
        self.told.push("revoked");
    }
}

/// An input that is read from its beginning.
pub(crate) fn from_beginning(name: &Arc<str>) -> InputTopic {
    InputTopic { name: name.clone(), start: Start::Beginning, with: None }
}
