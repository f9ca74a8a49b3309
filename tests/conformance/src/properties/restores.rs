//! Reading changelogs back.

use std::sync::Arc;

use petrel_bus::{Output, RESTORE_OUT_OF_RANGE, RestoreFrom, RestoreProgress, Session, SessionError, TopicPartition};

use crate::harness::BusUnderTest;
use crate::world::{World, text};

type Handed = Vec<(u32, i64, String)>;

fn restore(session: &mut dyn Session, wanted: &[RestoreFrom]) -> Result<(Vec<i64>, Handed), SessionError> {
    let mut handed = Vec::new();
    let next = session.restore(wanted, &mut |partition, offset, _, value| {
        handed.push((partition, offset, text(value)));
    })?;
    // Those of one partition come in order; partitions may be mixed.
    let mut sorted = handed.clone();
    sorted.sort_by_key(|(partition, ..)| *partition);
    Ok((next, sorted))
}

/// Several partitions come back at once, each from its own offset on and in order, and the ends are told;
/// where the log does not hold what is asked for, it says so and hands nothing out.
pub fn a_restore_begins_where_it_is_told<B: BusUnderTest>(under: &B) {
    const PARTITIONS: u32 = 4;
    let world = World::new(under, "restore", PARTITIONS);
    world.ensure(&[("log", PARTITIONS, false)]);
    let topic = world.topic("log");
    let publisher = under.bus().publisher("suite").unwrap();
    for round in 0..50 {
        let output = |p| Output::to_partition(&topic, p, "k", Some(format!("p{p} r{round}").into_bytes()));
        publisher.publish((0..PARTITIONS).map(output).collect()).wait().unwrap();
    }
    let mut session = under.bus().session(&world.session_options("a")).unwrap();
    let records = world.records("log");
    let offset = |p: u32, n: usize| records.iter().filter(|(q, _)| *q == p).nth(n).unwrap().1.offset;
    let from = |partition, from| RestoreFrom { at: TopicPartition { topic: topic.clone(), partition }, from };
    let ends = under.bus().end_offsets(&topic).unwrap();
    let wanted = [from(3, Some(offset(3, 30))), from(0, None), from(1, Some(ends[1])), from(2, Some(ends[2] + 7))];
    let progress = Arc::new(RestoreProgress::default());
    session.tell_restores(progress.clone());
    for _ in 0..2 {
        let (next, handed) = restore(&mut *session, &wanted).unwrap();
        assert_eq!(next, [ends[3], ends[0], ends[1], RESTORE_OUT_OF_RANGE]);
        let all = |p: u32, from: usize| (from..50).map(move |n| (p, offset(p, n), format!("p{p} r{n}")));
        assert_eq!(handed, all(0, 0).chain(all(3, 30)).collect::<Handed>());
        assert_eq!(progress.now(), [], "nothing is being restored");
    }
    let mut told = Vec::new();
    session.restore(&[from(0, None)], &mut |_, _, _, _| told.extend(progress.now())).unwrap();
    let at = TopicPartition { topic: topic.clone(), partition: 0 };
    assert!(told.iter().all(|r| r.at == at && r.end == ends[0] && (0..=r.end).contains(&r.position)), "{told:?}");
    assert_eq!(told.len(), 50);
    let begin = under.drop_before(&topic, 0, offset(0, 20));
    assert!(begin >= offset(0, 20));
    let wanted = [from(0, Some(0)), from(0, Some(begin))];
    for (wanted, expected) in wanted.into_iter().zip([RESTORE_OUT_OF_RANGE, ends[0]]) {
        let (next, handed) = restore(&mut *session, &[wanted]).unwrap();
        assert_eq!(next, [expected]);
        assert!(handed.iter().all(|(_, offset, _)| expected != RESTORE_OUT_OF_RANGE && *offset >= begin), "{handed:?}");
    }
    let refused = restore(&mut *session, &[from(0, None), from(PARTITIONS, None)]);
    let Err(SessionError::Halt(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains(&*topic) && why.contains(&PARTITIONS.to_string()), "{why}");
    session.close();
}
