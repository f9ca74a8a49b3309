//! Where ClickHouse is: a server that stays where it is, or the embedded engine, which may move when
//! it is started anew.

use tokio::sync::watch;

/// How to reach a ClickHouse over HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// `http://host:8123`.
    pub url: String,
    /// User; none is ClickHouse's `default`.
    pub user: Option<String>,
    /// Password, if it asks for one.
    pub password: Option<String>,
}

impl std::fmt::Debug for Address {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

/// Follows an address. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoint(watch::Receiver<Option<Address>>);

impl Endpoint {
    /// A ClickHouse that does not move.
    pub fn fixed(address: Address) -> Self {
        // A receiver keeps the last value when its sender is gone.
        Self(watch::channel(Some(address)).1)
    }

    /// Follows what a supervisor publishes; `None` while there is nothing to connect to.
    pub(crate) fn following(receiver: watch::Receiver<Option<Address>>) -> Self {
        Self(receiver)
    }

    /// The address now; none while the embedded engine is down.
    pub fn now(&self) -> Option<Address> {
        self.0.borrow().clone()
    }
}
