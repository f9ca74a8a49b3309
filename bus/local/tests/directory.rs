//! The directory of a local log: who has it, what is in it, what happens where it is damaged or full.

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use petrel_bus::{Bus, BusError, PublishError, TopicSpec};
use petrel_bus_local::{Fsync, LocalBus, LocalOptions};
use tempfile::TempDir;

use support::{clock, compacted, open, publish, records, wait_until};

#[test]
fn one_process_at_a_time_and_the_error_names_the_other() {
    let dir = TempDir::new().unwrap();
    let first = open(LocalOptions::new(dir.path())).unwrap();
    let Err(BusError::Storage(why)) = open(LocalOptions::new(dir.path())).map(drop) else { panic!("opened twice") };
    assert!(why.contains(&format!("process {}", std::process::id())), "{why}");
    drop(first);
    open(LocalOptions::new(dir.path())).unwrap();
}

#[test]
fn everything_is_there_after_opening_again_under_every_policy() {
    for fsync in [Fsync::Commit, Fsync::Interval(10), Fsync::Never] {
        let dir = TempDir::new().unwrap();
        let options = LocalOptions { fsync, topic_partitions_default: 3, ..LocalOptions::new(dir.path()) };
        for round in 1..=3 {
            let bus = open(options.clone()).unwrap();
            publish(&bus, "made.by.a.record", &[("a", Some("1")), ("b", Some("2"))]).unwrap();
            assert_eq!(bus.partitions("made.by.a.record").unwrap(), Some(3));
            assert_eq!(records(&bus, "made.by.a.record").len(), 2 * round, "{fsync:?}");
        }
    }
}

#[test]
fn a_compacted_topic_keeps_the_last_record_of_a_key() {
    let dir = TempDir::new().unwrap();
    let time = clock();
    let options = LocalOptions { retention_turn_ms: 5, ..LocalOptions::new(dir.path()) };
    let bus = LocalBus::open(options.clone(), time.clone()).unwrap();
    bus.ensure_topics(&[TopicSpec { delete_retention_ms: Some(1_000), ..compacted("c") }]).unwrap();
    publish(&bus, "c", &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]).unwrap();
    publish(&bus, "c", &[("a", Some("3")), ("b", None)]).unwrap();
    let shown = |bus: &LocalBus| -> Vec<(i64, Vec<u8>, Option<Vec<u8>>)> {
        records(bus, "c").into_iter().map(|(_, r)| (r.offset, r.key.unwrap(), r.value)).collect()
    };
    assert_eq!(shown(&bus), [(3, b"a".to_vec(), Some(b"3".to_vec())), (4, b"b".to_vec(), None)]);
    time.0.fetch_add(2_000, Ordering::SeqCst);
    wait_until(&bus, "the tombstone is gone", || shown(&bus).len() == 1);
    assert_eq!(bus.end_offsets("c").unwrap(), [5], "its offset is not given away again");
    drop(bus);
    let bus = LocalBus::open(options, time).unwrap();
    assert_eq!(bus.end_offsets("c").unwrap(), [5]);
    publish(&bus, "c", &[("b", Some("4"))]).unwrap();
    assert_eq!(shown(&bus).last().unwrap(), &(5, b"b".to_vec(), Some(b"4".to_vec())));
}

#[test]
fn old_records_go_and_their_offsets_stay_taken() {
    let dir = TempDir::new().unwrap();
    let time = clock();
    let options = LocalOptions {
        retention_ms_default: Some(10_000),
        retention_turn_ms: 5,
        topic_partitions_default: 1,
        ..LocalOptions::new(dir.path())
    };
    let bus = LocalBus::open(options.clone(), time.clone()).unwrap();
    for i in 0..100 {
        publish(&bus, "t", &[("k", Some(&format!("{i}")))]).unwrap();
    }
    time.0.fetch_add(8_000, Ordering::SeqCst);
    publish(&bus, "t", &[("k", Some("young"))]).unwrap();
    time.0.fetch_add(8_000, Ordering::SeqCst);
    wait_until(&bus, "the old ones are gone", || bus.beginning_offsets("t").unwrap() == [100]);
    assert_eq!(records(&bus, "t").len(), 1);
    time.0.fetch_add(8_000, Ordering::SeqCst);
    wait_until(&bus, "all are gone", || bus.beginning_offsets("t").unwrap() == [101]);
    drop(bus);
    let bus = LocalBus::open(options, time).unwrap();
    assert_eq!((bus.beginning_offsets("t").unwrap(), bus.end_offsets("t").unwrap()), (vec![101], vec![101]));
    publish(&bus, "t", &[("k", Some("next"))]).unwrap();
    assert_eq!(records(&bus, "t")[0].1.offset, 101);
}

