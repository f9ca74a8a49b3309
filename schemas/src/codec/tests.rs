//! Golden files: every schema version that was ever shipped, decoded for ever.
//!
//! `golden/<name>.v<version>.bin` holds a record as that version wrote it, `.json` what it means
//! today. A new version adds files (`PETREL_WRITE_GOLDEN=1`); an existing file never changes.

use std::path::PathBuf;

use apache_avro::Schema;
use serde_json::{Value, json};

use super::*;
use crate::format::{Format, NotWritable};
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
        Schema::Record(_) => sample(schema),
        Schema::Union(of) => sample_of(&of.variants()[1], name, n),
        other => panic!("no sample for {other:?}"),
    }
}

/// A release of today and the one after it, with the older format in force and with the newer.
fn side_by_side<T: Stored + std::fmt::Debug + PartialEq>(record: &T) {
    let (today, next) = (Registry::shipped(), Registry::shipped().with_next());
    let format = today.newest_format();
    let (by_today, by_next) = (today.encode(record), next.encode(record));
    assert_ne!(by_today[..HEADER_BYTES], by_next[..HEADER_BYTES], "{} has a version more", T::NAME);
    // Before the upgrade is finished: what the next release writes is today's, to the byte.
    assert_eq!(next.rewrite(&by_next, format), Ok(Some(by_today.clone())), "{}", T::NAME);
    assert_eq!(next.decode::<T>(&by_today).as_ref(), Ok(record));
    // What is old enough stays as it is.
    assert_eq!(next.rewrite(&by_today, format), Ok(None));
    // Afterwards: today's release waits at what it cannot read, and drops nothing.
    assert_eq!(next.rewrite(&by_next, format + 1), Ok(None));
    assert_eq!(next.decode::<T>(&by_next).as_ref(), Ok(record));
    assert!(today.decode::<T>(&by_next).unwrap_err().may_be_newer(), "{}", T::NAME);
}

