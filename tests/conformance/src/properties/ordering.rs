//! Order and placement.

use std::collections::BTreeMap;

use petrel_bus::partition_of;

use crate::harness::BusUnderTest;
use crate::world::World;

/// Outputs of one key come in the order of its inputs.
pub fn records_keep_their_order_per_partition<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "order", 3);
    for round in 0..5 {
        let records: Vec<(String, String)> = (0..60).map(|i| (format!("k{}", i % 7), format!("{round}-{i}"))).collect();
        world.publish("in", &records.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>());
    }
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("300 outputs", &mut [&mut driver], || world.output_count() == 300).unwrap();
    drop(driver);
    world.check_exactly_once(&["in"]);
    let mut last: BTreeMap<u32, i64> = BTreeMap::new();
    for (partition, record) in world.records("in") {
        let before = last.insert(partition, record.offset).unwrap_or(-1);
        assert!(before < record.offset, "offsets grow in partition {partition}");
    }
}

/// A key's partition is murmur2's, on every bus.
pub fn keys_go_where_every_bus_puts_them<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "placement", 5);
    let keys: Vec<String> = (0..40).map(|i| format!("key-{i}")).collect();
    world.publish("in", &keys.iter().map(|k| (&**k, "v")).collect::<Vec<_>>());
    for (partition, record) in world.records("in") {
        assert_eq!(partition, partition_of(&record.key.unwrap(), 5));
    }
}
