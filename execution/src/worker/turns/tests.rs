use super::*;

use Class::{Bulk, Normal, Urgent};

/// A worker before which tasks of each class stand, and which has `slots` free slots in each turn.
struct Worker {
    turns: Turns,
    number: u64,
    waiting: [usize; CLASSES],
    taken: Vec<Class>,
}

impl Worker {
    fn new(waiting: [usize; CLASSES]) -> Self {
        Self { turns: Turns::default(), number: 0, waiting, taken: Vec::new() }
    }

    /// Offers what stands there, class by class as they come from the log; how many were taken.
    fn turn(&mut self, slots: usize, order: [Class; CLASSES]) -> usize {
        self.number += 1;
        let before = self.taken.len();
        for class in order {
            self.turns.begin(self.number, slots);
            while self.waiting[class.index()] > 0 && self.turns.take(class) {
                self.waiting[class.index()] -= 1;
                self.taken.push(class);
            }
        }
        self.turns.committed();
        self.taken.len() - before
    }

    fn counts(&self) -> [usize; CLASSES] {
        Class::ALL.map(|class| self.taken.iter().filter(|taken| **taken == class).count())
    }
}

const BULK_FIRST: [Class; CLASSES] = [Bulk, Normal, Urgent];

#[test]
fn slots_go_by_weighted_turns_in_whatever_order_tasks_are_offered() {
    for slots in [1, 2, 5, 13, 40] {
        for order in [BULK_FIRST, Class::ALL, [Normal, Bulk, Urgent]] {
            let mut worker = Worker::new([10_000; CLASSES]);
            // The first look finds out who waits.
            assert_eq!(worker.turn(0, order), 0);
            while worker.taken.len() < 13 * 40 {
                assert_eq!(worker.turn(slots, order), slots, "no slot stays free while somebody waits");
            }
            worker.taken.truncate(13 * 40);
            let counts = worker.counts();
            let wanted = [8 * 40, 4 * 40, 40];
            let near = counts.iter().zip(wanted).all(|(count, wanted)| count.abs_diff(wanted) <= slots);
            assert!(near, "{slots} slots: {counts:?}");
        }
    }
    let mut worker = Worker::new([100; CLASSES]);
    worker.turn(0, BULK_FIRST);
    (0..13).for_each(|_| _ = worker.turn(1, BULK_FIRST));
    assert_eq!(worker.counts(), [8, 4, 1]);
    let first: Vec<Class> = worker.taken[..4].to_vec();
    assert_eq!(first, [Urgent, Normal, Urgent, Urgent], "turns are mixed, not in blocks");
}

#[test]
fn a_class_without_tasks_costs_nothing() {
    for alone in Class::ALL {
        let mut worker = Worker::new([0; CLASSES]);
        worker.waiting[alone.index()] = 20;
        let first = worker.turn(3, Class::ALL);
        assert!((1..=2).contains(&first), "the others may be just behind it");
        let rounds: Vec<usize> = (0..7).map(|_| worker.turn(3, Class::ALL)).collect();
        assert_eq!((&rounds[..5], first + rounds.iter().sum::<usize>()), (&[3; 5][..], 20));
    }
    // Two share what there is by their own weights.
    let mut worker = Worker::new([0, 1_000, 1_000]);
    worker.turn(0, BULK_FIRST);
    (0..100).for_each(|_| _ = worker.turn(1, BULK_FIRST));
    assert_eq!(worker.counts(), [0, 80, 20]);
    // What has gone leaves its slots to the others a turn later.
    let mut worker = Worker::new([1, 0, 1_000]);
    worker.turn(0, BULK_FIRST);
    let rounds: Vec<usize> = (0..4).map(|_| worker.turn(4, BULK_FIRST)).collect();
    assert!(rounds[0] < 4 && rounds[1..] == [4, 4, 4], "{rounds:?}");
}

#[test]
fn none_starves_however_tasks_come_and_go() {
    let mut seed = 1_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    for _ in 0..200 {
        let mut turns = Turns::default();
        // In how many picks in which it waited each class was passed over, one after the other.
        let mut passed = [0; CLASSES];
        for _ in 0..2_000 {
            let mut waits = [random() % 2 == 0, random() % 3 == 0, random() % 2 == 0];
            waits[usize::try_from(random() % 3).unwrap()] = true;
            let next = turns.next(waits);
            assert!(waits[next]);
            (0..CLASSES).filter(|class| waits[*class]).for_each(|class| passed[class] += 1);
            passed[next] = 0;
            assert!(passed.iter().all(|passed| *passed <= 26), "{passed:?}");
            assert_eq!(turns.credits.iter().sum::<i32>(), 0);
        }
    }
}

#[test]
fn nobody_takes_everything_before_it_is_known_who_waits() {
    // After a start, the log brings the least urgent ones alone.
    let mut worker = Worker::new([0, 0, 1_000]);
    assert_eq!(worker.turn(130, BULK_FIRST), 10);
    worker.waiting[Urgent.index()] = 1_000;
    assert_eq!(worker.turn(120, BULK_FIRST), 120, "it alone has waited");
    let mut worker = Worker::new([1_000; CLASSES]);
    worker.turn(130, BULK_FIRST);
    assert_eq!(worker.counts(), [80, 40, 10]);
    // With few slots no more are taken than there are.
    let mut worker = Worker::new([10; CLASSES]);
    assert_eq!(worker.turn(2, BULK_FIRST), 2);
    assert_eq!(worker.counts(), [0, 1, 1]);
}

#[test]
fn an_abort_takes_back_turns() {
    let mut worker = Worker::new([100; CLASSES]);
    worker.turn(0, BULK_FIRST);
    worker.turn(3, BULK_FIRST);
    let credits = worker.turns.credits;
    worker.turns.begin(3, 4);
    assert!(worker.turns.take(Urgent) && worker.turns.credits != credits);
    worker.turns.aborted();
    assert_eq!(worker.turns.credits, credits);
    assert!(!worker.turns.take(Urgent), "nothing is free before the next turn begins");
}
