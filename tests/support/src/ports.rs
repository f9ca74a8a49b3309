//! Ports for servers that must know theirs before they start.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// Below the range from which operating systems take the ports of outgoing connections.
///
/// A port from that range would fail in two ways while its server is down: another connection can
/// take it, and a client that keeps trying to connect to it on the same machine will sooner or later
/// be given it as its *own* port and connect to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A TCP port of 127.0.0.1 that is free now and that this process has not handed out before.
///
/// Another process may still take it: whoever starts a server on it should be ready to try another.
/// A server that can bind port 0 itself should do that instead.
///
/// # Panics
/// When a thousand ports in a row are taken.
pub fn free_port() -> u16 {
    static HANDED_OUT: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut guard = HANDED_OUT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let handed_out = guard.get_or_insert_with(HashSet::new);
    for _ in 0..1_000 {
        let port = PORTS.start + (random_u64() % PORTS.len() as u64) as u16;
        if !handed_out.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            handed_out.insert(port);
            return port;
        }
    }
    panic!("found no free port between {} and {}", PORTS.start, PORTS.end);
}

/// Different in every call and every process: std seeds each `RandomState` anew.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_handed_out_twice() {
        let ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        let distinct: HashSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len());
        for port in ports {
            assert!(PORTS.contains(&port));
        }
    }
}
