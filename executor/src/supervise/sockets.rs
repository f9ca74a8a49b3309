//! Sockets that a filter holds back: of networks, and of services of this machine.
//!
//! A filter sees the family of a socket that is made, and nothing of what it is connected to.

use libc::sock_filter;

use super::filter::{ALLOW, AND, DENY, IF_EQUAL, NO_FAMILY, NO_SUCH_CALL, argument, call, give, jump, load};

/// Numbers of the calls that make sockets, on one architecture.
pub struct Numbers {
    pub socket: u32,
    pub socketpair: u32,
    /// One for all that the others do, of which a filter sees nothing.
    pub socketcall: Option<u32>,
    /// Makes sockets, too, where no filter looks.
    pub io_uring_setup: u32,
    /// Leads back to a namespace that was left.
    pub setns: u32,
}

/// What of networks is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    Host,
    /// The action is in a network namespace of its own: what leads out of that, or is not in any.
    Namespace,
    /// All of it.
    None,
}

const UNIX: u32 = 1;
/// Families that a namespace holds: of IP, of the kernel's own messages, and of frames.
const IN_NAMESPACE: [u32; 4] = [2, 10, 16, 17];
const STREAM: u32 = 1;
const SEQUENCED: u32 = 5;
/// Of the type of a socket, beside which flags stand.
const TYPE: u32 = 0xf;

/// What is looked at; falls through where none of it is called.
pub fn held_back(numbers: &Numbers, network: Network, unix_sockets: bool) -> Vec<sock_filter> {
    if network == Network::Host && unix_sockets {
        return Vec::new();
    }
    let mut program = match network {
        Network::Host => call(numbers.socket, &all_but(UNIX)),
        Network::Namespace | Network::None => {
            let inside: &[u32] = if network == Network::Namespace { &IN_NAMESPACE } else { &[] };
            let families: Vec<u32> = inside.iter().copied().chain(unix_sockets.then_some(UNIX)).collect();
            call(numbers.socket, &only(&families))
        }
    };
    program.extend(call(numbers.socketpair, &pairs(unix_sockets)));
    for number in numbers.socketcall.into_iter().chain([numbers.io_uring_setup]) {
        program.extend(call(number, &[give(NO_SUCH_CALL)]));
    }
    if network == Network::Namespace {
        program.extend(call(numbers.setns, &[give(DENY)]));
    }
    program
}

fn all_but(family: u32) -> Vec<sock_filter> {
    vec![load(argument(0)), jump(IF_EQUAL, family, 0, 1), give(NO_FAMILY), give(ALLOW)]
}

fn only(families: &[u32]) -> Vec<sock_filter> {
    let mut body = vec![load(argument(0))];
    for (index, family) in families.iter().enumerate() {
        // Over the other comparisons and the refusal.
        let to_allow = u8::try_from(families.len() - index).unwrap_or(u8::MAX);
        body.push(jump(IF_EQUAL, *family, to_allow, 0));
    }
    body.extend([give(NO_FAMILY), give(ALLOW)]);
    body
}

/// Pairs lead nowhere, but for datagrams, which can be sent to others as well.
fn pairs(unix_sockets: bool) -> Vec<sock_filter> {
    if unix_sockets {
        return only(&[UNIX]);
    }
    vec![
        load(argument(0)),
        jump(IF_EQUAL, UNIX, 0, 4),
        load(argument(1)),
        jump(AND, TYPE, 0, 0),
        jump(IF_EQUAL, STREAM, 2, 0),
        jump(IF_EQUAL, SEQUENCED, 1, 0),
        give(NO_FAMILY),
        give(ALLOW),
    ]
}
