//! What an error of a client means for whoever made the call.

use petrel_bus::{BusError, SessionError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What can be done about a failed call of a transactional producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The same call again.
    Retry(String),
    /// Abort the transaction; the producer is still good.
    Abort(String),
    /// The group has gone on without this member, or is about to.
    Generation(String),
    /// Throw the producer away.
    Rebuild(String),
}

/// Another process has this one's transactional id or membership.
pub(crate) fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::Fatal
    )
}

impl Fault {
    pub(crate) fn of(error: &KafkaError) -> Self {
        let text = error.to_string();
        match error {
            KafkaError::Transaction(e) if is_fenced(e.code()) || e.is_fatal() => Self::Rebuild(text),
            KafkaError::Transaction(e) if matches!(e.code(), Code::IllegalGeneration | Code::RebalanceInProgress) => {
                Self::Generation(text)
            }
            KafkaError::Transaction(e) if e.txn_requires_abort() => Self::Abort(text),
            KafkaError::Transaction(e) if e.is_retriable() => Self::Retry(text),
            // Deliveries that were still out: nothing of the transaction was committed.
            KafkaError::Flush(_) => Self::Abort(text),
            _ => Self::Rebuild(text),
        }
    }

    /// What the driver must do. A member keeps partitions over a rebalance and may commit while the group
    /// turns to its next generation: it tries again, and is told if its partitions are lost.
    pub(crate) fn into_session_error(self) -> SessionError {
        match self {
            Self::Retry(why) | Self::Abort(why) | Self::Generation(why) => SessionError::Abort(why),
            Self::Rebuild(why) => SessionError::Rebuild(why),
        }
    }

    /// In words.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Retry(why) | Self::Abort(why) | Self::Generation(why) | Self::Rebuild(why) => why,
        }
    }
}

/// An error of a question, for callers outside of a session.
pub(crate) fn bus_error(doing: &str, error: &KafkaError) -> BusError {
    let text = format!("{doing}: {error}");
    match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => BusError::Configuration(text),
        _ => match error.rdkafka_error_code() {
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::PolicyViolation
                | Code::InvalidReplicationFactor
                | Code::InvalidTopic,
            ) => BusError::Configuration(text),
            _ => BusError::Unavailable(text),
        },
    }
}

/// An error of a question, within a session: connect anew.
pub(crate) fn rebuild(doing: &str, error: &KafkaError) -> SessionError {
    SessionError::Rebuild(format!("{doing}: {error}"))
}
