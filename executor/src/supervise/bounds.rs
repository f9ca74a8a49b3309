//! What an action is held to, made ready before it starts: here it turns out what the kernel cannot give, and whether
//! the action can do without.

use std::fs::File;
use std::io::{self, Write};
use std::rc::Rc;

use nix::unistd::getpid;
use petrel_execution::runner::Guarantee;

use super::confine::{ABI_FILES, ABI_REFER, ABI_SCOPES, Domain, Domains, Wanted, landlock_abi};
use super::filter::{Filter, Held, filters};
use super::group::{Delegated, Group};
use super::network::{self, UserNamespace};
use super::protocol::{Job, Why};
use super::rights::{drop_inherited, drop_rights};
use super::sockets::Network;
use super::spawn;

/// What a control group gives.
const OF_GROUPS: [Guarantee; 4] =
    [Guarantee::Kill, Guarantee::TreeMemory, Guarantee::TreeProcesses, Guarantee::TreeCpus];

/// What holds an action.
pub struct Bounds {
    /// Its control group, where it asks for one and there can be any.
    pub group: Option<Group>,
    /// What it is put into.
    pub cell: Cell,
}

/// What an action enters between `fork` and `exec`.
pub struct Cell {
    domain: Option<Rc<Domain>>,
    filter: Option<Filter>,
    /// The way into its control group.
    door: Option<File>,
    /// It keeps few of root's rights.
    drops_rights: bool,
    /// It keeps the rights that its worker passes on.
    inherits_rights: bool,
    /// How it leaves the network, where its guard could not; and what holds it back where it cannot, either.
    way_out: Option<(UserNamespace, Option<Filter>)>,
}

/// Why an action is not started.
#[derive(Debug)]
pub struct Refused {
    /// What is told of it.
    pub why: Why,
    /// For people.
    pub error: String,
}

impl Bounds {
    /// What this job asks for, of domains that were made already where there are such. A guard that is to have no network
    /// for its action leaves it here, for itself as well.
    ///
    /// # Errors
    /// If the kernel cannot give what the job requires, one of its paths cannot be used, or the system has no room.
    pub fn new(job: &Job, domains: &mut Domains) -> Result<Self, Refused> {
        let (may, confinement, abi) = (job.may, &job.confinement, landlock_abi());
        let (group, mut missing) = group(job);
        if abi < ABI_SCOPES {
            missing.push(Guarantee::Signals);
        }
        // A way out of its group is what it may write to.
        if abi < ABI_REFER {
            missing.extend(OF_GROUPS);
        }
        // Over a socket of a service it reaches the files of that.
        if abi < ABI_FILES || (confinement.no_unix_sockets && !filters()) {
            missing.push(Guarantee::Files);
        }
        if !filters() {
            missing.push(Guarantee::Network);
        }
        let names: Vec<_> =
            confinement.required.iter().filter(|one| missing.contains(one)).map(|one| one.name()).collect();
        if !names.is_empty() {
            let error = format!(
                "its action requires what this machine cannot give its worker: {} (petrel doctor says why)",
                names.join(", ")
            );
            return Err(Refused { why: Why::NotConfined, error });
        }
        let cannot = |what: &str, error: &io::Error| {
            let why = if spawn::is_its_own(error) { Why::NotStarted } else { Why::NotBegun };
            Refused { why, error: format!("{what}: {error}") }
        };
        let network = match confinement.no_network {
            false => Network::Host,
            true if network::leave().is_ok() => Network::Namespace,
            true => Network::None,
        };
        // In a namespace of users an action has no user but the worker's. It is tried first: some systems give one in which
        // nothing may be done.
        let can_become = network == Network::None && job.user.is_none() && network::can_leave();
        let wanted = Wanted {
            signal_others: may.signal_others,
            reach: confinement.files.as_ref(),
            // Inside a namespace it may speak to itself.
            no_tcp: network == Network::None && !filters(),
        };
        let domain = domains.get(abi, wanted).map_err(|e| cannot("it cannot be confined", &e))?;
        let filter = |network| {
            Filter::new(Held { levers: !may.signal_others, network, unix_sockets: !confinement.no_unix_sockets })
        };
        let way_out = can_become.then(|| (UserNamespace::new(), filter(Network::Namespace)));
        let door = group.as_ref().map(Group::door).transpose();
        let door = door.map_err(|e| cannot("its control group cannot be entered", &e))?;
        Ok(Self {
            group,
            cell: Cell {
                domain,
                filter: filter(network),
                door,
                drops_rights: confinement.files.is_some(),
                inherits_rights: may.gain_privileges,
                way_out,
            },
        })
    }
}

/// The group of a job that asks for one, and what it lacks.
fn group(job: &Job) -> (Option<Group>, Vec<Guarantee>) {
    if !job.limits.has_tree() && !job.confinement.required.contains(&Guarantee::Kill) {
        return (None, Vec::new());
    }
    match Delegated::find().and_then(|delegated| delegated.make(getpid().as_raw()).ok()) {
        Some(group) => {
            let missing = group.limit(&job.limits);
            (Some(group), missing)
        }
        None => (None, OF_GROUPS.to_vec()),
    }
}

impl Cell {
    /// Puts the calling process into its control group, if it is to have one.
    ///
    /// Allocates nothing and takes no lock, like [`Self::leave_network`] and [`Self::close`]: they may be called between
    /// `fork` and `exec`.
    ///
    /// # Errors
    /// What the system says.
    pub fn join(&self) -> io::Result<()> {
        self.door.as_ref().map_or(Ok(()), |mut door| door.write_all(b"0"))
    }

    /// Whether what enters it must share its memory with nobody.
    pub fn needs_memory_of_its_own(&self) -> bool {
        self.way_out.is_some()
    }

    /// Whether what is in it can do nothing to its guard: neither signal it nor change its limits.
    pub fn keeps_from_guard(&self) -> bool {
        self.domain.as_ref().is_some_and(|domain| domain.scopes_signals()) && self.filter.is_some()
    }

    /// Leaves the network, where its guard could not; whether it has.
    ///
    /// # Errors
    /// If nothing must be started.
    pub fn leave_network(&self) -> io::Result<bool> {
        self.way_out.as_ref().map_or(Ok(false), |(namespace, _)| namespace.leave_network())
    }

    /// Confines the calling process, and what it will start, for good.
    ///
    /// # Errors
    /// What the system says: most of all without `PR_SET_NO_NEW_PRIVS` and without CAP_SYS_ADMIN.
    pub fn close(&self, has_left: bool) -> io::Result<()> {
        if self.drops_rights {
            drop_rights();
        }
        if !self.inherits_rights {
            drop_inherited();
        }
        self.domain.as_ref().map_or(Ok(()), |domain| domain.enter())?;
        let inside = self.way_out.as_ref().filter(|_| has_left).map(|(_, filter)| filter);
        inside.unwrap_or(&self.filter).as_ref().map_or(Ok(()), Filter::set)
    }
}
