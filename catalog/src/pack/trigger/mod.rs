//! `triggers/*.yaml`: where events come from and what they look like.

mod kafka;
mod own_schemas;
mod timer;

use serde_json::Value;

use crate::limits::{EVERY_MS_MAX, EVERY_MS_MIN};
use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape};
use crate::yaml::{Data, Node};

use super::schema;

pub use kafka::{KafkaSource, Start};
pub use timer::CatchUp;

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

const EXECUTIONS: Shape = Shape { what: "a source of executions", known: &[], later: &["status", "actions"] };

const HTTP: Shape = Shape {
    what: "an HTTP source",
    known: &[],
    later: &["path", "secret", "signature", "hmac", "url", "methods", "headers"],
};

/// Sensors that are built in.
const SENSORS: &[&str] = &["host"];
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

/// How much of the schema is checked on a bound topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validate {
    /// `required` and the types of the paths that rules read.
    Paths,
    /// All of it.
    Full,
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
    let built_in = own_schemas::of(&source);
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
        "kafka" => kafka::read(kind, report),
        "interval" => timer::read(kind, report),
        "http" => Fields::open(kind, &HTTP, report).map(|_| TriggerSource::Http),
        "executions" => Fields::open(kind, &EXECUTIONS, report).map(|_| TriggerSource::Executions),
        _ => read_sensor(&fields, report),
    }
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
