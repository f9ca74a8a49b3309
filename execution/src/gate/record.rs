//! From and to the records of `petrel.gates`, of `petrel.gate_state`, and of answers on `petrel.requests`.

use petrel_schemas::{
    ExecutionId, GateAnswer, GateMessage as MessageRecord, GateOrder, GatePermit, GateSeat, GateSender,
};

use super::{
    About, Answer, Charge, Class, GateId, GateMessage, InForce, Outcome, Permit, Refusal, Seat, Stamp, What, Why,
};

/// A record that contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of a gate has no proper {field}")]
pub struct GateRecordError {
    /// The field that is missing, or has a value that means nothing.
    pub field: &'static str,
}

const fn field(field: &'static str) -> GateRecordError {
    GateRecordError { field }
}

const ACQUIRE: &str = "acquire";
const RELEASE: &str = "release";
const CLOSE: &str = "close";
const OPEN: &str = "open";
const SHUT: &str = "shut";

/// The record of a message.
pub fn of_message(message: &GateMessage) -> MessageRecord {
    let mut record = MessageRecord {
        sender: i32::try_from(message.sender).unwrap_or(i32::MAX),
        epoch: message.stamp.epoch,
        number: signed(message.stamp.number),
        gate: message.gate.to_string(),
        what: String::new(),
        execution_id: None,
        acquisition: None,
        class: None,
        may_wait: false,
        revision: None,
        in_force_since_ms: None,
        outcome: None,
        until_ms: None,
        by: None,
    };
    let about = |record: &mut MessageRecord, about: &About| {
        record.execution_id = Some(about.execution.to_string());
        record.acquisition = Some(about.acquisition.to_string());
    };
    match &message.what {
        What::Acquire { about: of, class, may_wait, in_force } => {
            about(&mut record, of);
            record.what = ACQUIRE.to_owned();
            record.class = Some(class.as_str().to_owned());
            record.may_wait = *may_wait;
            record.revision = Some(in_force.revision.to_string());
            record.in_force_since_ms = Some(in_force.since_ms);
        }
        What::Release { about: of, outcome } => {
            about(&mut record, of);
            record.what = RELEASE.to_owned();
            record.outcome = Some(outcome.as_str().to_owned());
        }
        What::Close { until_ms } => {
            record.what = CLOSE.to_owned();
            record.until_ms = Some(*until_ms);
        }
        What::Shut { by } => {
            record.what = SHUT.to_owned();
            record.by = Some(by.clone());
        }
        What::Open { by } => {
            record.what = OPEN.to_owned();
            record.by = Some(by.clone());
        }
    }
    record
}

/// The message of a record.
///
/// # Errors
/// [`GateRecordError`].
pub fn message(record: &MessageRecord) -> Result<GateMessage, GateRecordError> {
    let about = || about(record.execution_id.as_deref(), record.acquisition.as_deref());
    let what = match record.what.as_str() {
        ACQUIRE => What::Acquire {
            about: about()?,
            class: record.class.as_deref().and_then(Class::parse).ok_or(field("class"))?,
            may_wait: record.may_wait,
            in_force: InForce {
                revision: record.revision.as_deref().ok_or(field("revision"))?.into(),
                since_ms: record.in_force_since_ms.ok_or(field("in_force_since_ms"))?,
            },
        },
        RELEASE => What::Release {
            about: about()?,
            outcome: record.outcome.as_deref().and_then(Outcome::parse).ok_or(field("outcome"))?,
        },
        CLOSE => What::Close { until_ms: record.until_ms.ok_or(field("until_ms"))? },
        OPEN => What::Open { by: record.by.clone().ok_or(field("by"))? },
        SHUT => What::Shut { by: record.by.clone().ok_or(field("by"))? },
        _ => return Err(field("what")),
    };
    Ok(GateMessage {
        sender: u32::try_from(record.sender).map_err(|_| field("sender"))?,
        stamp: stamp(record.epoch, record.number)?,
        gate: gate(&record.gate)?,
        what,
    })
}

