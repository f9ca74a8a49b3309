//! Keyed state, timers and globals.

use std::collections::BTreeMap;

use petrel_bus::partition_of;

use crate::harness::BusUnderTest;
use crate::stage::Settings;
use crate::world::{World, text};

/// A changelog record is in the partition with the input's number, whatever its own key's would be.
pub fn the_changelog_is_on_the_inputs_partition<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "changelog", 3);
    let keys: Vec<String> = (0..12).map(|i| format!("key-{i}")).collect();
    world.publish("in", &keys.iter().map(|k| (&**k, "timer 1000000000")).collect::<Vec<_>>());
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("outputs", &mut [&mut driver], || world.output_count() == 12).unwrap();
    driver.finish().unwrap();
    let is_position = |key: Option<&[u8]>| key.is_some_and(|key| key.starts_with(b"~p/"));
    let (positions, records): (Vec<_>, Vec<_>) =
        world.records("state").into_iter().partition(|(_, record)| is_position(record.key.as_deref()));
    assert_eq!(records.len(), 24, "one record for the count, one for the timer");
    assert!(
        positions
            .iter()
            .all(|(_, record)| record.key.as_deref() == Some(format!("~p/{}", world.topic("in")).as_bytes()))
    );
    assert_eq!(positions.iter().map(|(partition, _)| *partition).collect::<std::collections::BTreeSet<_>>().len(), 3);
    for (partition, record) in records {
        let key = record.key.unwrap();
        let plain = key.strip_prefix(b"~t/").unwrap_or(&key);
        assert_eq!(partition, partition_of(plain, 3), "{}", text(Some(plain)));
    }
}

/// A timer set by one member fires once, at its time or after, whoever has the partition then.
pub fn timers_fire_once_across_a_takeover<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "timers", 2);
    let keys: Vec<String> = (0..6).map(|i| format!("t{i}")).collect();
    let soon: Vec<(&str, &str)> = keys.iter().map(|k| (&**k, "timer 300")).collect();
    let fired = || {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for text in world.outputs().iter().filter_map(|t| t.strip_prefix("fired ")) {
            *counts.entry(text.to_owned()).or_default() += 1;
        }
        counts
    };
    let set_ms = under.clock().now_ms();
    world.publish("in", &soon);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the timers are set", &mut [&mut driver], || world.output_count() >= 6).unwrap();
    drop(driver);
    world.restart();
    let mut heir = world.stage();
    let mut driver = world.driver(&mut heir, "a");
    world.run_until("all have fired", &mut [&mut driver], || fired().len() == 6).unwrap();
    assert!(under.clock().now_ms() >= set_ms + 300, "not before their time");
    driver.finish().unwrap();
    let mut driver = world.driver(&mut stage, "a");
    world.publish("in", &[("t0", "no timer")]);
    let mut done = || world.output_count() >= 13;
    world.run_until("one more output", &mut [&mut driver], &mut done).unwrap();
    driver.finish().unwrap();
    let once: BTreeMap<String, usize> = keys.iter().map(|k| (k.clone(), 1)).collect();
    assert_eq!(fired(), once);
    assert!(!world.state().keys().any(|k| k.starts_with("~t/")), "fired timers are gone from the state");
}

/// Every partition is told of a change once, and no batch has two labels.
pub fn globals_change_between_batches_for_every_partition<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "globals", 3);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    let keys: Vec<String> = (0..9).map(|i| format!("g{i}")).collect();
    let records: Vec<(&str, &str)> = keys.iter().map(|k| (&**k, "v")).collect();
    world.publish("in", &records);
    world.run_until("outputs", &mut [&mut driver], || world.output_count() == 9).unwrap();
    for label in 1..=2 {
        world.settings.set(Settings { label, ..Settings::default() });
        let told = format!("globals {label}");
        let count = || world.outputs().iter().filter(|t| **t == told).count();
        world.run_until("every partition is told", &mut [&mut driver], || count() == 3).unwrap();
        world.publish("in", &records);
        let wanted = (label as usize + 1) * 9 + label as usize * 3;
        world.run_until("outputs", &mut [&mut driver], || world.output_count() == wanted).unwrap();
        assert_eq!(count(), 3, "told once");
    }
    driver.finish().unwrap();
    // A new member restores what was said; nothing is said again.
    let mut driver = world.driver(&mut stage, "a");
    world.publish("in", &[("g0", "last")]);
    world.run_until("outputs", &mut [&mut driver], || world.output_count() == 34).unwrap();
    driver.finish().unwrap();
    let labels: Vec<u64> =
        world.records("out").iter().filter_map(|(_, r)| label_of(&text(r.value.as_deref()))).collect();
    assert_eq!(labels.iter().filter(|l| **l == 0).count(), 9);
    assert_eq!(labels.iter().filter(|l| **l == 1).count(), 9);
    assert_eq!(labels.iter().filter(|l| **l == 2).count(), 10);
}

fn label_of(output: &str) -> Option<u64> {
    output.split(' ').nth(2)?.parse().ok()
}
