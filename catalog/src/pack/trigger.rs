//! `triggers/*.yaml`: where events come from and what they look like.

use serde_json::{Value, json};

use crate::limits::{EVERY_MS_MAX, EVERY_MS_MIN};
use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape};
use crate::yaml::{Data, Node};

use super::manifest::check_topic;
use super::schema;

const TRIGGER: Shape = Shape {
    what: "a trigger",
    known: &["name", "description", "source", "schema", "key", "validate"],
    later: &["pack", "payload_schema", "parameters_schema", "tags", "event_time", "dedup", "enabled", "metadata_file"],
};

const SOURCE: Shape = Shape {
    what: "a source",
    known: &["kafka", "interval", "http", "sensor", "every", "executions"],
    later: &["cron", "date", "webhook", "poll", "process", "syslog", "stackstorm", "file"],
};

const KAFKA: Shape = Shape {
    what: "a Kafka source",
    known: &["topic", "format", "start", "cluster"],
    later: &["schema_registry", "event_time", "headers", "mode", "subject"],
};

const INTERVAL: Shape =
    Shape { what: "an interval", known: &["every", "catch_up"], later: &["cron", "timezone", "unit", "delta"] };

const EXECUTIONS: Shape = Shape { what: "a source of executions", known: &[], later: &["status", "actions"] };

const HTTP: Shape = Shape {
    what: "an HTTP source",
    known: &[],
    later: &["path", "secret", "signature", "hmac", "url", "methods", "headers"],
};

/// Sensors that are built in.
const SENSORS: &[&str] = &["host"];
/// Formats of the design that this version does not read.
const FORMATS_LATER: &[&str] = &["avro", "json_schema", "cloudevents", "cloudevents_structured", "cloudevents_binary"];

/// Where a trigger's events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerSource {
    /// `POST /v1/events/{trigger}`.
    Http,
    /// The records of a user's topic are the events.
    Kafka(KafkaSource),
    /// A timer.
    Interval {
        /// Time between two events, in milliseconds.
        every_ms: i64,
        /// What becomes of instants that passed unseen.
        catch_up: CatchUp,
    },
    /// A built-in sensor.
    Sensor {
        /// Its name: `host`.
        sensor: String,
        /// Time between two samples, in milliseconds.
        every_ms: i64,
    },
    /// The ends of executions: [`ENDS_TRIGGER`](petrel_schemas::ENDS_TRIGGER), and no other trigger, has it.
    Executions,
}

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

/// What a timer does about instants that passed while nobody ran it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// Nothing.
    None,
    /// Fires the last of them.
    Last,
    /// Fires each of them.
    All,
}

/// How much of the schema is checked on a bound topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validate {
    /// `required` and the types of the paths that rules read.
    Paths,
    /// All of it.
    Full,
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

impl CatchUp {
    /// As a pack writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Last => "last",
            Self::All => "all",
        }
    }
}

