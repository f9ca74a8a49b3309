//! Which files and networks a process may reach, and what the kernel has to give for it to be started at all.

use serde_json::{Map, Value};

use super::super::PackFiles;
use super::super::keys::{Keys, Mistake, SpecError, kind, step};
use super::super::limits::Limits;
use super::files::is_plain;
use super::may::May;
use crate::limits::CONFINE_PATHS_MAX;

/// Keys of the mapping.
const KEYS: [&str; 6] = ["files", "reads", "writes", "unix_sockets", "network", "required"];
/// What belongs to the kernel: who writes there reaches everything.
const OF_THE_KERNEL: [&str; 2] = ["/proc", "/sys"];

/// Whether a process is held to certain files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileAccess {
    /// As its worker is configured.
    #[default]
    Default,
    /// It reads its pack and the system's programs, and writes its work directory.
    Confined,
    /// It reads and writes what its user may.
    Unconfined,
}

/// Something that a kernel gives or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// A process is held to its files.
    Files,
    /// It has no network.
    Network,
    /// It cannot signal what it did not start.
    Signals,
    /// All that it has started is killed in one step, and nothing can get out of that.
    Kill,
    /// A limit for the memory of all that it has started.
    TreeMemory,
    /// The same for processes.
    TreeProcesses,
    /// The same for processors.
    TreeCpus,
}

impl Guarantee {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Files, Self::Network, Self::Signals, Self::Kill, Self::TreeMemory, Self::TreeProcesses, Self::TreeCpus];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::Signals => "signals",
            Self::Kill => "kill",
            Self::TreeMemory => "tree_memory",
            Self::TreeProcesses => "tree_processes",
            Self::TreeCpus => "tree_cpus",
        }
    }
}

/// What a process may reach; by default what its user may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confine {
    /// Whether it is held to files.
    pub files: FileAccess,
    /// What it may read beside, where it is.
    pub reads: Vec<String>,
    /// What it may write beside, where it is.
    pub writes: Vec<String>,
    /// Whether it may use sockets of the machine's services, where it is.
    pub unix_sockets: bool,
    /// Whether it has no network.
    pub no_network: bool,
    /// Without which it is not started.
    pub required: Vec<Guarantee>,
}

/// Mistakes in a mapping `confine`, wherever it stands; pointers begin at the mapping.
pub fn check_confine(mapping: &Value) -> Vec<SpecError> {
    let mut reader = Reader::default();
    if let Some(entries) = reader.entries(mapping) {
        reader.read(&entries);
    }
    reader.errors
}

/// Reads the key `confine`; what the action does not say there, its pack may say.
pub(super) fn read(keys: &mut Keys<'_>, files: &dyn PackFiles, may: May, limits: &Limits) -> Confine {
    let mut reader = Reader::default();
    let own = keys.get("confine").and_then(|mapping| reader.entries(mapping)).unwrap_or_default();
    let mut entries = match files.confine() {
        Some(Value::Object(entries)) => entries,
        _ => Map::new(),
    };
    // Mistakes that the pack's mapping has by itself are told where the pack is read.
    let of_pack = check_confine(&Value::Object(entries.clone()));
    // What the pack lists beside means nothing for an action that is not held to files.
    if own.get("files").and_then(Value::as_str) == Some("unconfined") {
        ["reads", "writes", "unix_sockets"].into_iter().for_each(|key| drop(entries.remove(key)));
    }
    entries.extend(own.clone());
    let mut confine = reader.read(&entries);
    // A pack that requires all that its actions ask for requires nothing of one that asks for nothing.
    let asks_for_any = || asked_for(&confine, may, limits).into_iter().any(|one| !always(one));
    if entries.get("required") == Some(&Value::Bool(true)) && !own.contains_key("required") && !asks_for_any() {
        entries.remove("required");
    }
    confine.required = reader.check(&confine, entries.get("required"), may, limits);
    for error in reader.errors {
        // What is wrong with it only beside what its pack says has no place of its own in the action.
        let key = error.at.split('/').nth(1).unwrap_or_default();
        let is_own = key.is_empty() || own.contains_key(key);
        if !is_own && of_pack.contains(&error) {
            continue;
        }
        let at = match keys.get("confine") {
            Some(_) if is_own => format!("/confine{}", error.at),
            Some(_) => "/confine".to_owned(),
            None => String::new(),
        };
        keys.error(at, error.mistake, error.message);
    }
    confine
}