/// The golden files of one type; returns how many versions there were.
fn check<T: Stored + std::fmt::Debug + PartialEq>() -> usize {
    let mut versions = 0;
    for known in registry().known.iter().filter(|k| k.name == T::NAME) {
        let (bin, json) = (golden(known.name, known.version, "bin"), golden(known.name, known.version, "json"));
        if std::env::var_os("PETREL_WRITE_GOLDEN").is_some() && !bin.exists() {
            let record: T = serde_json::from_value(sample(&known.schema)).expect("the struct has the schema's fields");
            std::fs::write(&bin, encode(&record)).unwrap();
            std::fs::write(&json, serde_json::to_string_pretty(&record).unwrap() + "\n").unwrap();
        }
        let bytes = std::fs::read(&bin).unwrap_or_else(|e| panic!("{}: {e}", bin.display()));
        let wanted: T = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert_eq!(decode::<T>(&bytes).unwrap(), wanted, "{} v{}", known.name, known.version);
        if std::ptr::eq(known, registry().newest(T::NAME)) {
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
        side_by_side(&wanted);
        side_by_side(&bare);
        versions += 1;
    }
    versions
}

#[test]
fn every_shipped_version_decodes() {
    let versions = check::<TriggerEvent>()
        + check::<ActionRequest>()
        + check::<CancelRequest>()
        + check::<WorkflowOrder>()
        + check::<Task>()
        + check::<Order>()
        + check::<Claim>()
        + check::<Heartbeat>()
        + check::<TaskResult>()
        + check::<Declined>()
        + check::<HandedOver>()
        + check::<ExecutionState>()
        + check::<ExecutionEnded>()
        + check::<WorkflowPiece>()
        + check::<WorkflowPage>()
        + check::<GateMessage>()
        + check::<GateAnswer>()
        + check::<GateBehind>()
        + check::<GateOrder>()
        + check::<GateSender>()
        + check::<GateCount>()
        + check::<GatePermit>()
        + check::<GateSeat>()
        + check::<GateHead>()
        + check::<TimerDefinition>()
        + check::<TimerState>()
        + check::<CatalogBlob>()
        + check::<CatalogRevision>()
        + check::<CatalogHead>()
        + check::<TriggerBinding>()
        + check::<KvEntry>()
        + check::<ProcessAlive>()
        + check::<DeadLetter>()
        + check::<EventAudited>()
        + check::<RuleMatched>()
        + check::<CriteriaFailed>()
        + check::<ExecutionChanged>()
        + check::<GateDecided>()
        + check::<WorkflowMoved>()
        + check::<OutputCaptured>()
        + check::<OutputChunk>()
        + check::<RevisionApplied>()
        + check::<SecretChanged>()
        + check::<GroupPosition>()
        + check::<SecretSealed>();
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
    assert_eq!(registry().by_fingerprint.len(), SCHEMAS.len());
    let next = Registry::shipped().with_next();
    assert_eq!(next.by_fingerprint.len(), next.known.len());
}

/// What makes a version one that an older release's records can be read as, and that can be written as the older one.
fn check_successor(older: &Known, newer: &Known) -> Result<(), String> {
    let (Schema::Record(before), Schema::Record(after)) = (&older.schema, &newer.schema) else {
        return Err("a stored schema is a record".into());
    };
    if newer.since <= older.since {
        return Err(format!("it comes with format {}, and the one before with {}", newer.since, older.since));
    }
    if after.fields.len() < before.fields.len() {
        return Err("it lacks a field".into());
    }
    for (field, kept) in after.fields.iter().zip(&before.fields) {
        if (&field.name, &field.schema, &field.default) != (&kept.name, &kept.schema, &kept.default) {
            return Err(format!("{} stood where {} stands, or was another", kept.name, field.name));
        }
    }
    match after.fields[before.fields.len()..].iter().find(|field| field.default.is_none()) {
        Some(field) => Err(format!("{} has no default", field.name)),
        None => Ok(()),
    }
}

#[test]
fn a_newer_version_only_appends_fields_with_defaults() {
    for registry in [Registry::shipped(), Registry::shipped().with_next()] {
        for versions in registry.versions.values() {
            for pair in versions.windows(2) {
                let (older, newer) = (&registry.known[pair[0]], &registry.known[pair[1]]);
                assert_eq!(newer.version, older.version + 1, "{}", newer.name);
                let found = check_successor(older, newer);
                assert_eq!(found, Ok(()), "{} v{}", newer.name, newer.version);
            }
        }
    }
    let schema = |fields: &str| {
        let text = format!(r#"{{"type":"record","name":"R","namespace":"petrel","fields":[{fields}]}}"#);
        Schema::parse_str(&text).unwrap()
    };
    let a = r#"{"name":"a","type":"int"}"#;
    let first = Known::new("R", 1, 1, schema(a), Vec::new());
    for (fields, since, wanted) in [
        (r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#, 2, "b has no default"),
        (r#"{"name":"a","type":"long"}"#, 2, "a stood where a stands, or was another"),
        (r#"{"name":"b","type":"int","default":1},{"name":"a","type":"int"}"#, 2, "a stood where b stands"),
        ("", 2, "it lacks a field"),
        (r#"{"name":"a","type":"int"},{"name":"b","type":"int","default":1}"#, 1, "it comes with format 1"),
    ] {
        let newer = Known::new("R", 2, since, schema(fields), Vec::new());
        let found = check_successor(&first, &newer).unwrap_err();
        assert!(found.starts_with(wanted), "{found}");
    }
}

#[test]
fn a_kind_that_a_format_does_not_have_is_told() {
    let entry = KvEntry { value: "1".into(), updated_at_ms: 1, updated_by: "x".into() };
    let text = SCHEMAS.iter().find(|row| row.0 == KvEntry::NAME).unwrap().3;
    // In this product, the key-value store came with the second format.
    let late = Registry::of(&[("Claim", 1, 1, SCHEMAS[5].3), ("KvEntry", 1, 2, text)]);
    let bytes = late.encode(&entry);
    assert_eq!(late.rewrite(&bytes, 1), Err(NoSuchKind { kind: "KvEntry", format: 1 }));
    assert_eq!(late.rewrite(&bytes, 2), Ok(None));
    // What is no record goes through, whatever the format.
    for other in [b"".to_vec(), b"{}".to_vec(), [&MARKER[..], &[7; 20]].concat()] {
        assert_eq!(late.rewrite(&other, 1), Ok(None));
    }
}

#[test]
fn a_release_writes_two_formats() {
    let newest = Format::newest();
    assert!(Format::oldest() <= newest && newest.number() - Format::oldest().number() <= 1);
    assert_eq!(Format::writable(newest.number()), Ok(newest));
    let (number, oldest) = (newest.number() + 1, Format::oldest().number());
    assert_eq!(Format::writable(number), Err(NotWritable::Newer { number, newest: newest.number() }));
    assert_eq!(Format::writable(0), Err(NotWritable::Older { number: 0, oldest }));
}