/// The order of a person, as a message to its gate, and when it was given.
///
/// # Errors
/// [`GateRecordError`].
pub fn order(record: &GateOrder) -> Result<(GateId, What, i64), GateRecordError> {
    let by = match &record.reason {
        Some(reason) => format!("{}: {reason}", record.requested_by),
        None => record.requested_by.clone(),
    };
    let what = match record.order.as_str() {
        OPEN => What::Open { by },
        SHUT => What::Shut { by },
        _ => return Err(field("order")),
    };
    Ok((gate(&record.gate)?, what, record.requested_at_ms))
}

/// The record of an answer.
pub fn of_answer(gate: &GateId, about: &About, answer: Answer) -> GateAnswer {
    let (text, refusal) = match answer {
        Answer::Granted => ("granted", None),
        Answer::Held => ("held", None),
        Answer::Refused(refusal) => ("refused", Some(refusal)),
    };
    GateAnswer {
        execution_id: about.execution.to_string(),
        root_execution_id: about.execution.root().into(),
        gate: gate.to_string(),
        acquisition: about.acquisition.to_string(),
        answer: text.to_owned(),
        code: refusal.map(|refusal| refusal.code().to_owned()),
        why: refusal.and_then(Refusal::why).map(|why| why.code().to_owned()),
    }
}

/// The answer of a record.
///
/// # Errors
/// [`GateRecordError`].
pub fn answer(record: &GateAnswer) -> Result<(GateId, About, Answer), GateRecordError> {
    let why = record.why.as_deref().map(|why| Why::parse(why).ok_or(field("why"))).transpose()?;
    let answer = match record.answer.as_str() {
        "granted" => Answer::Granted,
        "held" => Answer::Held,
        "refused" => {
            let code = record.code.as_deref().ok_or(field("code"))?;
            Answer::Refused(Refusal::parse(code, why).ok_or(field("code"))?)
        }
        _ => return Err(field("answer")),
    };
    let about = about(Some(&record.execution_id), Some(&record.acquisition))?;
    Ok((gate(&record.gate)?, about, answer))
}

/// The record of a stamp.
pub fn of_stamp(stamp: Stamp) -> GateSender {
    GateSender { epoch: stamp.epoch, number: signed(stamp.number) }
}

/// The stamp of a record.
///
/// # Errors
/// [`GateRecordError`].
pub fn sender(record: &GateSender) -> Result<Stamp, GateRecordError> {
    stamp(record.epoch, record.number)
}

/// The record of a permit.
pub fn of_permit(permit: &Permit) -> GatePermit {
    let (charge, until_ms, window) = match permit.charge {
        Charge::Nothing => ("nothing", None, None),
        Charge::Token { era } => ("token", None, Some(i64::from(era))),
        Charge::Hit { until_ms, window } => ("hit", Some(until_ms), Some(i64::from(window))),
        Charge::Probe(trial_ms) => ("probe", Some(trial_ms), None),
    };
    GatePermit { acquisition: permit.acquisition.to_string(), charge: charge.to_owned(), until_ms, window }
}

/// The permit of a record.
///
/// # Errors
/// [`GateRecordError`].
pub fn permit(record: &GatePermit) -> Result<Permit, GateRecordError> {
    let until_ms = record.until_ms.ok_or(field("until_ms"));
    let window = record.window.and_then(|window| u32::try_from(window).ok()).ok_or(field("window"));
    let charge = match record.charge.as_str() {
        "nothing" => Charge::Nothing,
        "token" => Charge::Token { era: window? },
        "hit" => Charge::Hit { until_ms: until_ms?, window: window? },
        "probe" => Charge::Probe(until_ms?),
        _ => return Err(field("charge")),
    };
    Ok(Permit { acquisition: Stamp::parse(&record.acquisition).ok_or(field("acquisition"))?, charge })
}

/// The record of a place.
pub fn of_seat(execution: &ExecutionId, seat: &Seat) -> GateSeat {
    GateSeat {
        execution_id: execution.to_string(),
        acquisition: seat.acquisition.to_string(),
        class: seat.class.as_str().to_owned(),
        ticket: signed(seat.ticket),
    }
}

/// The place of a record, and whose it is.
///
/// # Errors
/// [`GateRecordError`].
pub fn seat(record: &GateSeat) -> Result<(ExecutionId, Seat), GateRecordError> {
    let about = about(Some(&record.execution_id), Some(&record.acquisition))?;
    let class = Class::parse(&record.class).ok_or(field("class"))?;
    let ticket = unsigned(record.ticket).ok_or(field("ticket"))?;
    Ok((about.execution, Seat { acquisition: about.acquisition, class, ticket }))
}

