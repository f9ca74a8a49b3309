//! By which globals a driver decides what it has read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use petrel_bus::{Driver, GlobalsSource, Output, Publisher, Versioned};
use petrel_conformance_tests::{BusUnderTest, Settings, SharedSettings, SimUnderTest, World};

/// Somebody puts other settings in force and then publishes, both while the driver's fetch waits: when it has just
/// looked at the settings.
struct Meanwhile {
    settings: Arc<SharedSettings>,
    publisher: Arc<dyn Publisher>,
    topic: Arc<str>,
    is_armed: Arc<AtomicBool>,
}

impl GlobalsSource<Settings> for Meanwhile {
    fn current(&self) -> Versioned<Settings> {
        let seen = self.settings.current();
        if self.is_armed.swap(false, Ordering::Relaxed) {
            self.settings.set(Settings { label: 7, ..Settings::default() });
            let record = Output::keyed(&self.topic, "k", b"v".to_vec());
            self.publisher.publish(vec![record]).wait().unwrap();
        }
        seen
    }
}

#[test]
fn what_is_written_after_a_change_is_decided_by_it_also_in_a_fetch_that_began_before() {
    let under = SimUnderTest::fresh().unwrap();
    let world = World::new(&under, "globals", 1);
    let is_armed = Arc::new(AtomicBool::new(false));
    let source = Arc::new(Meanwhile {
        settings: world.settings.clone(),
        publisher: under.bus().publisher("somebody").unwrap(),
        topic: world.topic("in"),
        is_armed: is_armed.clone(),
    });
    let mut stage = world.stage();
    let session = under.bus().session(&world.session_options("a")).unwrap();
    let options = world.options.clone();
    let mut driver = Driver::new(&mut stage, session, source, under.clock(), options, Arc::default());
    world.publish("in", &[("k", "first")]);
    world.run_until("an output", &mut [&mut driver], || world.output_count() == 1).unwrap();
    is_armed.store(true, Ordering::Relaxed);
    assert_eq!(driver.tick().unwrap().records, 1, "it is read by the fetch of the very turn that began before");
    world.run_until("all outputs", &mut [&mut driver], || world.output_count() == 3).unwrap();
    let topic = world.topic("in");
    // Between the two stands the marker of a commit.
    let wanted = ["globals 7".to_owned(), format!("{topic}/0/0 1 0 first"), format!("{topic}/0/2 2 7 v")];
    assert_eq!(world.outputs(), wanted, "and the partition is told of the change in the next turn all the same");
}
