//! IP addresses and networks, as cel-go's network extension and Kubernetes have them. Addresses with a zone
//! and IPv4 addresses written as IPv6 (`::ffff:1.2.3.4`) are refused. `string()` turns both back into text.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt::{self, Write};

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, global, invalid, member};
use crate::value::{Cidr, Value};

/// `ip`, `cidr` and their kin.
pub(super) const TABLE: &[Function] = &[
    global("cidr", &[1], cidr),
    member("containsCIDR", &[1], contains_cidr),
    member("containsIP", &[1], contains_ip),
    member("family", &[0], family),
    global("ip", &[1], ip),
    member("ip", &[0], ip_of_cidr),
    global("ip.isCanonical", &[1], is_canonical),
    global("isCIDR", &[1], |_, of| is(of, "isCIDR", |text| parse_cidr(text).is_some())),
    member("isGlobalUnicast", &[0], |_, of| property(of, "isGlobalUnicast", is_global_unicast)),
    global("isIP", &[1], |_, of| is(of, "isIP", |text| parse_ip(text).is_some())),
    member("isLinkLocalMulticast", &[0], |_, of| property(of, "isLinkLocalMulticast", is_link_local_multicast)),
    member("isLinkLocalUnicast", &[0], |_, of| property(of, "isLinkLocalUnicast", is_link_local_unicast)),
    member("isLoopback", &[0], |_, of| property(of, "isLoopback", |ip| ip.is_loopback())),
    member("isMask", &[0], is_mask),
    member("isUnspecified", &[0], |_, of| property(of, "isUnspecified", |ip| ip.is_unspecified())),
    member("masked", &[0], masked),
    member("prefixLength", &[0], prefix_length),
];

const NO_ADDRESS: &str = "the text is no IP address";
const NO_NETWORK: &str = "the text is no network in CIDR notation";

/// The longest texts of an address and of a network, in bytes: no other is looked at.
const TEXT_BYTES_MAX: usize = 64;

/// An address from its text.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    text.parse().ok().filter(|ip| !matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()))
}

/// A network from its text. Bits of the host may be set.
pub(crate) fn parse_cidr(text: &str) -> Option<Cidr> {
    let (address, digits) = text.rsplit_once('/')?;
    let address = parse_ip(address)?;
    let plain = digits == "0" || digits.starts_with(|c: char| ('1'..='9').contains(&c));
    let prefix = digits.parse().ok().filter(|prefix| plain && *prefix <= bits(address))?;
    Some(Cidr { address, prefix })
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn ip<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::String(text)] = arguments else { return Err(Fault::overload("ip", arguments)) };
    parse_ip(text).map(Value::Ip).ok_or_else(|| invalid("ip", NO_ADDRESS))
}

fn ip_of_cidr<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Cidr(cidr)] = arguments else { return Err(Fault::overload("ip", arguments)) };
    Ok(Value::Ip(cidr.address))
}

fn cidr<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::String(text)] = arguments else { return Err(Fault::overload("cidr", arguments)) };
    parse_cidr(text).map(Value::Cidr).ok_or_else(|| invalid("cidr", NO_NETWORK))
}

fn is<'a>(arguments: &[Value<'a>], name: &'static str, of: fn(&str) -> bool) -> Answer<'a> {
    let [Value::String(text)] = arguments else { return Err(Fault::overload(name, arguments)) };
    Ok(Value::Bool(of(text)))
}

fn property<'a>(arguments: &[Value<'a>], name: &'static str, of: fn(IpAddr) -> bool) -> Answer<'a> {
    let [Value::Ip(ip)] = arguments else { return Err(Fault::overload(name, arguments)) };
    Ok(Value::Bool(of(*ip)))
}

/// Neither private addresses nor unique local ones are excepted, as in Go.
fn is_global_unicast(ip: IpAddr) -> bool {
    let special = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST;
    !special && !is_link_local_unicast(ip)
}

fn is_link_local_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        // Of any flags.
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    }
}

fn family<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Ip(ip)] = arguments else { return Err(Fault::overload("family", arguments)) };
    Ok(Value::Int(if ip.is_ipv4() { 4 } else { 6 }))
}

/// `ip.isCanonical(text)`: whether the address is written the way `string()` writes it.
fn is_canonical<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "ip.isCanonical";
    let [Value::String(text)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    let ip = parse_ip(text).ok_or_else(|| invalid(NAME, NO_ADDRESS))?;
    let mut rest = Expected(text);
    Ok(Value::Bool(write!(rest, "{ip}").is_ok() && rest.0.is_empty()))
}

/// Takes what is written away from the front of a text, or fails.
struct Expected<'t>(&'t str);

impl Write for Expected<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

fn contains_ip<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "containsIP";
    let (cidr, ip) = match arguments {
        [Value::Cidr(cidr), Value::Ip(ip)] => (cidr, *ip),
        [Value::Cidr(cidr), Value::String(text)] => (cidr, parse_ip(text).ok_or_else(|| invalid(NAME, NO_ADDRESS))?),
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    Ok(Value::Bool(network(ip, cidr.prefix) == network(cidr.address, cidr.prefix)))
}

fn contains_cidr<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "containsCIDR";
    let (outer, inner) = match arguments {
        [Value::Cidr(outer), Value::Cidr(inner)] => (outer, *inner),
        [Value::Cidr(outer), Value::String(text)] => {
            (outer, parse_cidr(text).ok_or_else(|| invalid(NAME, NO_NETWORK))?)
        }
        _ => return Err(Fault::overload(NAME, arguments)),
    };
    let within = network(inner.address, outer.prefix) == network(outer.address, outer.prefix);
    Ok(Value::Bool(within && outer.prefix <= inner.prefix))
}

/// The address without the bits behind the prefix.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    let host = u32::from(bits(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

fn is_mask<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Cidr(cidr)] = arguments else { return Err(Fault::overload("isMask", arguments)) };
    Ok(Value::Bool(network(cidr.address, cidr.prefix) == cidr.address))
}

fn masked<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Cidr(cidr)] = arguments else { return Err(Fault::overload("masked", arguments)) };
    Ok(Value::Cidr(Cidr { address: network(cidr.address, cidr.prefix), prefix: cidr.prefix }))
}

fn prefix_length<'a>(_: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    let [Value::Cidr(cidr)] = arguments else { return Err(Fault::overload("prefixLength", arguments)) };
    Ok(Value::Int(cidr.prefix.into()))
}
