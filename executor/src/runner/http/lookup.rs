//! Names to addresses. The addresses that are looked at are those that are connected to: a name that changes between
//! the two changes nothing.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::AddressGuard;

/// What a look-up gives.
pub type LookedUp = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a host by its name.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// Its addresses.
    fn addresses(&self, host: &str) -> LookedUp;
}

/// The system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, host: &str) -> LookedUp {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// Nothing may be sent to a host at that address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("requests to {host} are refused: its address {address} is denied to actions (executor.http.deny)")]
pub(super) struct Refused {
    pub(super) host: String,
    pub(super) address: IpAddr,
}

/// Finds addresses, and gives those of hosts alone to which requests may go.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    pub(super) guard: Arc<AddressGuard>,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Guarded {
    /// An address as a host.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        match self.guard.refuses(address) {
            true => Err(Refused { host: address.to_string(), address }),
            false => Ok(()),
        }
    }

    /// The addresses of a host. One that is refused refuses all: which of them is connected to is not for the name's
    /// owner to choose.
    pub(super) async fn addresses(&self, host: &str) -> std::io::Result<Result<Vec<IpAddr>, Refused>> {
        let addresses = self.lookup.addresses(host).await?;
        Ok(match addresses.iter().find(|address| self.guard.refuses(**address)) {
            Some(address) => Err(Refused { host: host.to_owned(), address: *address }),
            None => Ok(addresses),
        })
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.clone();
        Box::pin(async move {
            let addresses = own.addresses(name.as_str()).await??;
            // The port of the URL takes the place of this one.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}