#[test]
fn a_full_disk_refuses_and_goes_on_once_there_is_space() {
    let dir = TempDir::new().unwrap();
    let bus = open(LocalOptions::new(dir.path())).unwrap();
    publish(&bus, "t", &[("a", Some("1"))]).unwrap();
    bus.set_disk_free_bytes_min(u64::MAX / 2);
    let refused = publish(&bus, "t", &[("a", Some("2"))]);
    let Err(PublishError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("full") && why.contains("disk_free_bytes_min"), "{why}");
    assert!(bus.ensure_topics(&[compacted("new")]).is_err());
    bus.set_disk_free_bytes_min(0);
    publish(&bus, "t", &[("a", Some("3"))]).unwrap();
    assert_eq!(records(&bus, "t").len(), 2);
}

#[test]
fn too_much_at_once_is_refused_and_bad_names_are_too() {
    let dir = TempDir::new().unwrap();
    let options = LocalOptions {
        queue_bytes_max: 10_000,
        record_bytes_max: 5_000,
        topics_max: 2,
        ..LocalOptions::new(dir.path())
    };
    let bus = open(options).unwrap();
    let large = "x".repeat(4_000);
    let refused = publish(&bus, "t", &[("a", Some(&large)), ("a", Some(&large)), ("a", Some(&large))]);
    assert_eq!(refused, Err(PublishError::Overloaded));
    let refused = publish(&bus, "t", &[("a", Some(&"x".repeat(5_000)))]);
    assert_eq!(refused, Err(PublishError::TooLarge { bytes: 5_001, limit_bytes: 5_000 }));
    assert!(matches!(publish(&bus, "no/name", &[("a", None)]), Err(PublishError::UnknownTopic(_))));
    publish(&bus, "one", &[("a", None)]).unwrap();
    publish(&bus, "two", &[("a", None)]).unwrap();
    assert!(matches!(publish(&bus, "three", &[("a", None)]), Err(PublishError::Unavailable(_))));
    assert!(bus.ensure_topics(&[compacted("three")]).is_err());
}

fn journals(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> = Vec::new();
    for path in entries {
        match path.is_dir() {
            true => found.extend(journals(&path)),
            false if path.extension().is_some_and(|e| e == "jnl") => found.push(path),
            false => {}
        }
    }
    found
}

/// Length of what was written to a journal, behind which there are zeros.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|b| *b != 0).unwrap_or(0)
}

/// Damage is told, not taken for a torn end, and a second attempt tells it again.
#[test]
fn a_damaged_directory_is_refused_with_advice() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 3] = [
        ("bytes in the middle of the journal are others", |dir| {
            for path in journals(dir) {
                let mut bytes = std::fs::read(&path).unwrap();
                let length = written(&bytes);
                bytes[length / 3..length / 2].fill(0x5a);
                std::fs::write(path, bytes).unwrap();
            }
        }),
        ("the journal is cut", |dir| {
            for path in journals(dir) {
                let half = written(&std::fs::read(&path).unwrap()) / 2;
                std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(half as u64).unwrap();
            }
        }),
        ("the store is gone", |dir| std::fs::remove_dir_all(dir.join("store")).unwrap()),
    ];
    for (what, damage) in damages {
        let dir = TempDir::new().unwrap();
        let bus = open(LocalOptions::new(dir.path())).unwrap();
        for i in 0..200 {
            publish(&bus, "t", &[("k", Some(&format!("record number {i}")))]).unwrap();
        }
        drop(bus);
        damage(dir.path());
        let before: Vec<Vec<u8>> = journals(dir.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
        for attempt in 1..=2 {
            let refused = open(LocalOptions::new(dir.path())).map(drop);
            let Err(BusError::Storage(why)) = refused else { panic!("{what}, attempt {attempt}: it was opened") };
            assert!(why.contains("Restore the directory from a copy"), "{what}: {why}");
            let kept = dir.path().join("journals.kept");
            if kept.exists() {
                assert!(why.contains(kept.to_str().unwrap()), "{what}: {why}");
            }
            let after: Vec<Vec<u8>> = match kept.exists() {
                true => journals(&kept).iter().map(|path| std::fs::read(path).unwrap()).collect(),
                false => Vec::new(),
            };
            assert!(after == before, "{what}: the journals as they were are kept");
        }
    }
}

#[test]
fn a_directory_of_another_format_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(LocalOptions::new(dir.path())).unwrap());
    {
        let db = fjall::Database::builder(dir.path().join("store")).open().unwrap();
        let meta = db.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
        meta.insert("format", 1_u32.to_be_bytes()).unwrap();
        db.persist(fjall::PersistMode::SyncAll).unwrap();
    }
    let Err(BusError::Storage(why)) = open(LocalOptions::new(dir.path())).map(drop) else { panic!("it was opened") };
    assert!(why.contains("format 1") && why.contains("writes 2") && why.contains("move the directory away"), "{why}");
}
