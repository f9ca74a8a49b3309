use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use petrel_bus::{Bus, BusError, Publisher, Session, SessionOptions, Tail, TopicSpec};
use petrel_catalog::{Application, CatalogState, NeededBinding, Retention, Start, needed_bindings, publish};
use petrel_schemas::Topics;

use super::{BindingError, MissingTopic, start_offsets};
use crate::admission::tests::revision;

/// A log of topics with first and next offsets; every record is as many milliseconds old as its offset.
#[derive(Default)]
struct Log {
    topics: Mutex<BTreeMap<String, Vec<(i64, i64)>>>,
    asked: Mutex<Vec<String>>,
    down: bool,
}

impl Log {
    fn with(topics: &[(&str, &[(i64, i64)])]) -> Self {
        let topics = topics.iter().map(|(name, offsets)| ((*name).to_owned(), offsets.to_vec())).collect();
        Self { topics: Mutex::new(topics), ..Self::default() }
    }

    fn offsets(&self, how: &str, topic: &str, pick: impl Fn(&(i64, i64)) -> i64) -> Result<Vec<i64>, BusError> {
        self.asked.lock().unwrap().push(format!("{how} {topic}"));
        let topics = self.topics.lock().unwrap();
        let found = topics.get(topic).ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))?;
        Ok(found.iter().map(pick).collect())
    }
}

impl Bus for Log {
    fn cluster_id(&self) -> Result<String, BusError> {
        Ok("log".to_owned())
    }

    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        for topic in topics {
            assert!(!topic.compacted);
            let empty = vec![(0, 0); topic.partitions as usize];
            self.topics.lock().unwrap().insert(topic.name.to_string(), empty);
        }
        Ok(())
    }

    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        if self.down {
            return Err(BusError::Unavailable("down".into()));
        }
        Ok(self.topics.lock().unwrap().get(topic).map(|offsets| offsets.len() as u32))
    }

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.offsets("end", topic, |(_, end)| *end)
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.offsets("beginning", topic, |(first, _)| *first)
    }

    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        self.offsets("at", topic, |(first, end)| time_ms.clamp(*first, *end))
    }

    fn publisher(&self, _: &str) -> Result<Arc<dyn Publisher>, BusError> {
        unreachable!("bindings do not write")
    }

    fn tail(&self, _: &str) -> Result<Box<dyn Tail>, BusError> {
        unreachable!("bindings do not read")
    }

    fn session(&self, _: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        unreachable!("bindings do not read")
    }
}

fn need(trigger: &str, topic: &str, start: Start) -> NeededBinding {
    NeededBinding { trigger: trigger.to_owned(), topic: topic.to_owned(), start }
}

fn own() -> Topics {
    Topics::new("petrel.", 3, 3)
}

fn find(log: &Log, needed: &[NeededBinding]) -> Result<BTreeMap<String, Vec<i64>>, Vec<BindingError>> {
    start_offsets(needed, log, &own(), &MissingTopic::Refuse)
}

#[test]
fn every_start_has_its_offsets() {
    let log = Log::with(&[("a", &[(5, 10), (0, 0), (7, 30)]), ("b", &[(0, 4)])]);
    let needed = [
        need("p.activation", "a", Start::Activation),
        need("p.latest", "a", Start::Latest),
        need("p.earliest", "a", Start::Earliest),
        need("p.time", "a", Start::At(9)),
        need("p.other", "b", Start::Activation),
    ];
    let expected = [
        ("p.activation", vec![10, 0, 30]),
        ("p.latest", vec![10, 0, 30]),
        ("p.earliest", vec![5, 0, 7]),
        ("p.time", vec![9, 0, 9]),
        ("p.other", vec![4]),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(t, o)| (t.to_owned(), o)).collect();
    assert_eq!(find(&log, &needed), Ok(expected));
    let mut asked = log.asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ["at a", "beginning a", "end a", "end b"], "each question once");
}

#[test]
fn nothing_needed_nothing_asked() {
    assert_eq!(find(&Log { down: true, ..Log::default() }, &[]), Ok(BTreeMap::new()));
}