pub(super) fn gate(text: &str) -> Result<GateId, GateRecordError> {
    GateId::parse(text).map_err(|_| field("gate"))
}

fn about(execution: Option<&str>, acquisition: Option<&str>) -> Result<About, GateRecordError> {
    let execution = execution.and_then(|text| ExecutionId::parse(text).ok()).ok_or(field("execution_id"))?;
    let acquisition = acquisition.and_then(Stamp::parse).ok_or(field("acquisition"))?;
    Ok(About { execution, acquisition })
}

fn stamp(epoch: i64, number: i64) -> Result<Stamp, GateRecordError> {
    Ok(Stamp { epoch, number: unsigned(number).ok_or(field("number"))? })
}

/// Avro has no unsigned numbers; none of these gets near the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Kind;

    fn about() -> About {
        let execution = ExecutionId::of_manual("x").child(3).unwrap();
        About { execution, acquisition: Stamp { epoch: -4, number: 7 } }
    }

    fn gate_id() -> GateId {
        GateId::of_key("a.p", Kind::Rate, "x/y").unwrap()
    }

    #[test]
    fn messages_are_read_back() {
        let in_force = InForce { revision: "r".into(), since_ms: 5 };
        let mut all = vec![
            What::Close { until_ms: 9 },
            What::Open { by: "ann".to_owned() },
            What::Shut { by: "ann".to_owned() },
            What::Acquire { about: about(), class: Class::Bulk, may_wait: true, in_force: in_force.clone() },
            What::Acquire { about: about(), class: Class::Urgent, may_wait: false, in_force },
        ];
        all.extend(Outcome::ALL.map(|outcome| What::Release { about: about(), outcome }));
        for what in all {
            let wanted = GateMessage { sender: 3, stamp: Stamp { epoch: 1, number: 2 }, gate: gate_id(), what };
            assert_eq!(message(&of_message(&wanted)), Ok(wanted));
        }
    }

    #[test]
    fn answers_are_read_back() {
        let mut all = vec![
            Answer::Granted,
            Answer::Held,
            Answer::Refused(Refusal::TooManyWait),
            Answer::Refused(Refusal::TooManyGates),
        ];
        for why in Why::ALL {
            all.extend([Refusal::Excess(why), Refusal::OutOfOrder(why)].map(Answer::Refused));
        }
        for wanted in all {
            assert_eq!(answer(&of_answer(&gate_id(), &about(), wanted)), Ok((gate_id(), about(), wanted)));
        }
    }

    #[test]
    fn permits_places_and_stamps_are_read_back() {
        let acquisition = about().acquisition;
        let charges = [
            Charge::Nothing,
            Charge::Token { era: 3 },
            Charge::Probe(-5),
            Charge::Hit { until_ms: 6, window: u32::MAX },
        ];
        for charge in charges {
            let wanted = Permit { acquisition, charge };
            assert_eq!(permit(&of_permit(&wanted)), Ok(wanted));
        }
        let wanted = Seat { acquisition, class: Class::Urgent, ticket: 8 };
        assert_eq!(seat(&of_seat(&about().execution, &wanted)), Ok((about().execution, wanted)));
        assert_eq!(sender(&of_stamp(acquisition)), Ok(acquisition));
    }

    #[test]
    fn a_record_that_contradicts_itself_says_where() {
        let wanted = GateMessage {
            sender: 3,
            stamp: Stamp { epoch: 1, number: 2 },
            gate: gate_id(),
            what: What::Release { about: about(), outcome: Outcome::Silent },
        };
        let of = |change: &dyn Fn(&mut MessageRecord)| {
            let mut record = of_message(&wanted);
            change(&mut record);
            message(&record).unwrap_err().field
        };
        assert_eq!(of(&|record| record.what = "knock".to_owned()), "what");
        assert_eq!(of(&|record| record.gate = "x".to_owned()), "gate");
        assert_eq!(of(&|record| record.outcome = None), "outcome");
        assert_eq!(of(&|record| record.number = -1), "number");
        assert_eq!(of(&|record| record.acquisition = None), "acquisition");
        assert_eq!(of(&|record| record.execution_id = Some("x".to_owned())), "execution_id");
    }
}
