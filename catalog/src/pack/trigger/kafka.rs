//! `source: { kafka: … }`: an existing topic whose records are the events.

use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape};
use crate::yaml::Node;

use super::TriggerSource;
use crate::pack::manifest::check_topic;

const KAFKA: Shape = Shape {
    what: "a Kafka source",
    known: &["topic", "format", "start", "cluster"],
    later: &["schema_registry", "event_time", "headers", "mode", "subject"],
};

/// Formats of the design that this version does not read.
const FORMATS_LATER: &[&str] = &["avro", "json_schema", "cloudevents", "cloudevents_structured", "cloudevents_binary"];

/// A bound topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSource {
    /// Name of the topic. Its records are JSON texts.
    pub topic: String,
    /// Where to begin.
    pub start: Start,
}

/// Where a bound trigger begins to read when it is first applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the end of each partition when the revision is applied.
    Activation,
    /// At the oldest record.
    Earliest,
    /// At the end of each partition when the binding is recorded, which is at the apply too.
    Latest,
    /// At the first record of that time or later, in milliseconds since the epoch.
    At(i64),
}

impl Start {
    /// As a pack writes it; a time in RFC 3339.
    pub fn to_text(self) -> String {
        match self {
            Self::Activation => "activation".to_owned(),
            Self::Earliest => "earliest".to_owned(),
            Self::Latest => "latest".to_owned(),
            Self::At(ms) => jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| t.to_string()),
        }
    }
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<TriggerSource> {
    let fields = Fields::open(node, &KAFKA, report)?;
    let topic = fields.need_text("topic", report);
    if let Some(topic) = &topic
        && let Err(message) = check_topic(&topic.value)
    {
        let message = if topic.value.starts_with("petrel.") {
            format!("{message}; bind a topic of your producers")
        } else {
            message
        };
        report.add(topic.place.at, Code::BadValue, message);
    }
    if let Some(format) = fields.text("format", report)
        && format.value != "json"
    {
        let later = FORMATS_LATER.contains(&format.value.as_str());
        let (code, message) = if later {
            (Code::NotSupported, format!("format {:?} is not supported in this version", format.value))
        } else {
            (Code::BadValue, format!("\"format\" must be \"json\", found {:?}", format.value))
        };
        report.add(format.place.at, code, message);
    }
    if let Some(cluster) = fields.text("cluster", report)
        && cluster.value != "default"
    {
        let message = format!("cluster {:?} is not supported in this version, only \"default\"", cluster.value);
        report.add(cluster.place.at, Code::NotSupported, message);
    }
    let start = fields.text("start", report).map_or(Some(Start::Activation), |text| read_start(&text, report));
    Some(TriggerSource::Kafka(KafkaSource { topic: topic?.value, start: start? }))
}

fn read_start(text: &Located<String>, report: &mut Report<'_>) -> Option<Start> {
    match text.value.as_str() {
        "activation" => Some(Start::Activation),
        "earliest" => Some(Start::Earliest),
        "latest" => Some(Start::Latest),
        time => match time.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Some(Start::At(timestamp.as_millisecond())),
            Err(_) => {
                let message = format!(
                    "\"start\" must be activation, earliest, latest or a time such as 2026-01-31T06:00:00Z, found {time:?}"
                );
                report.add(text.place.at, Code::BadValue, message);
                None
            }
        },
    }
}
