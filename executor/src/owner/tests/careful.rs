//! An owner under a driver, and an execution that kills it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{
    Bus, Driver, DriverError, DriverOptions, GlobalsSource, Output, POISON_TIMER_DELAY_MS, Publisher, SessionOptions,
    Stage, TopicSpec, Versioned,
};
use petrel_schemas::{Class, Task, Topics, decode, encode};

use super::steps::{View, id, request, stage_of};
use crate::owner::OwnerOptions;

const EXECUTIONS: u8 = 9;

#[derive(Debug)]
struct Views(Mutex<Versioned<View>>);

impl Views {
    fn set(&self, version: u64, later_is_here: bool, is_deadly: bool) {
        *self.0.lock().unwrap() = Versioned { version, value: Arc::new(View::of(later_is_here, is_deadly)) };
    }
}

impl GlobalsSource<View> for Views {
    fn current(&self) -> Versioned<View> {
        self.0.lock().unwrap().clone()
    }
}

/// All of them wait for a revision, and one of them kills the owner when it is released.
#[test]
fn what_waits_behind_an_execution_that_kills_the_owner_goes_on_and_that_one_is_named() {
    // Released by the step that hears of the revision, or by a timer behind it.
    for deadly in [1, 5] {
        let (clock, topics) = (SimClock::at(1_000_000), Topics::new("petrel.", 1, 1));
        let bus = SimBus::new(clock.clone(), SimOptions::default());
        let mut options = OwnerOptions::new(topics.clone(), 1);
        options.release_batch_max = 2;
        let mut owner = stage_of(options);
        let names = [topics.requests(), topics.results(), topics.audit(), topics.dead_letters()];
        let tasks = topics.tasks("default", Class::Normal);
        let more = [tasks, topics.orders("default"), owner.spec().changelog.clone().unwrap()];
        let spec = |name: &Arc<str>| TopicSpec {
            name: name.clone(),
            partitions: 1,
            compacted: false,
            retention_ms: None,
            delete_retention_ms: None,
        };
        bus.ensure_topics(&names.iter().chain(&more).map(spec).collect::<Vec<_>>()).unwrap();
        let requests = (1..=EXECUTIONS).map(|n| {
            let action = if n == deadly { "demo.deadly" } else { "demo.ok" };
            Output::keyed(&topics.requests(), id(n), encode(&request(n, action, "later")))
        });
        bus.publish(requests.collect()).wait().unwrap();

        let views = Arc::new(Views(Mutex::new(Versioned { version: 1, value: Arc::new(View::of(false, false)) })));
        let member = SessionOptions { group: "owner".into(), member: "a".into(), transactional: true };
        let session = bus.session(&member).unwrap();
        let settings = DriverOptions::default();
        let mut driver = Driver::new(&mut owner, session, views.clone(), clock.clone(), settings, Arc::default());
        let mut tick_until = |what: &str, done: &dyn Fn() -> bool| {
            for _ in 0..5_000 {
                if done() {
                    return;
                }
                match driver.tick() {
                    Ok(_) | Err(DriverError::Panicked(_)) => {}
                    Err(other) => panic!("{other}"),
                }
                clock.advance(1);
            }
            panic!("in vain: {what}");
        };
        let tasks = || -> BTreeSet<String> {
            let tasks = bus.records(&topics.tasks("default", Class::Normal)).into_iter();
            tasks.map(|(_, record)| decode::<Task>(&record.value.unwrap()).unwrap().execution_id).collect()
        };
        let letters = || -> Vec<String> {
            let letters = bus.records(&topics.dead_letters()).into_iter();
            letters.map(|(_, record)| String::from_utf8_lossy(&record.value.unwrap()).into_owned()).collect()
        };
        tick_until("all wait", &|| bus.records(&topics.audit()).len() == usize::from(EXECUTIONS));
        assert!(tasks().is_empty());
        views.set(2, true, true);
        tick_until("the others", &|| tasks().len() == usize::from(EXECUTIONS) - 1 && !letters().is_empty());
        let letters = letters();
        assert!(letters.len() == 1 && letters[0].contains(&id(deadly)), "{letters:?}");
        assert!(!tasks().contains(&id(deadly)));
        views.set(2, true, false);
        clock.advance(POISON_TIMER_DELAY_MS);
        tick_until("that one", &|| tasks().contains(&id(deadly)));
    }
}
