//! Which files a confined action reaches: rules of Landlock.
//!
//! Rules can only allow, so that this names what programs need and no more. Of `/etc`, where secrets stand as well, that
//! is file by file.

use std::path::{Path, PathBuf};

use super::confinement::Reach;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

/// How many of these rights each version of the interface has, from the first.
const RIGHTS_BY_ABI: [u32; 5] = [13, 14, 15, 15, 16];
/// Those that a rule for something that is no folder may have.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
const READ: u64 = EXECUTE | READ_FILE | READ_DIR;
/// Devices cannot be made: a new name for a disk is a way to all that is on it.
const WRITE: u64 = !(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV);
const DEVICE: u64 = READ_FILE | WRITE_FILE | TRUNCATE;

/// Programs, what they are made of, and what they find out about the machine.
const SYSTEM: [&str; 19] = [
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/sbin",
    "/usr",
    "/nix/store",
    "/gnu/store",
    "/run/current-system/sw",
    "/proc",
    "/sys/block",
    "/sys/bus",
    "/sys/class",
    "/sys/devices",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/var/lib/dpkg/alternatives",
    "/var/lib/ca-certificates",
];
/// What programs look up, and nothing that has secrets.
const ETC: [&str; 41] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "environment",
    "gai.conf",
    "gitconfig",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "localtime",
    "locale.alias",
    "locale.conf",
    "login.defs",
    "magic",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "protocols",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
];
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// One rule.
pub struct Rule {
    /// What it is about, with all that is beneath it.
    pub path: PathBuf,
    /// Rights, whatever the path turns out to be.
    rights: u64,
    /// Whether it has to be there.
    pub is_listed: bool,
}

impl Rule {
    /// The rights of it that a kernel of this version takes for something that is a folder or not.
    pub fn rights(&self, abi: u32, is_folder: bool) -> u64 {
        self.rights & handled(abi) & if is_folder { u64::MAX } else { OF_FILES }
    }
}

/// All rights that this version knows: what no rule allows is forbidden.
pub fn handled(abi: u32) -> u64 {
    let index = usize::try_from(abi).unwrap_or(usize::MAX).clamp(1, RIGHTS_BY_ABI.len()) - 1;
    (1 << RIGHTS_BY_ABI[index]) - 1
}

/// What an action may reach, and the system's part of it.
pub fn rules(reach: &Reach) -> Vec<Rule> {
    let rule = |path: PathBuf, rights, is_listed| Rule { path, rights, is_listed };
    let system = SYSTEM.iter().map(|path| rule(path.into(), READ, false));
    let etc = ETC.iter().map(|name| rule(Path::new("/etc").join(name), READ, false));
    let devices = DEVICES.iter().map(|name| rule(Path::new("/dev").join(name), DEVICE, false));
    let reads = reach.reads.iter().map(|path| rule(path.clone(), READ, true));
    let writes = reach.writes.iter().map(|path| rule(path.clone(), READ | WRITE, true));
    system.chain(etc).chain(devices).chain(reads).chain(writes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_asked_for_rights_that_it_knows() {
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 7, 99].map(handled),
            [0x1fff, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff, 0xffff]
        );
        let reach = Reach { reads: vec!["/r".into()], writes: vec!["/w".into()] };
        let rules = rules(&reach);
        let of = |path: &str| rules.iter().find(|rule| rule.path == Path::new(path)).unwrap();
        assert_eq!((of("/r").rights(7, true), of("/r").rights(7, false)), (READ, EXECUTE | READ_FILE));
        assert_eq!(of("/w").rights(7, true), 0x7fff & !(MAKE_CHAR | MAKE_BLOCK));
        assert_eq!(of("/w").rights(2, false), EXECUTE | WRITE_FILE | READ_FILE);
        assert!(of("/w").is_listed && of("/r").is_listed && !of("/usr").is_listed);
    }

    #[test]
    fn nothing_of_the_system_is_a_home_or_holds_secrets() {
        let rules = rules(&Reach::default());
        for closed in [
            "/etc",
            "/home",
            "/root",
            "/var/lib/petrel",
            "/run/docker.sock",
            "/tmp",
            "/etc/shadow",
            "/etc/ssl/private/k",
        ] {
            let is_open = rules.iter().any(|rule| Path::new(closed).starts_with(&rule.path));
            assert!(!is_open, "{closed}");
        }
        let mut writable = rules.iter().filter(|rule| rule.rights(7, false) & WRITE_FILE != 0);
        assert!(writable.all(|rule| rule.path.starts_with("/dev")));
    }
}
