use petrel_schemas::ActionRequest;

use jiff::civil::date;

use super::*;
use crate::gate::Kind;
use crate::state::{End, LeadsTo, State};
use crate::windows::Span;

fn request(id: &str) -> In<Requested> {
    let (subject, parameters) = Subject::of_request(ActionRequest {
        execution_id: id.to_owned(),
        root_execution_id: id[..32].to_owned(),
        event_id: Some("event".to_owned()),
        event_at_ms: Some(1),
        trigger: Some("demo.alert".to_owned()),
        rule: Some("demo.rule".to_owned()),
        action_index: 2,
        redrive: 0,
        action: "demo.run".to_owned(),
        parameters: "{\"a\":1}".to_owned(),
        revision: "r".to_owned(),
        kv_version: 3,
        requested_at_ms: 7,
        requested_by: "rule".to_owned(),
        cause_depth: 5,
        class: None,
    })
    .unwrap();
    In::new(subject, parameters)
}

fn scheduled(id: &str) -> In<Scheduled> {
    let mut requested = request(id);
    let retry = Some(Retry {
        on_failure: false,
        on_timeout: true,
        on_lost_worker: true,
        when: Some("result.n == 1".into()),
        heeds_server: false,
        retries_max: 10,
        delay_ms: 11,
        back_off: BackOff::Exponential,
        delay_ms_max: 12,
        jitter_percent: 13,
        total_ms_max: Some(14),
    });
    let windows = vec![Windows {
        policy: "demo.two".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        open: vec![Span::Weekly { days: vec![1, 5], from_minute: 60, to_minute: 90 }],
        closed: vec![Span::Once { from: date(2026, 12, 24).at(0, 0, 0, 0), to: date(2027, 1, 2).at(1, 30, 0, 0) }],
        drops: true,
    }];
    let (pool, delivery) = ("gpu".to_owned(), Delivery::AtMostOnce);
    requested.core.terms = Some(Terms { pool, delivery, timeout_ms: 9, retry, deadline_ms: Some(10), windows });
    requested.core.counts = Counts { lost_leases: 1, failures: 2, hand_overs: 3, not_begun: 4 };
    requested.core.children_open = 4;
    requested.core.rerun_at_ms = Some(15);
    let key = GateId::of_key("demo.one", Kind::Concurrency, "a/b ü").unwrap();
    requested.core.passage = Some(Passage {
        class: Class::Bulk,
        gates: vec![key.clone(), GateId::total("demo.one", Kind::Radius)],
        acquired: vec![Stamp { epoch: -5, number: 7 }, Stamp { epoch: 5, number: 8 }],
        awaits: true,
        asked_again: 9,
        turned_away: 10,
        inherited: vec![key],
        begun: true,
    });
    requested.schedule(
        Scheduled { partition: 5, start_by_ms: 99, declines: 6, too_small: 5, again_ms: Some(7) },
        8,
        Note::new("lease_lost", "w was lost"),
    )
}

const ID: &str = "ab5d55eb4ccbbb057449fb974e3db6fa";

fn live() -> Vec<Execution> {
    let holder = || Holder { worker: "w".to_owned(), started_at_ms: Some(11) };
    let running = || scheduled(ID).claimed(holder());
    let delayed = Delayed { reason: DelayReason::BackOff, until_ms: Some(5), start_by_ms: Some(6) };
    let at_gate = Delayed { reason: DelayReason::Gate, until_ms: Some(5), start_by_ms: None };
    let held = Canceling { by: "eve".to_owned(), holder: Some(holder()), start_by_ms: None };
    let unheld = Canceling { by: "eve".to_owned(), holder: None, start_by_ms: Some(99) };
    vec![
        request(ID).into(),
        request(ID).delay(delayed, Some("why".to_owned())).into(),
        scheduled(&format!("{ID}.3.1")).into(),
        running().into(),
        running().pause(Some(holder())).into(),
        running().pause(None).rest(Paused { frozen: Some("{}".to_owned()) }, Note::NONE).into(),
        running().pause(None).rest(Paused::default(), Note::NONE).resume().into(),
        running().ask().resume().wait(at_gate, Some("why".to_owned())).into(),
        running().ask().into(),
        running().cancel(held).into(),
        scheduled(ID).cancel(unheld).into(),
    ]
}

