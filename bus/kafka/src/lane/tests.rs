use petrel_bus::{Output, receipt};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::calls::{Call, Next};
use crate::turns::Turns;

/// Longest wait for a report.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls of two records each.
fn calls(count: usize) -> Vec<Placed> {
    let (topic, mut turns): (Arc<str>, _) = ("t".into(), Turns::default());
    let output = |partition| Output::to_partition(&topic, partition, "", None);
    let call = |_| turns.placed(Call::new(vec![output(0), output(1)], receipt().0), vec![0, 1]);
    (0..count).map(call).collect()
}

fn companies(calls: &[Placed]) -> Vec<Company> {
    calls.iter().map(|placed| placed.company).collect()
}

#[test]
fn only_calls_that_were_not_delivered_go_by_themselves() {
    let mut calls = calls(3);
    part(&mut calls, &[true, true, true, false, true, true]);
    assert_eq!(companies(&calls), [Company::Any, Company::Alone, Company::Any]);
}

#[test]
fn calls_of_which_nothing_was_delivered_go_together_once_more() {
    let mut calls = calls(2);
    part(&mut calls, &[false; 4]);
    assert_eq!(companies(&calls), [Company::Again; 2]);
    part(&mut calls, &[false; 4]);
    assert_eq!(companies(&calls), [Company::Alone; 2]);
}

#[test]
fn calls_that_were_all_delivered_and_not_committed_go_together_once_more() {
    let mut calls = calls(2);
    part(&mut calls, &[true; 4]);
    assert_eq!(companies(&calls), [Company::Again; 2]);
    part(&mut calls, &[]);
    assert_eq!(companies(&calls), [Company::Alone; 2]);
}

#[test]
fn several_calls_leave_time_for_another_transaction() {
    let (mut calls, timeout) = (calls(2), Duration::from_secs(3_600));
    assert_eq!(patience(&calls[..1], timeout), None);
    assert_eq!(patience(&calls, timeout), Some(timeout / 4));
    part(&mut calls, &[false; 4]);
    let again = patience(&calls, timeout).unwrap();
    assert!(again > timeout / 3 && again <= timeout / 2, "{again:?}");
    assert_eq!(patience(&calls, Duration::ZERO), Some(Duration::ZERO));
}

#[test]
fn the_pause_grows_while_the_broker_refuses() {
    let mut pauses = vec![CONNECT_PAUSE];
    pauses.extend((0..20).scan(CONNECT_PAUSE, |pause, _| {
        *pause = pause_after(*pause, true);
        Some(*pause)
    }));
    assert!(pauses.windows(2).all(|two| two[1] == (2 * two[0]).min(REFUSED_PAUSE_MAX)), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&REFUSED_PAUSE_MAX));
    assert_eq!(pause_after(REFUSED_PAUSE_MAX, false), CONNECT_PAUSE);
}

/// Reports until there are so many of a connection that was refused, or the lane has ended.
fn refusals(number: usize, count: usize) -> (usize, Option<Ended>) {
    let cluster = MockCluster::new(1).unwrap();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[denied; 10]);
    let options = Arc::new(KafkaOptions::new(cluster.bootstrap_servers(), "test"));
    let (questions, calls) = (Arc::new(Questions::new(&options).unwrap()), Arc::new(Calls::default()));
    let lane = Lane::spawn(number, "p", &options, &questions, &calls).unwrap();
    let (mut refused, mut ended) = (0, None);
    while refused < count && ended.is_none() {
        assert!(matches!(calls.next(None, Some(PATIENCE), false), Next::Nothing));
        let reports = calls.reports();
        assert!(!reports.is_empty(), "nothing is reported");
        for report in reports {
            assert_eq!(report.lane, number);
            match report.told {
                Told::NotConnected(_) => refused += 1,
                Told::Ended(how) => ended = Some(how),
                Told::Ready | Told::Done(_) => panic!("the broker refuses it"),
            }
        }
    }
    drop(lane);
    (refused, ended)
}

#[test]
fn the_first_lane_tries_again_when_it_is_refused_and_others_end() {
    assert_eq!(refusals(0, 3), (3, None));
    assert_eq!(refusals(1, 3), (1, Some(Ended::Refused)));
}