/// A trigger as its file says it.
#[derive(Debug)]
pub(crate) struct TriggerDraft {
    pub(crate) name: Located<String>,
    pub(crate) description: String,
    pub(crate) source: TriggerSource,
    pub(crate) schema: Option<Value>,
    pub(crate) key: Option<Located<String>>,
    pub(crate) validate: Validate,
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<TriggerDraft> {
    let fields = Fields::open(node, &TRIGGER, report)?;
    let name = fields.need_name(report);
    let description = fields.description(report);
    let source = match fields.get("source", report) {
        None => Some(TriggerSource::Http),
        Some(node) => read_source(node, report),
    };
    let schema_node = fields.get("schema", report);
    let own_schema = schema_node.and_then(|node| schema::read(node, report));
    let key = fields.text("key", report);
    let source = source?;
    let validate = read_validate(&fields, &source, report);
    let built_in = built_in_schema(&source);
    if let (Some(node), Some(_)) = (schema_node, &built_in) {
        let message = "the events of this source have a schema of their own: leave \"schema\" out";
        report.add(node.at, Code::BadValue, message);
    }
    if let (Some(key), TriggerSource::Kafka(_)) = (&key, &source) {
        let message = "a bound topic keeps its producers' keys: leave \"key\" out";
        report.add(key.place.at, Code::BadValue, message);
    }
    if let (Some(key), TriggerSource::Interval { .. } | TriggerSource::Executions) = (&key, &source) {
        let message = "the events of this source are keyed by their ids: leave \"key\" out";
        report.add(key.place.at, Code::BadValue, message);
    }
    Some(TriggerDraft { name: name?, description, source, schema: built_in.or(own_schema), key, validate })
}

fn read_validate(fields: &Fields<'_>, source: &TriggerSource, report: &mut Report<'_>) -> Validate {
    let bound = matches!(source, TriggerSource::Kafka(_));
    let default = if bound { Validate::Paths } else { Validate::Full };
    let words = [("paths", Validate::Paths), ("full", Validate::Full)];
    let validate = fields.word("validate", &words, default, report);
    if !bound && validate == Validate::Paths {
        let at = fields.get("validate", report).map_or(fields.at(), |node| node.at);
        report.add(
            at,
            Code::BadValue,
            "\"paths\" is for bound topics; events of other sources are always checked in full",
        );
    }
    validate
}

fn read_source(node: &Node, report: &mut Report<'_>) -> Option<TriggerSource> {
    let fields = Fields::open(node, &SOURCE, report)?;
    let kinds = ["kafka", "interval", "http", "sensor", "executions"];
    let Data::Map(entries) = &node.data else { return None };
    let present: Vec<_> = entries.iter().filter(|(key, _)| kinds.contains(&key.text.as_str())).collect();
    let [(key, _)] = present.as_slice() else {
        // A kind of a later version has been reported already.
        if present.len() > 1 || entries.iter().all(|(key, _)| SOURCE.known.contains(&key.text.as_str())) {
            report.add(
                node.at,
                Code::BadValue,
                "a source has exactly one of \"kafka\", \"interval\", \"http\", \"sensor\", \"executions\"",
            );
        }
        return None;
    };
    if key.text != "sensor"
        && let Some(every) = fields.get("every", report)
    {
        report.add(every.at, Code::BadValue, "\"every\" stands beside \"sensor\" only; an interval has it inside");
    }
    let kind = fields.get(&key.text, report)?;
    match key.text.as_str() {
        "kafka" => read_kafka(kind, report),
        "interval" => read_interval(kind, report),
        "http" => Fields::open(kind, &HTTP, report).map(|_| TriggerSource::Http),
        "executions" => Fields::open(kind, &EXECUTIONS, report).map(|_| TriggerSource::Executions),
        _ => read_sensor(&fields, report),
    }
}

fn read_kafka(node: &Node, report: &mut Report<'_>) -> Option<TriggerSource> {
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

fn read_interval(node: &Node, report: &mut Report<'_>) -> Option<TriggerSource> {
    let fields = Fields::open(node, &INTERVAL, report)?;
    fields.need("every", report)?;
    let every_ms = fields.duration_ms("every", EVERY_MS_MIN, EVERY_MS_MAX, report);
    let words = [("none", CatchUp::None), ("last", CatchUp::Last), ("all", CatchUp::All)];
    let catch_up = fields.word("catch_up", &words, CatchUp::Last, report);
    Some(TriggerSource::Interval { every_ms: every_ms?, catch_up })
}

fn read_sensor(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<TriggerSource> {
    let sensor = fields.text("sensor", report)?;
    if !SENSORS.contains(&sensor.value.as_str()) {
        let message = format!("sensor {:?} is not supported in this version, only \"host\"", sensor.value);
        report.add(sensor.place.at, Code::NotSupported, message);
        return None;
    }
    fields.need("every", report)?;
    let every_ms = fields.duration_ms("every", EVERY_MS_MIN, EVERY_MS_MAX, report)?;
    Some(TriggerSource::Sensor { sensor: sensor.value, every_ms })
}

/// Schema of the events that Petrel makes itself.
fn built_in_schema(source: &TriggerSource) -> Option<Value> {
    match source {
        TriggerSource::Http | TriggerSource::Kafka(_) => None,
        TriggerSource::Interval { .. } => Some(json!({
            "type": "object",
            "required": ["scheduled_at", "scheduled_ms", "timer"],
            "properties": {
                "scheduled_at": { "type": "string" },
                "scheduled_ms": { "type": "integer" },
                "timer": { "type": "string" },
            },
        })),
        TriggerSource::Executions => Some(ends_schema()),
        TriggerSource::Sensor { .. } => Some(json!({
            "type": "object",
            "required": ["host", "sample", "load1", "process_count"],
            "properties": {
                "host": { "type": "string" },
                "sample": { "type": "integer" },
                "load1": { "type": "number" },
                "load5": { "type": "number" },
                "load15": { "type": "number" },
                "cpu_count": { "type": "integer" },
                "memory_total_bytes": { "type": "integer" },
                "memory_used_pct": { "type": "number" },
                "disk_mount": { "type": "string" },
                "disk_used_pct": { "type": "number" },
                "process_count": { "type": "integer" },
                "uptime_s": { "type": "integer" },
            },
        })),
    }
}

/// Schema of the ends of executions. What an execution has not is null.
fn ends_schema() -> Value {
    let text = json!({ "type": "string" });
    let text_or_null = json!({ "type": ["string", "null"] });
    let whole = json!({ "type": "integer" });
    let whole_or_null = json!({ "type": ["integer", "null"] });
    json!({
        "type": "object",
        "required": ["execution_id", "action", "status"],
        "properties": {
            "execution_id": text,
            "root_execution_id": text,
            "parent_execution_id": text_or_null,
            "action": text,
            "parameters": {},
            "rule": text_or_null,
            "trigger": text_or_null,
            "event_id": text_or_null,
            "requested_by": text,
            "revision": text,
            "status": { "enum": ["succeeded", "failed", "timeout", "canceled", "abandoned"] },
            "code": text_or_null,
            "error": text_or_null,
            "return_code": whole_or_null,
            "result": {},
            "extracted": {},
            "attempt": whole,
            "worker": text_or_null,
            "cause_depth": whole,
            "requested_at_ms": whole,
            "started_at_ms": whole_or_null,
            "ended_at_ms": whole,
        },
    })
}
