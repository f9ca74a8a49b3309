//! Why a turn ends early.

use super::DriverPoint;
use crate::session::SessionError;
use crate::store::StoreError;

/// What ends a turn early.
pub(super) enum Failure {
    Session(SessionError),
    Store(StoreError),
    Panicked(String),
    Crashed(DriverPoint),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}
