//! What an action may use up.

use serde_json::Value;

use super::keys::{Keys, Mistake, kind, step};

/// Most that an action may use, one process of it or the whole tree; what is not set stays as the worker has it, and
/// nothing can be more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Open descriptors.
    pub open_files_max: Option<u64>,
    /// Bytes of a file that it writes.
    pub file_bytes_max: Option<u64>,
    /// Bytes of address space.
    pub memory_bytes_max: Option<u64>,
    /// Processes and threads of its user, on the whole machine; root is not bound by it.
    pub processes_max: Option<u64>,
    /// Seconds of processor time.
    pub cpu_s_max: Option<u64>,
    /// Bytes of memory of all that it has started.
    pub tree_memory_bytes_max: Option<u64>,
    /// Processes and threads of all that it has started.
    pub tree_processes_max: Option<u64>,
    /// Processors of all that it has started, in thousandths.
    pub tree_cpu_milli_max: Option<u64>,
}

impl Limits {
    /// Whether any of them is one of the whole tree.
    pub fn has_tree(&self) -> bool {
        [self.tree_memory_bytes_max, self.tree_processes_max, self.tree_cpu_milli_max].iter().any(Option::is_some)
    }
}

/// A limit's name, and the least that lets a program start.
const LEAST: [(&str, u64); 8] = [
    ("cpu_s_max", 1),
    ("file_bytes_max", 0),
    ("memory_bytes_max", 16 << 20),
    ("open_files_max", 16),
    ("processes_max", 1),
    ("tree_cpus_max", 0),
    ("tree_memory_bytes_max", 16 << 20),
    ("tree_processes_max", 1),
];
/// The one that need not be a whole number: fewest and most processors.
const CPUS: (&str, f64, f64) = ("tree_cpus_max", 0.01, 4096.0);

/// Reads the key `limits`.
pub(super) fn read(keys: &mut Keys<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(mapping) = keys.get("limits") else { return limits };
    let Value::Object(entries) = mapping else {
        let message = format!("expected \"limits\" as a mapping, found {}", kind(mapping));
        keys.error("/limits", Mistake::WrongType, message);
        return limits;
    };
    for (name, value) in entries {
        let at = format!("/limits/{}", step(name));
        let Some((_, least)) = LEAST.iter().find(|(known, _)| known == name) else {
            let known = LEAST.map(|(known, _)| known).join(", ");
            keys.error(at, Mistake::BadValue, format!("{name:?} is no limit: {known}"));
            continue;
        };
        if name == CPUS.0 {
            let cpus = value.as_f64().filter(|cpus| (CPUS.1..=CPUS.2).contains(cpus));
            if cpus.is_none() {
                let message =
                    format!("{name:?} must be a number of processors such as 0.5, from {} to {}", CPUS.1, CPUS.2);
                keys.error(at, Mistake::BadValue, message);
            }
            // Within the bounds above, it is a small positive number.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let milli = |cpus: f64| (cpus * 1_000.0).round() as u64;
            limits.tree_cpu_milli_max = cpus.map(milli);
            continue;
        }
        let Some(most) = value.as_u64() else {
            let message = format!("{name:?} must be a whole number, found {}", kind(value));
            keys.error(at, Mistake::WrongType, message);
            continue;
        };
        if most < *least {
            let message = format!("{name:?} must be at least {least}, or no program can start");
            keys.error(at, Mistake::BadValue, message);
        }
        let limit = match name.as_str() {
            "cpu_s_max" => &mut limits.cpu_s_max,
            "file_bytes_max" => &mut limits.file_bytes_max,
            "memory_bytes_max" => &mut limits.memory_bytes_max,
            "open_files_max" => &mut limits.open_files_max,
            "tree_memory_bytes_max" => &mut limits.tree_memory_bytes_max,
            "tree_processes_max" => &mut limits.tree_processes_max,
            _ => &mut limits.processes_max,
        };
        *limit = Some(most);
    }
    limits
}
