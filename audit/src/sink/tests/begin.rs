//! Partitions on which a session cannot begin.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use petrel_bus::{SessionError, TopicPartition};

use super::super::memory::MemoryTables;
use super::super::stats::SinkStats;
use super::super::step::{Sink, StepError};
use super::harness::{Counting, Member, live, log, options, topics};

#[test]
fn what_cannot_be_begun_is_tried_again_with_another_session_and_begins_nothing_else() {
    let (mut log, mut tables, stats) = (log(20), MemoryTables::default(), Arc::new(SinkStats::default()));
    let at = TopicPartition { topic: "petrel.audit".into(), partition: 1 };
    log.refuse(&at, Some("it must not be read"));
    for _ in 0..3 {
        let (topics, options, mut member) = (topics(), options(5), Member::new(&mut log, 4));
        let mut sink = Sink::new(&mut member, &mut tables, &topics, &options, Arc::new(Counting), stats.clone())
            .expect("it subscribes");
        let why = "petrel.audit/1 cannot be begun: it must not be read".to_owned();
        let ended = (0..100).find_map(|_| sink.step(&mut |_| false).err());
        assert_eq!(ended, Some(StepError::Session(SessionError::Rebuild(why))));
    }
    assert_eq!((log.committed(&at), tables.rows().len()), (None, 0));

    log.refuse(&at, None);
    assert_eq!(live(&mut log, &mut tables, &stats, &mut |_| false), 1);
    assert_eq!((tables.rows().len(), stats.rows.load(Ordering::Relaxed), stats.problems().len()), (60, 60, 0));
}
