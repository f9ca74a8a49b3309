//! To which addresses requests may go. An action's parameters may come from an event, and an event from anybody: what
//! answers only to this machine, such as a cloud's metadata service, must not be within reach of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Sets of ranges by name, each a part of the special-purpose registries of IANA or what clouds document.
const SETS: [(&str, &[&str]); 5] = [
    // Linux connects to itself at the unspecified addresses, too.
    ("loopback", &["127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"]),
    ("link_local", &["169.254.0.0/16", "fe80::/10"]),
    (
        "metadata",
        &[
            // Amazon, Google, Azure, Oracle, DigitalOcean, OpenStack; then Amazon's for containers.
            "169.254.169.254/32",
            "169.254.170.0/24",
            "fd00:ec2::/64",
            "fd20:ce::/64",
            // Azure's host, Alibaba, Oracle's older one.
            "168.63.129.16/32",
            "100.100.100.200/32",
            "192.0.0.192/32",
        ],
    ),
    ("private", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"]),
    (
        "reserved",
        &[
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            // Multicast, what was never given out, and broadcast.
            "224.0.0.0/4",
            "240.0.0.0/4",
            "100::/64",
            "2001:db8::/32",
            "3fff::/20",
            // Benchmarks, ORCHIDv2, and segments of SRv6.
            "2001:2::/48",
            "2001:20::/28",
            "5f00::/16",
            "ff00::/8",
            // NAT64 of one's own: where the address behind it stands depends on the network.
            "64:ff9b:1::/48",
        ],
    ),
];

/// Why ranges cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no range of addresses such as 10.0.0.0/8, no address and none of loopback, link_local, metadata, private, reserved"
)]
pub struct GuardError(pub String);

/// Which addresses requests may be sent to: those that are in no denied range, and those that a narrower one allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressGuard {
    deny: Vec<IpNet>,
    allow: Vec<IpNet>,
    /// What does not stand in the internet: all sets.
    inside: Vec<IpNet>,
}

impl Default for AddressGuard {
    fn default() -> Self {
        // The names are those above, which a test reads.
        let deny = Self::DENY_DEFAULT.iter().filter_map(|name| ranges(name).ok()).flatten().collect();
        Self { deny, allow: Vec::new(), inside: inside() }
    }
}

impl AddressGuard {
    /// What is denied unless the operator says otherwise. An on-call team's services stand in private networks, so that
    /// these are not among it; nothing that an action is for answers at the others.
    pub const DENY_DEFAULT: [&'static str; 4] = ["loopback", "link_local", "metadata", "reserved"];

    /// A guard with these ranges: CIDR, single addresses, or the names of sets. Where an address is in several, the
    /// narrowest decides, and what is allowed where both are as narrow.
    ///
    /// # Errors
    /// The first text that is none of these.
    pub fn new(deny: &[String], allow: &[String]) -> Result<Self, GuardError> {
        let read = |texts: &[String]| -> Result<Vec<IpNet>, GuardError> {
            let mut all = Vec::new();
            for text in texts {
                all.extend(ranges(text)?);
            }
            Ok(all)
        };
        Ok(Self { deny: read(deny)?, allow: read(allow)?, inside: inside() })
    }

    /// Whether nothing may be sent there. An IPv6 address that leads to an IPv4 address is looked at as both.
    pub fn refuses(&self, address: IpAddr) -> bool {
        forms(address).any(|form| self.is_denied(&self.deny, form))
    }

    /// Whether nothing may be sent there where a server of the internet says so: what answers there, answers to the
    /// networks of its owner alone, unless it is allowed by name.
    pub fn refuses_from_outside(&self, address: IpAddr) -> bool {
        self.refuses(address) || forms(address).any(|form| self.is_denied(&self.inside, form))
    }

    /// With these ranges alone inside, for tests: there is no server of the internet in them.
    #[cfg(test)]
    pub(super) fn with_inside(self, set: &str) -> Self {
        Self { inside: ranges(set).unwrap(), ..self }
    }

    /// Whether it is one of the internet.
    pub fn is_outside(&self, address: IpAddr) -> bool {
        !forms(address).any(|form| narrowest(&self.inside, form).is_some())
    }

    /// The narrower of what is denied and what is allowed decides: an address stands in a range, and a range in another one.
    fn is_denied(&self, denied: &[IpNet], address: IpAddr) -> bool {
        // None is less than any.
        narrowest(denied, address) > narrowest(&self.allow, address)
    }
}

/// Length of the longest prefix that an address has of these.
fn narrowest(ranges: &[IpNet], address: IpAddr) -> Option<u8> {
    ranges.iter().filter(|range| range.contains(&address)).map(IpNet::prefix_len).max()
}

fn inside() -> Vec<IpNet> {
    SETS.iter().filter_map(|(name, _)| ranges(name).ok()).flatten().collect()
}

fn ranges(text: &str) -> Result<Vec<IpNet>, GuardError> {
    if let Some((_, ranges)) = SETS.iter().find(|(name, _)| *name == text) {
        return ranges.iter().map(|range| range.parse().map_err(|_| GuardError((*range).to_owned()))).collect();
    }
    let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    range.map(|range| vec![range]).map_err(|_| GuardError(text.to_owned()))
}

/// The addresses that an address stands for: itself, unless it only writes another one, and those that it leads to.
pub(super) fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let forms = match address {
        IpAddr::V4(_) => [Some(address), None, None],
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => [Some(v4.into()), None, None],
            None => {
                let [first, second] = embedded(v6);
                [Some(address), first.map(IpAddr::V4), second.map(IpAddr::V4)]
            }
        },
    };
    forms.into_iter().flatten()
}

