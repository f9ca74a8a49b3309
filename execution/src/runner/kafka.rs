//! The runner `kafka`: one record for a topic that the action's pack lists under `produces:`.

use std::fmt;

use petrel_cel::{Scope, Template};
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake, kind, step};
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};
use crate::limits::{RECORD_HEADERS_BYTES_MAX, RECORD_KEY_BYTES_MAX, RECORD_VALUE_BYTES_MAX};

const AT: &str = "/record";
const KNOWN: &[&str] = &["topic", "key", "partition", "headers", "json", "text", "tombstone"];

/// Names of headers that begin so are Petrel's.
pub const OWN_HEADERS: &str = "petrel-";

/// Partitions of a topic that an action can name, from 0.
const PARTITION_MAX: u32 = 99_999;

/// A record, as templates.
#[derive(Debug)]
pub struct KafkaSpec {
    topic: Template,
    /// The topic, where it is the same for every execution.
    constant: Option<String>,
    /// Topics that the pack may produce to.
    produces: Vec<String>,
    key: Option<Template>,
    partition: Option<u32>,
    headers: Vec<(String, Template)>,
    value: ValueSpec,
    secrets: Vec<(String, SecretRef)>,
}

#[derive(Debug)]
enum ValueSpec {
    Json(Template),
    Text(Template),
    Tombstone,
}

/// A record to write.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaCall {
    /// Topic, one that the pack lists.
    pub topic: String,
    /// Key; the execution's id where the action has none.
    pub key: String,
    /// Partition, where the action names one; else the key decides.
    pub partition: Option<u32>,
    /// Headers, in the order of the file.
    pub headers: Vec<(String, String)>,
    /// Value; none is a tombstone.
    pub value: Option<String>,
}

/// Without what may hold a secret.
impl fmt::Debug for KafkaCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaCall").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl KafkaSpec {
    /// Whether it may write to a topic; never to one that its pack does not list.
    pub(super) fn may_write_to(&self, topic: &str) -> bool {
        match &self.constant {
            Some(constant) => constant == topic,
            None => self.produces.iter().any(|listed| listed == topic),
        }
    }
}

impl Spec for KafkaSpec {
    const NAME: &'static str = "kafka";
    const KEYS: &'static [&'static str] = &["record"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let record = keys.need("record").and_then(|record| keys.mapping(record, AT, "record", KNOWN));
        let Some(record) = record else { return Err(keys.errors) };
        let produces = files.produces();
        let topic = read_topic(record, &produces, &mut keys);
        let key = record.get("key").and_then(|key| keys.text_template(key, "/record/key", "key"));
        let partition = record.get("partition").map(|partition| {
            keys.whole(partition, "/record/partition", "partition", PARTITION_MAX).unwrap_or_default()
        });
        let headers = read_headers(record, &mut keys);
        let value = read_value(record, &mut keys);
        let Keys { errors, secrets, .. } = keys;
        match (topic, value) {
            (Some(topic), Some(value)) if errors.is_empty() => {
                let written = record.get("topic").and_then(Value::as_str);
                let constant = written.filter(|topic| !topic.contains("${")).map(str::to_owned);
                Ok(Self { topic, constant, produces, key, partition, headers, value, secrets })
            }
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }
}

fn read_topic<'k>(record: &'k Map<String, Value>, produces: &[String], keys: &mut Keys<'k>) -> Option<Template> {
    let Some(topic) = record.get("topic") else {
        keys.error(AT, Mistake::Missing, "a record needs \"topic\"");
        return None;
    };
    if let Value::String(topic) = topic
        && !topic.contains("${")
        && let Err(message) = check_topic(topic, produces)
    {
        keys.error("/record/topic", Mistake::BadValue, message);
    } else if produces.is_empty() {
        keys.error("/record/topic", Mistake::BadValue, "the pack lists no topic under \"produces\" in pack.yaml");
    }
    keys.text_template(topic, "/record/topic", "topic")
}

/// Whether the pack lists it. `produces:` is what a reviewer reads to know where a pack writes.
fn check_topic(topic: &str, produces: &[String]) -> Result<(), String> {
    match produces.iter().any(|listed| listed == topic) {
        true => Ok(()),
        false => Err(format!("the pack does not list the topic {topic:?} under \"produces\" in pack.yaml")),
    }
}

