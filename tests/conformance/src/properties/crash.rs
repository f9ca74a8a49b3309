//! Crashes at every point of the driver.

use std::cell::Cell;
use std::rc::Rc;

use petrel_bus::{DriverError, DriverPoint};

use crate::harness::BusUnderTest;
use crate::world::{World, all_points};

const RECORDS: usize = 12;

fn publish<B: BusUnderTest>(world: &World<'_, B>, round: &str) {
    let records: Vec<(String, String)> =
        (0..RECORDS).map(|i| (format!("k{}", i % 5), format!("{round} {i}"))).collect();
    world.publish("in", &records.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>());
}

/// Lets the `nth` visit of a point crash.
fn nth(point: DriverPoint, nth: u32) -> impl FnMut(DriverPoint) -> bool + 'static {
    let mut visits = 0;
    move |at| {
        visits += u32::from(at == point);
        at == point && visits == nth
    }
}

/// Whatever point the driver crashes at, the first or a later time, every input leads to exactly one
/// output, and the state is the same as without a crash.
pub fn every_point_of_the_driver<B: BusUnderTest>(under: &B) {
    for point in all_points().into_iter().filter(|p| *p != DriverPoint::Revoking) {
        for visit in 1..=2 {
            crash_at(under, point, visit);
        }
    }
}

fn crash_at<B: BusUnderTest>(under: &B, point: DriverPoint, visit: u32) {
    let world = World::new(under, &format!("crash-{point:?}-{visit}").to_lowercase(), 2);
    publish(&world, "before");
    let mut stage = world.stage();
    let mut driver = world.driver(&mut stage, "a");
    driver.crash_when(nth(point, visit));
    // A few more inputs lead to the second visit of every point but those of the assignment.
    let total = Cell::new(RECORDS);
    let crashed = world.run_until("a crash or everything done", &mut [&mut driver], || {
        if world.output_count() < total.get() {
            return false;
        }
        if total.get() == RECORDS {
            publish(&world, "more");
            total.set(2 * RECORDS);
        }
        world.output_count() >= 2 * RECORDS
    });
    drop(driver);
    let only_once = matches!(point, DriverPoint::Assigned | DriverPoint::Restored) && visit > 1;
    let is_behind_commit = matches!(point, DriverPoint::AfterCommit | DriverPoint::Applied);
    match crashed {
        Err(DriverError::Crashed(at)) => assert_eq!(at, point),
        Ok(()) => assert!(only_once || is_behind_commit, "{point:?}, visit {visit}, was not met"),
        Err(other) => panic!("{point:?}, visit {visit}: {other}"),
    }
    world.restart();
    publish(&world, "after");
    let mut driver = world.driver(&mut stage, "a");
    let total = total.get() + RECORDS;
    world.run_until("the rest", &mut [&mut driver], || world.output_count() >= total).unwrap();
    driver.finish().unwrap();
    world.check_exactly_once(&["in"]);
}

/// A member that crashes while it gives partitions up loses and doubles nothing.
pub fn a_crash_while_giving_up_partitions<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "revoking", 2);
    publish(&world, "before");
    let (mut stage, mut other) = (world.stage(), world.stage());
    let mut driver = world.driver(&mut stage, "a");
    world.run_until("the first outputs", &mut [&mut driver], || world.output_count() >= RECORDS).unwrap();
    driver.crash_when(nth(DriverPoint::Revoking, 1));
    publish(&world, "during");
    let mut second = world.driver(&mut other, "b");
    let crashed = Rc::new(Cell::new(false));
    let result = world.run_until("the crash", &mut [&mut driver, &mut second], || crashed.get());
    assert_eq!(result, Err(DriverError::Crashed(DriverPoint::Revoking)));
    drop(driver);
    let mut anew = world.stage();
    let mut driver = world.driver(&mut anew, "a");
    publish(&world, "after");
    let done = || world.output_count() >= 3 * RECORDS;
    world.run_until("the rest", &mut [&mut driver, &mut second], done).unwrap();
    driver.finish().unwrap();
    second.finish().unwrap();
    world.check_exactly_once(&["in"]);
}
