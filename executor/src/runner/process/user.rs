//! Who a process runs as: root's worker makes it another user, any other worker asks `sudo`, which must not ask for a
//! password.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, geteuid};
use petrel_execution::runner::May;
use petrel_execution::worker::{Exit, Why};

use super::Command;
use crate::supervise::User;

/// Longest wait for `sudo` to say whether it would, in milliseconds: it may ask a directory of users.
const PROBE_TIMEOUT_MS: u64 = 10_000;
/// Bytes of what it says that are told.
const SAID_BYTES_MAX: usize = 500;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    home: String,
    user: User,
}

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum As {
    /// The worker's own user.
    Own,
    /// This one, whom the process becomes before it is the action's.
    User(Account),
    /// This one, by `sudo`.
    Sudo(Account),
}

/// Why a process cannot become a user: a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// It cannot, here or anywhere.
    Never(String),
    /// This machine cannot tell now.
    Now(String),
}

/// Looks up a user, who may be known to a service far away, and how to become that one.
///
/// # Errors
/// Why that cannot be.
pub(super) async fn find(name: String, may: May) -> Result<As, Refused> {
    let found = tokio::task::spawn_blocking(move || {
        let account = look_up(&name)?;
        becoming(account, geteuid().as_raw(), may).map_err(Refused::Never)
    });
    found.await.map_err(|error| Refused::Now(format!("its user cannot be looked up: {error}")))?
}

/// Who is not known is known not to be there; all else that goes wrong does so on this machine.
fn look_up(name: &str) -> Result<Account, Refused> {
    let cannot = |error: nix::Error| Refused::Now(format!("user {name:?} cannot be looked up: {error}"));
    let by_number = || match name.parse() {
        Ok(number) => nix::unistd::User::from_uid(Uid::from_raw(number)).map_err(cannot),
        Err(_) => Ok(None),
    };
    let found = match nix::unistd::User::from_name(name).map_err(cannot)? {
        Some(user) => Some(user),
        None => by_number()?,
    };
    let found = found.ok_or_else(|| Refused::Never(format!("this machine has no user {name:?}")))?;
    Ok(Account {
        name: found.name,
        home: found.dir.to_string_lossy().into_owned(),
        user: User { uid: found.uid.as_raw(), gid: found.gid.as_raw() },
    })
}

fn becoming(account: Account, own_uid: u32, may: May) -> Result<As, String> {
    if account.user.uid == own_uid {
        return Ok(As::Own);
    }
    if own_uid == 0 {
        return Ok(As::User(account));
    }
    if may.gain_privileges {
        return Ok(As::Sudo(account));
    }
    Err(format!(
        "this worker is not root, and would become user {:?} by sudo, which an action may use only with \
         \"may: [gain_privileges]\"",
        account.name
    ))
}

impl As {
    /// Whom the process becomes.
    pub(super) fn user(&self) -> Option<&User> {
        match self {
            Self::User(account) => Some(&account.user),
            Self::Own | Self::Sudo(_) => None,
        }
    }

    /// What it finds of that one; `sudo` sees to that itself.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let Self::User(account) = self else { return BTreeMap::new() };
        let variables = [("HOME", &account.home), ("USER", &account.name), ("LOGNAME", &account.name)];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// Says of what could not be started whether that is for a folder that its user may not enter.
    pub(super) fn explained(&self, exit: Exit, directory: &Path) -> Exit {
        let (Some(user), Why::NotStarted(_)) = (self.user(), exit.why) else { return exit };
        let Some(closed) = closed_to(user, directory) else { return exit };
        let error = exit.error.unwrap_or_default();
        Exit { error: Some(format!("{error}: its user may not enter {}", closed.display())), ..exit }
    }
}

/// The first folder on the way to one that a user may not enter, by its mode.
fn closed_to<'p>(user: &User, directory: &'p Path) -> Option<&'p Path> {
    let mut way: Vec<&Path> = directory.ancestors().collect();
    way.reverse();
    way.into_iter().find(|folder| {
        std::fs::metadata(folder).is_ok_and(|found| {
            let shift = if found.uid() == user.uid {
                6
            } else if found.gid() == user.gid {
                3
            } else {
                0
            };
            (found.mode() >> shift) & 1 == 0
        })
    })
}

/// The command by way of `sudo`, with the variables that it has beside inherited ones.
pub(super) fn by_sudo(account: &Account, command: Command) -> Command {
    let names: Vec<&str> = command.environment.keys().map(String::as_str).collect();
    let before = [
        "sudo".to_owned(),
        "--non-interactive".to_owned(),
        "--set-home".to_owned(),
        format!("--user={}", account.name),
        format!("--preserve-env={}", names.join(",")),
        "--".to_owned(),
    ];
    Command { argv: before.into_iter().chain(command.argv).collect(), ..command }
}

