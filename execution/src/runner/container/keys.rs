//! Reading what a container has of its machine.

use petrel_cel::Template;
use serde_json::Value;

use super::super::PackFiles;
use super::super::keys::{Keys, Mistake, kind, step};
use super::super::process::{Folder, check_constant};
use super::{CONTAINER_ACTIONS, CONTAINER_WORK, ContainerPlace};

/// Capabilities that an action may ask for: those of Docker's usual set, which are about the container itself. Others, such
/// as `SYS_ADMIN`, would open the machine.
const CAPABILITIES: [&str; 13] = [
    "cap_audit_write",
    "cap_chown",
    "cap_dac_override",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_net_bind_service",
    "cap_net_raw",
    "cap_setfcap",
    "cap_setgid",
    "cap_setpcap",
    "cap_setuid",
    "cap_sys_chroot",
];
/// Limits of a container.
const LIMITS: [&str; 4] = ["memory_bytes_max", "cpus_max", "processes_max", "work_bytes_max"];
/// Least memory with which a daemon starts a container, in bytes.
const MEMORY_BYTES_MIN: u64 = 6 << 20;
/// Least of a processor, and most processors.
const CPUS: (f64, f64) = (0.01, 1024.0);

/// Reads the keys that are about the machine.
pub(super) fn place(keys: &mut Keys<'_>, files: &dyn PackFiles) -> ContainerPlace {
    let user = "no user: write a name or a number, and a group behind a colon";
    let is_user = |text: &str| text.split(':').count() <= 2 && text.split(':').all(is_user_part);
    let mut place = ContainerPlace {
        cwd: read_cwd(keys, files),
        user: constant(keys, "user", "the user", user, is_user),
        ..ContainerPlace::default()
    };
    let is_network = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    let network = "no network: none, bridge, host, or the name of one";
    if let Some(network) = constant(keys, "network", "the network", network, is_network) {
        place.network = network;
    }
    if let Some(value) = keys.get("read_only") {
        match value.as_bool() {
            Some(flag) => place.read_only = flag,
            None => {
                let message = format!("\"read_only\" must be true or false, found {}", kind(value));
                keys.error("/read_only", Mistake::WrongType, message);
            }
        }
    }
    read_may(keys, &mut place);
    read_limits(keys, &mut place);
    place
}

fn is_user_part(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !part.is_empty() && !part.starts_with('-') && part.chars().all(allowed)
}

/// A constant text that fits.
fn constant(
    keys: &mut Keys<'_>,
    key: &str,
    what: &str,
    otherwise: &str,
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let at = format!("/{key}");
    let text = keys.get(key).and_then(|value| keys.text(value, &at, key))?;
    if !check_constant(keys, &at, what, text) {
        return None;
    }
    if !fits(text) {
        keys.error(at, Mistake::BadValue, format!("{text:?} is {otherwise}"));
        return None;
    }
    Some(text.to_owned())
}

/// A folder of the container: an absolute path, one of its pack, or its work directory.
fn read_cwd(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Option<String> {
    keys.get("cwd")?;
    match Folder::read(keys, files) {
        Folder::Actions => Some(CONTAINER_ACTIONS.to_owned()),
        Folder::Pack(inside) => Some(format!("{CONTAINER_ACTIONS}/{inside}")),
        Folder::Work => Some(CONTAINER_WORK.to_owned()),
        Folder::Machine(path) => Some(path),
    }
}

fn read_may(keys: &mut Keys<'_>, place: &mut ContainerPlace) {
    let Some(list) = keys.get("may") else { return };
    let Value::Array(items) = list else {
        keys.error("/may", Mistake::WrongType, format!("expected \"may\" as a list, found {}", kind(list)));
        return;
    };
    for (index, item) in items.iter().enumerate() {
        let at = format!("/may/{index}");
        match keys.text(item, &at, &format!("may[{index}]")) {
            Some("gain_privileges") => place.gains_privileges = true,
            Some(name) if CAPABILITIES.contains(&name) => {
                place.capabilities.push(name.trim_start_matches("cap_").to_ascii_uppercase());
            }
            Some(other) => {
                let message = format!(
                    "{other:?} is nothing that a container can be allowed: gain_privileges, {}",
                    CAPABILITIES.join(", ")
                );
                keys.error(at, Mistake::BadValue, message);
            }
            None => {}
        }
    }
}

fn read_limits(keys: &mut Keys<'_>, place: &mut ContainerPlace) {
    let Some(limits) = keys.get("limits") else { return };
    let Some(entries) = keys.mapping(limits, "/limits", "limits", &LIMITS) else { return };
    let mut whole = |name: &str, least: u64| {
        let value = entries.get(name)?;
        let number = value.as_u64().filter(|number| *number >= least && i64::try_from(*number).is_ok());
        if number.is_none() {
            let message = format!("{name:?} must be a whole number of at least {least}");
            keys.error(format!("/limits/{}", step(name)), Mistake::BadValue, message);
        }
        number
    };
    place.memory_bytes_max = whole("memory_bytes_max", MEMORY_BYTES_MIN);
    place.processes_max = whole("processes_max", 1);
    place.work_bytes_max = whole("work_bytes_max", 4096).unwrap_or(place.work_bytes_max);
    if let Some(value) = entries.get("cpus_max") {
        match value.as_f64().filter(|cpus| (CPUS.0..=CPUS.1).contains(cpus)) {
            // From 10 to 1,024,000.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Some(cpus) => place.millicpus_max = Some((cpus * 1000.0).round() as u64),
            None => {
                let message = format!("\"cpus_max\" must be a number from {} to {}", CPUS.0, CPUS.1);
                keys.error("/limits/cpus_max", Mistake::BadValue, message);
            }
        }
    }
}

/// Name and password for a registry.
pub(super) fn registry(keys: &mut Keys<'_>) -> Option<(Template, Template)> {
    let registry = keys.get("registry")?;
    let entries = keys.mapping(registry, "/registry", "registry", &["username", "password"])?;
    let mut part = |name: &str| {
        let at = format!("/registry/{name}");
        match entries.get(name) {
            Some(value) => keys.text_template(value, &at, name),
            None => {
                keys.error("/registry", Mistake::Missing, format!("\"registry\" needs {name:?}"));
                None
            }
        }
    };
    let (username, password) = (part("username"), part("password"));
    username.zip(password)
}
