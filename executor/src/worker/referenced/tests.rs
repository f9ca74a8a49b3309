use std::path::Path;
use std::sync::Arc;

use petrel_bus::sim::SimClock;
use petrel_execution::runner::RunnerSpec;
use petrel_execution::{CompleteParameters, Delivery, ParameterError};
use serde_json::json;

use super::*;
use crate::objects::{ObjectOptions, Place};
use crate::worker::example::{self, EmptyPack};

/// Takes a list as `rows`, and anything else.
#[derive(Debug)]
struct Rows;

impl CompleteParameters for Rows {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        match given.get("rows") {
            Some(rows) if !rows.is_array() => {
                Err(ParameterError { action: "demo.x".to_owned(), reasons: vec!["rows: not a list".to_owned()] })
            }
            _ => Ok(given.clone()),
        }
    }
}

fn action() -> ResolvedAction {
    let runner = RunnerSpec::parse("noop", &Map::new(), &EmptyPack).unwrap();
    example::action(runner, Delivery::AtLeastOnce, Arc::new(Rows))
}

fn objects(folder: &Path) -> Objects {
    let options =
        ObjectOptions { place: Place::Files(folder.to_owned()), object_bytes_max: 1 << 20, retention_ms: 1_000 };
    Objects::new(options, SimClock::at(0)).unwrap()
}

#[tokio::test]
async fn a_reference_in_its_place_is_its_value_and_everywhere_else_a_value_itself() {
    let dir = tempfile::tempdir().unwrap();
    let objects = objects(dir.path());
    let reference = objects.put(b"[1,2]".to_vec(), JSON).await.unwrap().to_value();
    let resolved = resolve(&objects, &action(), json!({ "host": "db-1", "$objects": { "rows": reference } })).await;
    assert_eq!(resolved, Ok(json!({ "host": "db-1", "rows": [1, 2] })));

    for forged in [
        json!({ "text": reference.to_string() }),
        json!({ "any": reference }),
        json!({ "any": { "$objects": { "rows": reference } } }),
        json!({ "any": format!("{{\"$objects\":{{\"rows\":{reference}}}}}") }),
    ] {
        assert_eq!(resolve(&objects, &action(), forged.clone()).await, Ok(forged));
    }
}

#[tokio::test]
async fn what_cannot_be_used_fails_the_attempt_and_a_store_that_is_away_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let objects = objects(dir.path());
    let of = |reference: Value| json!({ "$objects": { "rows": reference } });
    let put = async |text: &str| objects.put(text.as_bytes().to_vec(), JSON).await.unwrap();
    let failed = async |parameters: Value| match resolve(&objects, &action(), parameters).await {
        Err(NotResolved::Failed(code, why)) => (code, why),
        other => panic!("{other:?}"),
    };
    let (code, why) = failed(of(put("{}").await.to_value())).await;
    assert_eq!((code, &*why), (code::INVALID_PARAMETERS, "demo.x: rows: not a list"));
    let (code, why) = failed(of(put("[").await.to_value())).await;
    assert_eq!((code, &*why), (code::OBJECT_UNUSABLE, "the object of parameter \"rows\" is no JSON"));
    let good = put("[3]").await;
    for (wrong, expected) in [
        (ObjectRef { sha256: "0".repeat(64), ..good.clone() }, "is not in the store any more"),
        (ObjectRef { bytes: 2, ..good.clone() }, "is not what was put in"),
        (ObjectRef { bytes: OBJECTS_BYTES_MAX + 1, ..good.clone() }, "more than the limit of 33554432"),
        (ObjectRef { media_type: "image/png".to_owned(), ..good.clone() }, "is image/png, and no JSON"),
        (ObjectRef { sha256: "../x".to_owned(), ..good.clone() }, "holds no reference"),
    ] {
        let (code, why) = failed(of(wrong.to_value())).await;
        assert_eq!(code, code::OBJECT_UNUSABLE);
        assert!(why.contains(expected), "{why}");
    }
    // Another worker may have that store.
    let elsewhere = ObjectRef { store: "s3/a".to_owned(), ..good.clone() };
    match resolve(&objects, &action(), of(elsewhere.to_value())).await {
        Err(NotResolved::Away(why)) => assert!(why.contains("\"s3/a\", which is not the one"), "{why}"),
        other => panic!("{other:?}"),
    }
    // A folder cannot be read that is a file's.
    let (folder, name) = good.sha256.split_at(2);
    std::fs::remove_file(dir.path().join(folder).join(name)).unwrap();
    std::fs::create_dir(dir.path().join(folder).join(name)).unwrap();
    let away = resolve(&objects, &action(), of(good.to_value())).await;
    assert!(matches!(&away, Err(NotResolved::Away(_))), "{away:?}");
}
