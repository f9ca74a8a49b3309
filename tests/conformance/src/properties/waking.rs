//! Ending a wait early.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]

use std::time::Instant;

use petrel_bus::{GroupEvent, Session};

use crate::harness::BusUnderTest;
use crate::stage::from_beginning;
use crate::world::World;

/// A wait for records ends when it is woken, also by a call that came before it.
pub fn a_wait_for_records_is_ended_by_its_waker<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "waking", 1);
    let mut session = under.bus().session(&world.session_options("a")).unwrap();
    session.subscribe(&[from_beginning(&world.topic("in"))]).unwrap();
    let mut assigned = Vec::new();
    petrel_testkit::wait_until("the partition is assigned", under.patience(), || {
        for event in session.fetch(std::time::Duration::from_millis(5), 10, &mut |_| {}).unwrap() {
            let GroupEvent::Assigned(partitions) = event else { panic!("{event:?}") };
            assigned.extend(partitions);
        }
        !assigned.is_empty()
    });
    let positions: Vec<_> = session.begin(&assigned).unwrap().into_iter().map(|begin| begin.position).collect();
    session.accept(&positions).unwrap();
    // Everything that can be told of an empty partition is told.
    petrel_testkit::wait_until("its end is known", under.patience(), || {
        assert!(session.fetch(std::time::Duration::from_millis(5), 10, &mut |_| {}).unwrap().is_empty());
        session.all_caught_up()
    });
    let (began, waker) = (Instant::now(), session.waker());
    waker();
    let fetch = |session: &mut dyn Session| {
        let events = session.fetch(2 * under.patience(), 10, &mut |_| panic!("nothing was written")).unwrap();
        assert!(events.is_empty(), "{events:?}");
    };
    fetch(&mut *session);
    let other = std::thread::spawn(move || waker());
    fetch(&mut *session);
    other.join().unwrap();
    assert!(began.elapsed() < under.patience(), "woken by nobody");
    session.close();
}
