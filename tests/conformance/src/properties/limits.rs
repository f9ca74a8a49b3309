//! Limits.

use crate::harness::BusUnderTest;
use crate::world::World;

/// An output over the limit is replaced by a dead letter, in the same transaction.
pub fn an_oversized_output_becomes_a_dead_letter<B: BusUnderTest>(under: &B) {
    let mut world = World::new(under, "large", 1);
    world.options.output_bytes_max = 1_000;
    world.publish("in", &[("a", "large 100"), ("a", "large 5000"), ("a", "small")]);
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("three outputs", &mut [&mut driver], || world.output_count() == 3).unwrap();
    driver.finish().unwrap();
    let outputs = world.outputs();
    assert_eq!(outputs.iter().filter(|o| o.contains("output_too_large")).count(), 1, "{outputs:?}");
    assert_eq!(world.state()["a"], "3", "the step's state is kept");
}
