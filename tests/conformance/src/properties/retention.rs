//! Records that are gone before they were read.

use std::sync::Arc;

use petrel_bus::StageStats;

use crate::harness::BusUnderTest;
use crate::properties::pressure::different_partitions;
use crate::world::World;

/// A partition whose next offset is gone halts with an error that names it; the other goes on.
pub fn an_offset_out_of_range_halts_that_partition_alone<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "retention", 2);
    let (lost, fine) = different_partitions();
    let stats = Arc::new(StageStats::default());
    let mut stage = world.stage();
    world.publish("in", &[(&lost, "1"), (&fine, "2")]);
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the first", &mut [&mut driver], || world.output_count() == 2).unwrap();
    driver.finish().unwrap();
    world.publish("in", &[(&lost, "3"), (&lost, "4")]);
    let end = under.bus().end_offsets(&world.topic("in")).unwrap()[0];
    let begin = under.drop_before(&world.topic("in"), 0, end);
    assert!(begin > 1, "{begin}");
    assert_eq!(under.bus().beginning_offsets(&world.topic("in")).unwrap()[0], begin);
    world.publish("in", &[(&fine, "5")]);
    let before = world.records("out").len();
    let mut driver = world.driver_with_stats(&mut stage, "a", stats.clone());
    let halted = || !stats.problems().is_empty();
    world
        .run_until("a problem and progress", &mut [&mut driver], || halted() && world.output_count() > before)
        .unwrap();
    let problems = stats.problems();
    let name = format!("{}/0", world.topic("in"));
    assert!(problems.len() == 1 && problems[0].contains(&name) && problems[0].contains("range"), "{problems:?}");
}