fn read_headers<'k>(record: &'k Map<String, Value>, keys: &mut Keys<'k>) -> Vec<(String, Template)> {
    let Some(headers) = record.get("headers") else { return Vec::new() };
    let Value::Object(headers) = headers else {
        let message = format!("\"headers\" must be a mapping, found {}", kind(headers));
        keys.error("/record/headers", Mistake::WrongType, message);
        return Vec::new();
    };
    let mut read = Vec::new();
    for (name, value) in headers {
        let at = format!("/record/headers/{}", step(name));
        if name.is_empty() || name.to_ascii_lowercase().starts_with(OWN_HEADERS) {
            let message =
                format!("{name:?} is no name of a header: those that begin with {OWN_HEADERS:?} are Petrel's");
            keys.error(at.as_str(), Mistake::BadName, message);
        }
        read.extend(keys.text_template(value, &at, name).map(|value| (name.clone(), value)));
    }
    read
}

fn read_value<'k>(record: &'k Map<String, Value>, keys: &mut Keys<'k>) -> Option<ValueSpec> {
    let mut there = ["json", "text", "tombstone"].into_iter().filter_map(|name| Some((name, record.get(name)?)));
    let (Some((name, value)), None) = (there.next(), there.next()) else {
        keys.error(AT, Mistake::BadValue, "a record has exactly one of \"json\", \"text\", \"tombstone\"");
        return None;
    };
    match name {
        "json" => keys.template_of(value, "/record/json").map(ValueSpec::Json),
        "text" => keys.text_template(value, "/record/text", "text").map(ValueSpec::Text),
        _ if *value == Value::Bool(true) => Some(ValueSpec::Tombstone),
        _ => {
            keys.error("/record/tombstone", Mistake::BadValue, "\"tombstone\" must be true, or be left out");
            None
        }
    }
}

impl Works for KafkaSpec {
    type Call = KafkaCall;

    fn render(&self, rendering: Rendering<'_>) -> Result<KafkaCall, RenderError> {
        let scope = rendering.scope();
        let topic = text(&self.topic, &scope, "the topic")?;
        check_topic(&topic, &self.produces).map_err(RenderError)?;
        let key = match &self.key {
            Some(key) => text(key, &scope, "the key")?,
            None => rendering.execution_id.to_owned(),
        };
        let headers = self.headers.iter();
        let headers =
            headers.map(|(name, value)| Ok((name.clone(), text(value, &scope, &format!("header {name:?}"))?)));
        let headers = headers.collect::<Result<Vec<_>, _>>()?;
        let value = match &self.value {
            ValueSpec::Json(value) => {
                Some(value.render(&scope).map_err(|e| RenderError(format!("the value: {e}")))?.to_string())
            }
            ValueSpec::Text(value) => Some(text(value, &scope, "the value")?),
            ValueSpec::Tombstone => None,
        };
        let headers_bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        for (what, bytes, most) in [
            ("key", key.len(), RECORD_KEY_BYTES_MAX),
            ("headers", headers_bytes, RECORD_HEADERS_BYTES_MAX),
            ("value", value.as_ref().map_or(0, String::len), RECORD_VALUE_BYTES_MAX),
        ] {
            if bytes > most {
                return Err(RenderError(format!("the record's {what} of {bytes} bytes is over the limit of {most}")));
            }
        }
        Ok(KafkaCall { topic, key, partition: self.partition, headers, value })
    }
}

fn text(template: &Template, scope: &Scope<'_>, what: &str) -> Result<String, RenderError> {
    template.render_text(scope).map_err(|e| RenderError(format!("{what}: {e}")))
}

impl Call for KafkaCall {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Pack;

    impl PackFiles for Pack {
        fn executable(&self, _: &str) -> Option<bool> {
            None
        }

        fn hint(&self, _: &str) -> String {
            String::new()
        }

        fn produces(&self) -> Vec<String> {
            vec!["incidents".to_owned(), "notes".to_owned()]
        }
    }