/// The IPv4 addresses to which the network, or this machine, may bring what is sent to that IPv6 address.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let at = address.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    let last = v4(at[6], at[7]);
    match at {
        // IPv4-compatible (RFC 4291); the unspecified address and loopback are ranges of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => [last, None],
        // IPv4-translated (RFC 2765), and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => [last, None],
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [v4(high, low), isatap(at, last)],
        // Teredo (RFC 4380): its server, and the client with all bits turned round.
        [0x2001, 0, high, low, ..] => [v4(high, low), v4(!at[6], !at[7])],
        _ => [isatap(at, last), None],
    }
}

/// ISATAP (RFC 5214): the lower half says that it ends in an IPv4 address.
fn isatap(at: [u16; 8], last: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    let is_so = matches!(at[4], 0 | 0x200) && at[5] == 0x5efe;
    last.filter(|_| is_so)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(guard: &AddressGuard, address: &str) -> bool {
        guard.refuses(address.parse().unwrap_or_else(|e| panic!("{address}: {e}")))
    }

    /// Each is refused by default, and let through once its set is not denied, nor private networks.
    #[test]
    fn the_list_of_addresses_that_are_refused() {
        let addresses = [
            ("loopback", "127.0.0.1"),
            ("loopback", "127.255.255.254"),
            ("loopback", "0.0.0.0"),
            ("loopback", "0.1.2.3"),
            ("loopback", "::1"),
            ("loopback", "::"),
            ("loopback", "::ffff:127.0.0.1"),
            ("loopback", "::127.0.0.1"),
            ("loopback", "::ffff:0:127.0.0.1"),
            ("loopback", "2002:7f00:1::"),
            ("loopback", "2002:7f00:1::5efe:8.8.8.8"),
            ("loopback", "64:ff9b::127.0.0.1"),
            ("loopback", "64:ff9b::7f00:1"),
            ("loopback", "2001:0:808:808::80ff:fffe"),
            ("loopback", "2001:0:7f00:1::f7f7:f7f7"),
            ("loopback", "2606:4700::5efe:127.0.0.1"),
            ("loopback", "2606:4700::200:5efe:127.0.0.1"),
            ("link_local", "169.254.0.1"),
            ("link_local", "169.254.255.255"),
            ("link_local", "fe80::1"),
            ("link_local", "febf::1"),
            ("link_local", "::ffff:169.254.1.1"),
            ("link_local", "2002:a9fe:101::1"),
            ("metadata", "fd00:ec2::254"),
            ("metadata", "fd20:ce::254"),
            ("metadata", "168.63.129.16"),
            ("metadata", "100.100.100.200"),
            ("metadata", "64:ff9b::a83f:8110"),
            ("metadata", "::ffff:100.100.100.200"),
            ("reserved", "192.0.2.1"),
            ("reserved", "198.18.0.1"),
            ("reserved", "203.0.113.9"),
            ("reserved", "224.0.0.251"),
            ("reserved", "255.255.255.255"),
            ("reserved", "ff02::1"),
            ("reserved", "2001:db8::1"),
            ("reserved", "3fff:fff::1"),
            ("reserved", "2001:2::1"),
            ("reserved", "2001:2f:ffff::1"),
            ("reserved", "5f00::1"),
            ("reserved", "64:ff9b:1::a00:1"),
            ("reserved", "::ffff:240.0.0.1"),
        ];
        let default = AddressGuard::default();
        for (set, address) in addresses {
            assert!(refused(&default, address), "{address}");
            let others = SETS.map(|(name, _)| name.to_owned()).into_iter();
            let others = others.filter(|name| name != set && name != "private");
            let without = AddressGuard::new(&others.collect::<Vec<_>>(), &[]).unwrap();
            assert!(!refused(&without, address), "{address} is refused by more than {set}");
            assert!(refused(&AddressGuard::new(&[set.to_owned()], &[]).unwrap(), address), "{address} by {set}");
        }
        // It is in two sets: link-local, and metadata where that is allowed.
        for address in ["169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::169.254.169.254", "192.0.0.192"] {
            assert!(refused(&default, address), "{address}");
            for set in ["link_local", "reserved"] {
                let others = SETS.map(|(name, _)| name.to_owned()).into_iter().filter(|name| name != set);
                assert!(refused(&AddressGuard::new(&others.collect::<Vec<_>>(), &[]).unwrap(), address), "{address}");
            }
        }
    }

    #[test]
    fn what_a_team_works_with_is_not_refused() {
        let addresses =
            ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "8.8.8.8", "2606:4700::1"];
        let (default, strict) = (AddressGuard::default(), AddressGuard::new(&["private".to_owned()], &[]).unwrap());
        for address in addresses.into_iter().chain(["::ffff:10.0.0.1", "64:ff9b::8.8.8.8", "2002:808:808::1"]) {
            assert!(!refused(&default, address), "{address}");
        }
        for address in
            ["10.1.2.3", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1", "2002:a00:1::"]
        {
            assert!(refused(&strict, address), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_so_within_what_is_denied() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let guard =
            AddressGuard::new(&texts(&["loopback", "10.0.0.0/8"]), &texts(&["127.0.0.1", "10.1.0.0/16"])).unwrap();
        for (address, is_refused) in [
            ("127.0.0.1", false),
            ("127.0.0.2", true),
            ("::1", true),
            ("::ffff:127.0.0.1", false),
            // The way there is another one, but that it is to lead there is allowed.
            ("64:ff9b::127.0.0.1", false),
            ("10.1.2.3", false),
            ("10.2.2.3", true),
            ("64:ff9b::10.2.2.3", true),
        ] {
            assert_eq!(refused(&guard, address), is_refused, "{address}");
        }
        // That way being allowed allows nothing that it leads to.
        let through = AddressGuard::new(&texts(&["loopback"]), &texts(&["64:ff9b::/96"])).unwrap();
        assert!(refused(&through, "64:ff9b::127.0.0.1"));
    }

    #[test]
    fn the_narrower_of_two_ranges_decides() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let deny = texts(&["loopback", "link_local", "metadata", "10.0.0.0/8", "10.1.2.0/24", "10.1.3.3"]);
        let guard = AddressGuard::new(&deny, &texts(&["0.0.0.0/0", "::/0", "10.1.0.0/16", "10.1.2.9", "10.1.3.3"]));
        let guard = guard.unwrap();
        for (address, is_refused) in [
            ("8.8.8.8", false),
            ("127.0.0.1", true),
            ("169.254.169.254", true),
            ("::1", true),
            ("10.2.0.1", true),
            ("10.1.9.9", false),
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.1.2.9", false),
            // Both name it.
            ("10.1.3.3", false),
        ] {
            assert_eq!(refused(&guard, address), is_refused, "{address}");
        }
        let inside = AddressGuard::new(&[], &texts(&["0.0.0.0/0", "10.1.0.0/16"])).unwrap();
        let refuses = |address: &str| inside.refuses_from_outside(address.parse().unwrap());
        assert_eq!(["10.1.2.3", "10.2.2.3", "8.8.8.8"].map(refuses), [false, true, false]);
    }

    #[test]
    fn what_is_inside_is_refused_to_whoever_is_outside() {
        let default = AddressGuard::default();
        for (address, is_outside) in [
            ("10.1.2.3", false),
            ("192.168.1.1", false),
            ("fd12::1", false),
            ("::ffff:172.16.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
            ("2606:4700::1", true),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(default.is_outside(address), is_outside, "{address}");
            assert_eq!(default.refuses_from_outside(address), !is_outside, "{address}");
        }
        let open = AddressGuard::new(&[], &["10.1.0.0/16".to_owned()]).unwrap();
        let refuses = |address: &str| open.refuses_from_outside(address.parse().unwrap());
        assert_eq!(["10.1.2.3", "10.2.2.3", "127.0.0.1"].map(refuses), [false, true, true]);
        let refuses = |address: &str| open.refuses(address.parse().unwrap());
        assert_eq!(["10.1.2.3", "10.2.2.3", "127.0.0.1"].map(refuses), [false, false, false]);
    }

    #[test]
    fn ranges_are_read_or_refused() {
        let new = |deny: &str| AddressGuard::new(&[deny.to_owned()], &[]);
        for wrong in ["", "everything", "10.0.0.0/33", "fe80::1%eth0", "10.0.0"] {
            assert_eq!(new(wrong), Err(GuardError(wrong.to_owned())));
        }
        let all = AddressGuard::DENY_DEFAULT.map(str::to_owned);
        assert_eq!(AddressGuard::new(&all, &[]), Ok(AddressGuard::default()));
        for (name, _) in SETS {
            assert!(new(name).is_ok(), "{name}");
        }
    }
}
