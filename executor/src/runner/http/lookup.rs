//! Names to addresses. The addresses that are looked at are those that are connected to: a name that changes between
//! the two changes nothing.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::guard::{AddressGuard, forms};

/// What a look-up gives.
pub type LookedUp = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a host by its name.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// Its addresses.
    fn addresses(&self, host: &str) -> LookedUp;
}

/// Most look-ups that the system does at a time. Each takes a thread until it ends, also where nobody waits for it any
/// more, and the process has others that need threads.
const LOOKUPS_MAX: usize = 32;

/// The system's.
#[derive(Debug, Clone)]
pub struct SystemLookup(Arc<Semaphore>);

impl Default for SystemLookup {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS_MAX)))
    }
}

impl SystemLookup {
    /// Does it on a thread for what blocks, once there is room.
    async fn with_room<T: Send + 'static>(
        room: Arc<Semaphore>,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T> {
        let permit = room.acquire_owned().await.map_err(std::io::Error::other)?;
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
    }
}

impl Lookup for SystemLookup {
    fn addresses(&self, host: &str) -> LookedUp {
        let host = host.to_owned();
        let look = move || Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect::<Vec<_>>());
        Box::pin(Self::with_room(self.0.clone(), look))
    }
}

/// Why nothing may be sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("is denied to actions (executor.http.deny)")]
    Always,
    #[error("is none to which a server of the internet may redirect, unless executor.http.allow has it")]
    FromOutside,
    #[error("is that of Petrel's own API or ClickHouse")]
    Own,
}

/// Nothing may be sent to a host at that address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("requests to {host} are refused: its address {address} {why}")]
pub(super) struct Refused {
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) why: Denied,
}

/// What is to be known of a request beside its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Look {
    /// Whether a server of the internet has redirected it.
    pub(super) from_outside: bool,
    /// Its port, where that is one of Petrel's own services.
    pub(super) own_port: Option<u16>,
}

/// Finds addresses, and gives those of hosts alone to which requests may go.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    pub(super) guard: Arc<AddressGuard>,
    pub(super) lookup: Arc<dyn Lookup>,
    /// Hosts and ports of Petrel's own services.
    pub(super) own: Arc<[(String, u16)]>,
}

impl Guarded {
    /// What is looked at before a request goes to a URL.
    pub(super) fn look(&self, url: &Url, from_outside: bool) -> Look {
        let own_port = url.port_or_known_default().filter(|port| self.own.iter().any(|(_, own)| own == port));
        Look { from_outside, own_port }
    }

    /// Whether it is the name of one of Petrel's own services.
    pub(super) fn is_own(&self, host: &str, look: Look) -> bool {
        let host = host.trim_end_matches('.');
        self.own.iter().any(|(own, port)| Some(*port) == look.own_port && own.eq_ignore_ascii_case(host))
    }

    /// An address as a host.
    pub(super) async fn check(&self, address: IpAddr, look: Look) -> Result<(), Refused> {
        self.check_all(&address.to_string(), &[address], look).await
    }

    /// The addresses of a host. One that is refused refuses all: which of them is connected to is not for the name's
    /// owner to choose.
    pub(super) async fn addresses(&self, host: &str, look: Look) -> std::io::Result<Result<Vec<IpAddr>, Refused>> {
        let addresses = self.lookup.addresses(host).await?;
        Ok(self.check_all(host, &addresses, look).await.map(|()| addresses))
    }

    async fn check_all(&self, host: &str, addresses: &[IpAddr], look: Look) -> Result<(), Refused> {
        let refused = |address: IpAddr, why| Refused { host: host.to_owned(), address, why };
        for address in addresses.iter().copied() {
            if self.guard.refuses(address) {
                return Err(refused(address, Denied::Always));
            }
            if look.from_outside && self.guard.refuses_from_outside(address) {
                return Err(refused(address, Denied::FromOutside));
            }
        }
        let Some(port) = look.own_port else { return Ok(()) };
        for (own, _) in self.own.iter().filter(|(_, own)| *own == port) {
            let own = self.place_of_own(own).await;
            if let Some(address) = addresses.iter().find(|address| forms(**address).any(|form| own.is_at(form))) {
                return Err(refused(*address, Denied::Own));
            }
        }
        Ok(())
    }

    async fn place_of_own(&self, host: &str) -> Place {
        match host.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => Place::ThisMachine,
            Ok(address) => Place::At(vec![address]),
            // There is no way to a name that is not known here.
            Err(_) => Place::At(self.lookup.addresses(host).await.unwrap_or_default()),
        }
    }
}

/// Where one of Petrel's own services stands.
enum Place {
    /// It listens on all addresses of this machine.
    ThisMachine,
    At(Vec<IpAddr>),
}

impl Place {
    fn is_at(&self, address: IpAddr) -> bool {
        match self {
            Self::At(addresses) => addresses.contains(&address),
            // One can listen at the addresses of one's own machine alone.
            Self::ThisMachine => match UdpSocket::bind((address, 0)) {
                Err(error) => error.kind() != std::io::ErrorKind::AddrNotAvailable,
                Ok(_) => true,
            },
        }
    }
}

/// Names to addresses for one kind of requests.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    pub(super) guarded: Guarded,
    pub(super) look: Look,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.clone();
        Box::pin(async move {
            let addresses = own.guarded.addresses(name.as_str(), own.look).await??;
            // The port of the URL takes the place of this one.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A look-up that hangs holds its thread, whether anybody waits for it or not; the next ones wait for room.
    #[tokio::test]
    async fn look_ups_have_a_limit_that_outlives_who_asked() {
        let room = Arc::new(Semaphore::new(1));
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let hangs = tokio::spawn(SystemLookup::with_room(room.clone(), move || {
            let _ = begin.send(());
            Ok(ended.recv().is_ok())
        }));
        begun.await.unwrap();
        hangs.abort();
        assert!(hangs.await.unwrap_err().is_cancelled());
        assert_eq!(room.available_permits(), 0, "its thread is still there");
        end.send(()).unwrap();
        assert_eq!(SystemLookup::with_room(room.clone(), || Ok(5)).await.unwrap(), 5);
        assert_eq!(room.available_permits(), 1);
    }

    #[tokio::test]
    async fn the_system_finds_this_machine() {
        let found = SystemLookup::default().addresses("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