#[derive(Default)]
struct Reader {
    errors: Vec<SpecError>,
}

impl Reader {
    fn error(&mut self, at: impl Into<String>, mistake: Mistake, message: impl Into<String>) {
        self.errors.push(SpecError::new(at, mistake, message));
    }

    fn entries(&mut self, mapping: &Value) -> Option<Map<String, Value>> {
        let Value::Object(entries) = mapping else {
            self.error("", Mistake::WrongType, format!("expected \"confine\" as a mapping, found {}", kind(mapping)));
            return None;
        };
        for key in entries.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let message = format!("unknown key {key:?} in \"confine\", which has {}", KEYS.join(", "));
            self.error(format!("/{}", step(key)), Mistake::UnknownKey, message);
        }
        Some(entries.clone())
    }

    fn read(&mut self, entries: &Map<String, Value>) -> Confine {
        let files = match self.word(entries, "files", ["confined", "unconfined"]) {
            Some("confined") => FileAccess::Confined,
            Some(_) => FileAccess::Unconfined,
            None => FileAccess::Default,
        };
        let (reads, writes) = (self.paths(entries, "reads"), self.paths(entries, "writes"));
        let unix_sockets = match entries.get("unix_sockets") {
            Some(Value::Bool(flag)) => *flag,
            None => false,
            Some(other) => {
                let message = format!("\"unix_sockets\" must be true or false, found {}", kind(other));
                self.error("/unix_sockets", Mistake::WrongType, message);
                false
            }
        };
        for key in ["reads", "writes", "unix_sockets"] {
            if files == FileAccess::Unconfined && entries.contains_key(key) {
                let message = format!("{key:?} means nothing beside \"files: unconfined\"");
                self.error(format!("/{key}"), Mistake::BadValue, message);
            }
        }
        let no_network = self.word(entries, "network", ["none", "host"]) == Some("none");
        let required = self.required(entries);
        Confine { files, reads, writes, unix_sockets, no_network, required }
    }

    fn word<'e>(&mut self, entries: &'e Map<String, Value>, key: &str, words: [&str; 2]) -> Option<&'e str> {
        let value = entries.get(key)?;
        match value.as_str().filter(|word| words.contains(word)) {
            Some(word) => Some(word),
            None => {
                let message = format!("{key:?} must be {} or {}", words[0], words[1]);
                self.error(format!("/{key}"), Mistake::BadValue, message);
                None
            }
        }
    }

    fn paths(&mut self, entries: &Map<String, Value>, key: &str) -> Vec<String> {
        let Some(list) = entries.get(key) else { return Vec::new() };
        let Value::Array(items) = list else {
            let message = format!("expected {key:?} as a list of paths, found {}", kind(list));
            self.error(format!("/{key}"), Mistake::WrongType, message);
            return Vec::new();
        };
        if items.len() > CONFINE_PATHS_MAX {
            let message = format!("{key:?} has {} paths, more than the limit of {CONFINE_PATHS_MAX}", items.len());
            self.error(format!("/{key}"), Mistake::TooLarge, message);
        }
        let mut paths = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("/{key}/{index}");
            let Some(path) = item.as_str() else {
                self.error(at, Mistake::WrongType, format!("a path must be a string, found {}", kind(item)));
                continue;
            };
            match check_path(path, key == "writes") {
                Ok(()) => paths.push(path.to_owned()),
                Err(message) => self.error(at, Mistake::BadPath, message),
            }
        }
        paths
    }

    fn required(&mut self, entries: &Map<String, Value>) -> Vec<Guarantee> {
        let Some(Value::Array(items)) = entries.get("required") else {
            if !entries.get("required").is_none_or(Value::is_boolean) {
                self.error("/required", Mistake::WrongType, "\"required\" must be true, false or a list");
            }
            return Vec::new();
        };
        let mut required = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match Guarantee::ALL.into_iter().find(|guarantee| item.as_str() == Some(guarantee.name())) {
                Some(guarantee) => required.push(guarantee),
                None => {
                    let names = Guarantee::ALL.map(Guarantee::name).join(", ");
                    let message = format!("{item} is nothing that can be required: {names}");
                    self.error(format!("/required/{index}"), Mistake::BadValue, message);
                }
            }
        }
        required
    }

    /// What does not go together, and what `required: true` stands for.
    fn check(&mut self, confine: &Confine, required: Option<&Value>, may: May, limits: &Limits) -> Vec<Guarantee> {
        if may.gain_privileges && (confine.files == FileAccess::Confined || confine.no_network) {
            let message = "what gains rights by other programs (\"may: [gain_privileges]\") cannot be confined";
            self.error("", Mistake::BadValue, message);
        }
        let asked = asked_for(confine, may, limits);
        for guarantee in confine.required.iter().filter(|guarantee| !asked.contains(guarantee)) {
            let message = format!("{:?} is required, but not asked for: {}", guarantee.name(), how(*guarantee));
            self.error("/required", Mistake::BadValue, message);
        }
        let is_all = required == Some(&Value::Bool(true));
        let all: Vec<Guarantee> = match is_all {
            true => asked.into_iter().filter(|one| !always(*one)).collect(),
            false => confine.required.clone(),
        };
        if may != May::default() {
            for guarantee in all.iter().filter(|one| is_of_tree(**one)) {
                let message = format!(
                    "{:?} cannot be required beside \"may\": what may signal others or gain rights gets out of its group",
                    guarantee.name()
                );
                self.error("/required", Mistake::BadValue, message);
            }
        }
        if !is_all {
            return all;
        }
        if all.is_empty() {
            let message = "\"required: true\" stands for what the action asks of files, network and limits of its tree, \
                           and it asks for nothing of that";
            self.error("/required", Mistake::BadValue, message);
        }
        all
    }
}