    fn parse(record: Value) -> Result<KafkaSpec, Vec<String>> {
        let keys = Map::from_iter([("record".to_owned(), record)]);
        KafkaSpec::parse(&keys, &Pack).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn render(spec: &KafkaSpec, parameters: &Value) -> Result<KafkaCall, RenderError> {
        spec.render(Rendering { parameters, secrets: &Value::Null, execution_id: "e1", attempt: 2 })
    }

    #[test]
    fn a_record_is_rendered() {
        let spec = parse(json!({
            "topic": "incidents",
            "key": "${parameters.host}",
            "headers": {"team": "sre", "n": "${parameters.n}"},
            "json": {"host": "${parameters.host}", "n": "${parameters.n}"},
        }));
        let call = render(&spec.unwrap(), &json!({"host": "db\"1", "n": 7})).unwrap();
        assert_eq!((&*call.topic, &*call.key, call.partition), ("incidents", "db\"1", None));
        assert_eq!(
            call.headers,
            [("team", "sre"), ("n", "7")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(call.value.as_deref(), Some(r#"{"host":"db\"1","n":7}"#));

        let spec = parse(json!({"topic": "notes", "partition": 3, "text": "${parameters.host}"})).unwrap();
        let call = render(&spec, &json!({"host": "a"})).unwrap();
        assert_eq!((&*call.key, call.partition, call.value.as_deref()), ("e1", Some(3), Some("a")));
        let spec = parse(json!({"topic": "notes", "key": "k", "tombstone": true})).unwrap();
        assert_eq!(render(&spec, &json!({})).unwrap().value, None);
    }

    #[test]
    fn a_parameter_leads_to_no_topic_that_the_pack_does_not_list() {
        let spec = parse(json!({"topic": "${parameters.topic}", "text": "x"})).unwrap();
        assert_eq!(render(&spec, &json!({"topic": "notes"})).unwrap().topic, "notes");
        for topic in ["petrel.requests", "note", "notes ", ""] {
            let error = render(&spec, &json!({"topic": topic})).unwrap_err().to_string();
            assert!(error.contains("does not list the topic"), "{error}");
        }
    }

    #[test]
    fn every_mistake_is_told_where_it_is() {
        for (record, expected) in [
            (json!([]), "/record: \"record\" must be a mapping, found a list"),
            (json!({"text": "x"}), "/record: a record needs \"topic\""),
            (
                json!({"topic": "other", "text": "x"}),
                "/record/topic: the pack does not list the topic \"other\" under \"produces\" in pack.yaml",
            ),
            (json!({"topic": "notes"}), "/record: a record has exactly one of \"json\", \"text\", \"tombstone\""),
            (
                json!({"topic": "notes", "text": "x", "json": 1}),
                "/record: a record has exactly one of \"json\", \"text\", \"tombstone\"",
            ),
            (
                json!({"topic": "notes", "tombstone": false}),
                "/record/tombstone: \"tombstone\" must be true, or be left out",
            ),
            (
                json!({"topic": "notes", "text": "x", "headers": {"Petrel-Execution-Id": "x"}}),
                "/record/headers/Petrel-Execution-Id: \"Petrel-Execution-Id\" is no name of a header: those that begin \
                 with \"petrel-\" are Petrel's",
            ),
            (
                json!({"topic": "notes", "text": "x", "partition": -1}),
                "/record/partition: \"partition\" must be a whole number, at most 99999",
            ),
            (
                json!({"topic": "notes", "text": "x", "value": 1}),
                "/record/value: unknown key \"value\" in \"record\", which has \"topic\", \"key\", \"partition\", \
                 \"headers\", \"json\", \"text\", \"tombstone\"",
            ),
        ] {
            assert_eq!(parse(record).unwrap_err(), [expected]);
        }
    }

    #[test]
    fn limits_are_named() {
        let spec = parse(json!({"topic": "notes", "key": "${parameters.key}", "text": "${parameters.text}"})).unwrap();
        let of = |key: usize, text: usize| {
            render(&spec, &json!({"key": "k".repeat(key), "text": "t".repeat(text)})).map_err(|e| e.to_string())
        };
        assert!(of(RECORD_KEY_BYTES_MAX, RECORD_VALUE_BYTES_MAX).is_ok());
        assert_eq!(of(1_025, 1).unwrap_err(), "the record's key of 1025 bytes is over the limit of 1024");
        assert!(of(1, RECORD_VALUE_BYTES_MAX + 1).unwrap_err().starts_with("the record's value of 786433 bytes"));
    }
}
