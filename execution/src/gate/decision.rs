//! What a gate has decided, and why: for owners, and for the audit trail.

use crate::code;

use super::{About, Answer, GateId, Outcome, Why};

/// Why somebody was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The policy drops what is over its limit, which is used up.
    Excess(Why),
    /// It would have to wait for a gate that comes before one that it or its ancestors hold; why it would have to.
    OutOfOrder(Why),
    /// [`super::WAITERS_MAX`] wait already.
    TooManyWait,
    /// [`super::GATES_MAX`] gates have something to remember already.
    TooManyGates,
}

impl Refusal {
    /// Its stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Excess(_) => code::POLICY_EXCESS,
            Self::OutOfOrder(_) => code::POLICY_OUT_OF_ORDER,
            Self::TooManyWait => code::POLICY_TOO_MANY_WAIT,
            Self::TooManyGates => code::POLICY_TOO_MANY_GATES,
        }
    }

    /// Reads it back.
    pub fn parse(text: &str, why: Option<Why>) -> Option<Self> {
        let all = [why.map(Self::Excess), why.map(Self::OutOfOrder), Some(Self::TooManyWait), Some(Self::TooManyGates)];
        all.into_iter().flatten().find(|refusal| refusal.code() == text)
    }

    /// What was not to be had, where that is the reason.
    pub const fn why(self) -> Option<Why> {
        match self {
            Self::Excess(why) | Self::OutOfOrder(why) => Some(why),
            Self::TooManyWait | Self::TooManyGates => None,
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// It may pass.
    Granted {
        /// Whether it has been told before.
        again: bool,
    },
    /// It waits.
    Waits {
        /// For what.
        why: Why,
        /// Whether it has waited before.
        again: bool,
    },
    /// It is turned away.
    Refused(Refusal),
    /// It gave its permit back.
    Returned(Outcome),
    /// It waits no more.
    Left,
    /// It is asked whether it still holds its permit.
    Asked,
    /// The gate is shut until a person opens it.
    Shut(Why),
    /// A person has shut it.
    ShutBy {
        /// Who, and why.
        by: String,
    },
    /// A person has opened it.
    Opened {
        /// Who, and why.
        by: String,
    },
    /// Nothing passes for a time.
    Closed {
        /// When it opens, in milliseconds since the epoch.
        until_ms: i64,
    },
    /// The breaker opened.
    Tripped {
        /// When probes may pass, in milliseconds since the epoch.
        until_ms: i64,
    },
    /// The breaker is closed again.
    Recovered,
}

impl Decided {
    /// Its name in the audit trail.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "granted",
            Self::Waits { .. } => "waits",
            Self::Refused(_) => "refused",
            Self::Returned(_) => "returned",
            Self::Left => "left",
            Self::Asked => "asked",
            Self::Shut(_) | Self::ShutBy { .. } => "shut",
            Self::Opened { .. } => "opened",
            Self::Closed { .. } => "closed",
            Self::Tripped { .. } => "tripped",
            Self::Recovered => "recovered",
        }
    }

    /// Why, how it ended, who did it or until when it holds, as the audit trail says it.
    pub fn reason(&self) -> Option<String> {
        Some(match self {
            Self::Waits { why, .. } | Self::Shut(why) => why.code().to_owned(),
            Self::Refused(refusal) => match refusal.why() {
                Some(why) => format!("{}: {}", refusal.code(), why.code()),
                None => refusal.code().to_owned(),
            },
            Self::Returned(outcome) => outcome.as_str().to_owned(),
            Self::Opened { by } | Self::ShutBy { by } => by.clone(),
            Self::Closed { until_ms } | Self::Tripped { until_ms } => until_ms.to_string(),
            Self::Granted { .. } | Self::Left | Self::Asked | Self::Recovered => return None,
        })
    }
}

/// One decision of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which gate.
    pub gate: GateId,
    /// Whom it is about; nobody where it is about the gate itself.
    pub about: Option<About>,
    /// What.
    pub decided: Decided,
}

impl Decision {
    /// What the owner of an execution is told, and about what.
    pub fn answer(&self) -> Option<(&About, Answer)> {
        let answer = match &self.decided {
            Decided::Granted { .. } => Answer::Granted,
            Decided::Asked => Answer::Held,
            Decided::Refused(refusal) => Answer::Refused(*refusal),
            _ => return None,
        };
        Some((self.about.as_ref()?, answer))
    }

    /// Whether it belongs into the audit trail: what only says again what was decided before does not.
    pub const fn is_news(&self) -> bool {
        !matches!(self.decided, Decided::Asked | Decided::Granted { again: true } | Decided::Waits { again: true, .. })
    }
}