#[test]
fn what_is_not_over_is_read_back_whole() {
    for execution in live() {
        assert_eq!(from_bytes(&to_bytes(&execution)), Ok(Known::Live(execution)));
    }
    let child = record(&scheduled(&format!("{ID}.3.1")).into());
    assert_eq!((&*child.root_execution_id, child.parent_execution_id.as_deref()), (ID, Some(&*format!("{ID}.3"))));
}

#[test]
fn of_what_is_over_only_its_end_is_read_back() {
    fn over<S: State>(end: In<S>) -> Ended
    where
        Execution: From<In<S>>,
    {
        let execution = Execution::from(end);
        let ended = execution.ended().unwrap();
        assert_eq!(from_bytes(&to_bytes(&execution)), Ok(Known::Over(ended.clone())));
        ended
    }
    fn reaches<To: State>(_: impl LeadsTo<To>) {}
    let running = || scheduled(ID).claimed(Holder { worker: "w".to_owned(), started_at_ms: None });
    let end = || End { return_code: Some(3), result: Some("{}".to_owned()), ..End::unheld(50) };
    let note = || Note::new("exit_code", "it failed");
    let failed = over(running().fail(end(), note()));
    assert_eq!((failed.sequence, failed.code.as_deref(), failed.return_code), (3, Some("exit_code"), Some(3)));
    over(running().succeed(end(), Note::NONE));
    over(running().time_out(end(), note()));
    over(running().end_canceled(end(), note()));
    over(running().abandon(end(), note()));
    reaches::<crate::state::Failed>(running().state);
}

#[test]
fn a_record_that_contradicts_itself_says_where() {
    let field = |change: &dyn Fn(&mut ExecutionState)| {
        let mut state = record(&scheduled(ID).into());
        change(&mut state);
        match from_bytes(&encode(&state)) {
            Err(CodecError::Field { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(field(&|s| s.status = "lost".to_owned()), "status");
    assert_eq!(field(&|s| s.status = "succeeded".to_owned()), "status");
    assert_eq!(field(&|s| s.status = "running".to_owned()), "worker");
    assert_eq!(field(&|s| s.status = "delayed".to_owned()), "code");
    assert_eq!(field(&|s| s.task_partition = None), "task_partition");
    assert_eq!(field(&|s| s.start_by_ms = None), "start_by_ms");
    assert_eq!(field(&|s| s.delivery = "now and then".to_owned()), "delivery");
    assert_eq!(field(&|s| s.retry_back_off = "sometimes".to_owned()), "retry_back_off");
    assert_eq!(field(&|s| s.gate_class = "vip".to_owned()), "gate_class");
    assert_eq!(field(&|s| s.gates[0] = "x".to_owned()), "gates");
    assert_eq!(field(&|s| s.gates_acquired[0] = "x".to_owned()), "gates_acquired");
    assert_eq!(field(&|s| s.gates.truncate(1)), "gates_acquired");
    assert_eq!(field(&|s| s.gates_acquired.clear()), "gates_acquired");
    assert_eq!(field(&|s| s.gates_turned_away = -1), "gates_turned_away");
    assert_eq!(field(&|s| s.retry_jitter_percent = -1), "retry_jitter_percent");
    let mut state = record(&scheduled(ID).into());
    state.execution_id = "x".to_owned();
    assert_eq!(from_bytes(&encode(&state)), Err(CodecError::Id(IdError::NotAnExecution)));
    assert!(matches!(from_bytes(b"rubbish"), Err(CodecError::Record(_))));
    let ended = ExecutionEnded {
        status: "running".to_owned(),
        ..ended_record(&Ended {
            id: ExecutionId::parse(ID).unwrap(),
            sequence: 1,
            status: Status::Failed,
            code: None,
            return_code: None,
            ended_at_ms: 1,
            conducted: true,
        })
    };
    assert!(matches!(from_bytes(&encode(&ended)), Err(CodecError::Field { field: "status", .. })));
}