/// What holds without being asked for.
fn always(guarantee: Guarantee) -> bool {
    matches!(guarantee, Guarantee::Signals | Guarantee::Kill)
}

fn is_of_tree(guarantee: Guarantee) -> bool {
    matches!(guarantee, Guarantee::TreeMemory | Guarantee::TreeProcesses | Guarantee::TreeCpus)
}

fn asked_for(confine: &Confine, may: May, limits: &Limits) -> Vec<Guarantee> {
    let is_asked = |guarantee: &Guarantee| match guarantee {
        Guarantee::Files => confine.files == FileAccess::Confined,
        Guarantee::Network => confine.no_network,
        // A worker that is not root can confine nothing that gains rights by other programs.
        Guarantee::Signals | Guarantee::Kill => !may.signal_others && !may.gain_privileges,
        Guarantee::TreeMemory => limits.tree_memory_bytes_max.is_some(),
        Guarantee::TreeProcesses => limits.tree_processes_max.is_some(),
        Guarantee::TreeCpus => limits.tree_cpu_milli_max.is_some(),
    };
    Guarantee::ALL.into_iter().filter(is_asked).collect()
}

/// How it is asked for.
fn how(guarantee: Guarantee) -> &'static str {
    match guarantee {
        Guarantee::Files => "files: confined",
        Guarantee::Network => "network: none",
        Guarantee::Signals | Guarantee::Kill => "without may: [signal_others, gain_privileges]",
        Guarantee::TreeMemory => "limits: { tree_memory_bytes_max: … }",
        Guarantee::TreeProcesses => "limits: { tree_processes_max: … }",
        Guarantee::TreeCpus => "limits: { tree_cpus_max: … }",
    }
}

fn check_path(path: &str, is_written: bool) -> Result<(), String> {
    let Some(inside) = path.strip_prefix('/') else {
        return Err(format!("{path:?} is no absolute path"));
    };
    if path.contains("${") {
        return Err("a path must be a constant, so that a parameter cannot choose it".to_owned());
    }
    if inside.is_empty() {
        return Err("\"/\" is everything: say \"files: unconfined\"".to_owned());
    }
    if !is_plain(inside) {
        return Err(format!("{path:?} must be written without \".\", \"..\" and empty parts"));
    }
    let of_kernel = |root: &&str| path == *root || path.starts_with(&format!("{root}/"));
    match OF_THE_KERNEL.into_iter().find(of_kernel).filter(|_| is_written) {
        Some(root) => Err(format!("who writes beneath {root} is not confined: say \"files: unconfined\"")),
        None => Ok(()),
    }
}