#[test]
fn what_is_wrong_is_told() {
    let log = Log::with(&[("a", &[(0, 1)])]);
    let check = |needed: &[NeededBinding], texts: &[(&str, &str)]| {
        let errors = find(&log, needed).expect_err("refused");
        let found: Vec<_> = errors.iter().map(|e| (e.code(), e.to_string())).collect();
        let expected: Vec<_> = texts.iter().map(|(code, text)| (*code, (*text).to_owned())).collect();
        assert_eq!(found, expected);
        assert!(errors.iter().all(|e| !e.may_pass()));
    };
    let own = [need("p.x", "petrel.audit", Start::Earliest), need("p.y", "a", Start::Earliest)];
    let text = "trigger p.x is bound to petrel.audit, which is one of Petrel's own topics";
    check(&own, &[("binding_own_topic", text)]);
    let missing =
        [need("p.x", "no", Start::Earliest), need("p.y", "nor", Start::Latest), need("p.z", "a", Start::Latest)];
    let texts = [
        ("binding_topic_missing", "trigger p.x is bound to the topic no, which does not exist: create it first"),
        ("binding_topic_missing", "trigger p.y is bound to the topic nor, which does not exist: create it first"),
    ];
    check(&missing, &texts);
}

#[test]
fn an_unreachable_log_may_come_back() {
    let log = Log { down: true, ..Log::with(&[("a", &[(0, 1)])]) };
    let errors = find(&log, &[need("p.x", "a", Start::Latest)]).expect_err("down");
    assert!(errors.len() == 1 && errors[0].may_pass() && errors[0].code() == "binding_bus_failed", "{errors:?}");
}

#[test]
fn missing_topics_are_created_where_nobody_else_would() {
    let log = Log::with(&[("a", &[(0, 1)])]);
    let needed = [need("p.x", "a", Start::Latest), need("p.y", "b", Start::Activation)];
    let create = MissingTopic::Create { partitions: 2, retention_ms: Some(1) };
    let offsets = start_offsets(&needed, &log, &own(), &create).unwrap();
    assert_eq!((offsets["p.x"].as_slice(), offsets["p.y"].as_slice()), (&[1][..], &[0, 0][..]));
    assert_eq!(log.topics.lock().unwrap()["a"], [(0, 1)], "what exists is left alone");
}

/// With the catalog: a binding that stands is kept through later applies, a changed one is found anew.
#[test]
fn bindings_stand_until_they_change() {
    let log = Log::with(&[("a", &[(0, 10)]), ("b", &[(3, 20)])]);
    let mut state = CatalogState::new();
    let mut apply = |trigger: &str, version: &str, at: i64| {
        let pack = format!("name: p\nversion: {version}\ndescription: d\n");
        let revision = revision(&[("pack.yaml", pack.as_str()), ("triggers/t.yaml", trigger)]);
        let offsets = find(&log, &needed_bindings(&state, revision.compiled())).unwrap();
        let how = Application { now_ms: at, applied_by: "test", retention: Retention::default(), offsets };
        for (key, value) in publish(&state, &revision, &how).unwrap().catalog {
            state.apply(&key, value.as_deref()).unwrap();
        }
        log.topics.lock().unwrap().values_mut().for_each(|o| o.iter_mut().for_each(|(_, end)| *end += 100));
        state.bindings().get("p.t").map(|b| (b.topic.clone(), b.offsets.clone(), b.bound_at_ms))
    };
    let bound = |topic: &str, offset, at| Some((topic.to_owned(), vec![offset], at));
    let on_a = "name: t\nsource: { kafka: { topic: a, format: json } }\n";
    assert_eq!(apply(on_a, "1.0.0", 1), bound("a", 10, 1));
    assert_eq!(apply(on_a, "1.0.1", 2), bound("a", 10, 1));
    assert_eq!(
        apply("name: t\nsource: { kafka: { topic: b, format: json, start: earliest } }\n", "2.0.0", 3),
        bound("b", 3, 3)
    );
    assert_eq!(apply("name: t\n", "3.0.0", 4), None);
    assert_eq!(apply(on_a, "4.0.0", 5), bound("a", 410, 5));
}
