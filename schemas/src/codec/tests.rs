//! Golden files: every schema version that was ever shipped, decoded for ever.
//!
//! `golden/<name>.v<version>.bin` holds a record as that version wrote it, `.json` what it means
//! today. A new version adds files (`PETREL_WRITE_GOLDEN=1`); an existing file never changes.

use std::path::PathBuf;

use apache_avro::Schema;
use serde_json::{Value, json};

use super::*;
use crate::records::*;

fn golden(name: &str, version: u32, ending: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{name}.v{version}.{ending}"))
}

/// A value for every field of a schema, different in every field.
fn sample(schema: &Schema) -> Value {
    let Schema::Record(record) = schema else { panic!("a stored schema is a record") };
    let mut fields = serde_json::Map::new();
    for (i, field) in record.fields.iter().enumerate() {
        fields.insert(field.name.clone(), sample_of(&field.schema, &field.name, i as i64 + 1));
    }
    Value::Object(fields)
}

fn sample_of(schema: &Schema, name: &str, n: i64) -> Value {
    match schema {
        Schema::String => json!(format!("{name} é {n}")),
        Schema::Int => json!(n),
        Schema::Long => json!((1_i64 << 40) + n),
        Schema::Boolean => json!(true),
        Schema::Double => json!(n as f64 + 0.5),
        Schema::Bytes => json!([0, 255, n]),
        Schema::Array(of) => json!([sample_of(&of.items, name, n), sample_of(&of.items, name, n + 1)]),
        Schema::Union(of) => sample_of(&of.variants()[1], name, n),
        other => panic!("no sample for {other:?}"),
    }
}

/// The golden files of one type; returns how many versions there were.
fn check<T: Stored + std::fmt::Debug + PartialEq>() -> usize {
    let mut versions = 0;
    for known in REGISTRY.known.iter().filter(|k| k.name == T::NAME) {
        let (bin, json) = (golden(known.name, known.version, "bin"), golden(known.name, known.version, "json"));
        if std::env::var_os("PETREL_WRITE_GOLDEN").is_some() && !bin.exists() {
            let record: T = serde_json::from_value(sample(&known.schema)).expect("the struct has the schema's fields");
            std::fs::write(&bin, encode(&record)).unwrap();
            std::fs::write(&json, serde_json::to_string_pretty(&record).unwrap() + "\n").unwrap();
        }
        let bytes = std::fs::read(&bin).unwrap_or_else(|e| panic!("{}: {e}", bin.display()));
        let wanted: T = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert_eq!(decode::<T>(&bytes).unwrap(), wanted, "{} v{}", known.name, known.version);
        if std::ptr::eq(known, newest(T::NAME)) {
            assert_eq!(encode(&wanted), bytes, "today's bytes of {}", known.name);
        }
        // The optional fields once without a value.
        let mut bare = serde_json::to_value(&wanted).unwrap();
        let Schema::Record(record) = &known.schema else { unreachable!() };
        for field in record.fields.iter().filter(|f| matches!(f.schema, Schema::Union(_))) {
            bare[&field.name] = Value::Null;
        }
        let bare: T = serde_json::from_value(bare).unwrap();
        assert_eq!(decode::<T>(&encode(&bare)).unwrap(), bare);
        versions += 1;
    }
    versions
}

#[test]
fn every_shipped_version_decodes() {
    let versions = check::<TriggerEvent>()
        + check::<ActionRequest>()
        + check::<CancelRequest>()
        + check::<Task>()
        + check::<Order>()
        + check::<Claim>()
        + check::<Heartbeat>()
        + check::<TaskResult>()
        + check::<Declined>()
        + check::<HandedOver>()
        + check::<ExecutionState>()
        + check::<ExecutionEnded>()
        + check::<TimerDefinition>()
        + check::<TimerState>()
        + check::<CatalogBlob>()
        + check::<CatalogRevision>()
        + check::<CatalogHead>()
        + check::<TriggerBinding>()
        + check::<KvEntry>()
        + check::<DeadLetter>()
        + check::<EventAudited>()
        + check::<RuleMatched>()
        + check::<CriteriaFailed>()
        + check::<ExecutionChanged>()
        + check::<OutputCaptured>()
        + check::<RevisionApplied>()
        + check::<GroupPosition>();
    assert_eq!(versions, SCHEMAS.len(), "a schema has no golden file or no type");
}

#[test]
fn what_is_no_record_says_why() {
    let entry = KvEntry { value: "1".into(), updated_at_ms: 1, updated_by: "x".into() };
    let good = encode(&entry);
    assert_eq!(decode::<KvEntry>(b"{}"), Err(DecodeError::NotARecord { bytes: 2 }));
    assert_eq!(kind_of(&good), Ok("KvEntry"));
    assert!(matches!(decode::<Claim>(&good), Err(DecodeError::OtherKind { expected: "Claim", found: "KvEntry" })));
    let mut unknown = good.clone();
    unknown[5] ^= 1;
    assert!(matches!(decode::<KvEntry>(&unknown), Err(DecodeError::UnknownSchema { .. })));
    assert!(matches!(decode::<KvEntry>(&good[..good.len() - 1]), Err(DecodeError::Corrupt { .. })));
    let mut longer = good;
    longer.push(0);
    assert!(matches!(decode::<KvEntry>(&longer), Err(DecodeError::Corrupt { .. })));
}

#[test]
fn fingerprints_are_distinct() {
    assert_eq!(REGISTRY.by_fingerprint.len(), SCHEMAS.len());
}