/// What `sudo` is asked before: whether it would, with these variables.
pub(super) fn probe(account: &Account, command: &Command) -> Command {
    let nothing = Command { argv: vec!["true".to_owned()], timeout_ms: PROBE_TIMEOUT_MS, ..command.clone() };
    by_sudo(account, nothing)
}

/// Why `sudo` will not, by how the probe ended; nothing if it would, or the attempt has to end anyway.
pub(super) fn refused(account: &Account, probe: &Exit) -> Option<Refused> {
    let said = String::from_utf8_lossy(&probe.stderr.bytes).trim().replace('\n', "; ");
    let said = match (probe.why, probe.return_code) {
        (Why::Exited, Some(0)) => return None,
        (Why::Exited, _) if !said.is_empty() => petrel_execution::limits::head(&said, SAID_BYTES_MAX).to_owned(),
        (Why::Exited, code) => format!("it ended with exit code {}", code.unwrap_or(-1)),
        // A machine under load, or a directory of users that is slow.
        (Why::Timeout, _) => {
            let name = &account.name;
            return Some(Refused::Now(format!("sudo for user {name:?} did not end within {PROBE_TIMEOUT_MS} ms")));
        }
        (Why::NotStarted(_), _) => probe.error.clone().unwrap_or_default(),
        _ => return None,
    };
    let name = &account.name;
    Some(Refused::Never(format!("sudo does not let this worker be user {name:?} without a password: {said}")))
}

#[cfg(test)]
mod tests {
    use petrel_execution::Stream;
    use petrel_execution::runner::Limits;

    use super::*;
    use crate::supervise::Confinement;

    fn account(uid: u32) -> Account {
        Account { name: "deploy".to_owned(), home: "/srv".to_owned(), user: User { uid, gid: uid } }
    }

    #[test]
    fn root_becomes_anybody_and_others_ask_sudo() {
        let (nothing, all) = (May::default(), May { gain_privileges: true, ..May::default() });
        assert_eq!(becoming(account(5), 5, nothing), Ok(As::Own));
        assert_eq!(becoming(account(5), 0, nothing), Ok(As::User(account(5))));
        assert_eq!(becoming(account(5), 7, all), Ok(As::Sudo(account(5))));
        let error = becoming(account(5), 7, nothing).unwrap_err();
        assert!(error.starts_with("this worker is not root, and would become user \"deploy\" by sudo"), "{error}");
    }

    #[test]
    fn users_are_known_by_name_and_by_number() {
        assert_eq!(look_up("root").unwrap().user, User { uid: 0, gid: 0 });
        assert_eq!(look_up("0").unwrap().name, "root");
        let nobody = Refused::Never("this machine has no user \"no-such-user\"".to_owned());
        assert_eq!(look_up("no-such-user"), Err(nobody));
    }

    #[test]
    fn sudo_is_given_the_arguments_as_they_are() {
        let command = Command {
            argv: ["sh", "-c", "$(x)"].map(str::to_owned).to_vec(),
            directory: "/".into(),
            environment: BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())]),
            stdin: b"in".to_vec(),
            user: None,
            timeout_ms: 5,
            may: May::default(),
            limits: Limits::default(),
            confinement: Confinement::default(),
        };
        let before = ["sudo", "--non-interactive", "--set-home", "--user=deploy", "--preserve-env=A,B", "--"];
        let argv = by_sudo(&account(5), command.clone()).argv;
        assert_eq!((&argv[..6], &argv[6..]), (&before.map(str::to_owned)[..], &command.argv[..]));
        let probe = probe(&account(5), &command);
        assert_eq!((&*probe.argv[6], probe.argv.len(), probe.timeout_ms), ("true", 7, PROBE_TIMEOUT_MS));
    }

    #[test]
    fn what_sudo_says_is_told() {
        let exit = |why, return_code, stderr: &str| Exit {
            return_code,
            stderr: Stream::whole(stderr.as_bytes().to_vec()),
            ..Exit::bare(why, None)
        };
        let told = refused(&account(5), &exit(Why::Exited, Some(1), "sudo: a password is required\n")).unwrap();
        let why = "sudo does not let this worker be user \"deploy\" without a password: sudo: a password is required";
        assert_eq!(told, Refused::Never(why.to_owned()));
        assert_eq!(refused(&account(5), &exit(Why::Exited, Some(0), "a warning")), None);
        assert_eq!(refused(&account(5), &exit(Why::Stopped, None, "")), None);
        let slow = refused(&account(5), &exit(Why::Timeout, None, ""));
        assert!(matches!(slow, Some(Refused::Now(why)) if why.ends_with("within 10000 ms")));
    }
}
