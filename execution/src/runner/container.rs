//! The runner `container`: a program in a container of a daemon that speaks Docker's API.
//!
//! Whatever could open the machine to it is a constant of its action, never a parameter: image, network, user and what it
//! may do. By default it has no network, no capability, and cannot gain any.

mod image;
mod keys;

use std::fmt;

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::Keys;
use super::process::{ProcessCall, ProcessSpec, read_arguments, text};
use super::shape::Shape;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};

pub use image::{Image, Pull};

/// Where a container finds the folder `actions/` of its pack, read-only.
pub const CONTAINER_ACTIONS: &str = "/petrel/actions";
/// Where a container may write, and what is gone with it: a folder in memory.
pub const CONTAINER_WORK: &str = "/petrel/work";
/// Bytes of that folder, unless the action says otherwise.
const WORK_BYTES_MAX: u64 = 64 << 20;

/// A container with what it is given, as templates.
#[derive(Debug)]
pub struct ContainerSpec {
    image: Image,
    pull: Pull,
    entrypoint: Option<Vec<Template>>,
    command: Option<Vec<Template>>,
    registry: Option<(Template, Template)>,
    place: ContainerPlace,
    process: ProcessSpec,
    secrets: Vec<(String, SecretRef)>,
}

/// A container to run.
#[derive(Clone, PartialEq)]
pub struct ContainerCall {
    /// What it is made of.
    pub image: Image,
    /// Whether that is fetched.
    pub pull: Pull,
    /// In place of the image's own program.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments, in place of the image's own.
    pub command: Option<Vec<String>>,
    /// Name and password for the image's registry.
    pub registry: Option<(String, String)>,
    /// What it has of the machine.
    pub place: ContainerPlace,
    /// Variables, standard input, and what is made of its end; nothing else of it is about a container.
    pub process: ProcessCall,
}

/// What a container has of its machine, as its action says.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerPlace {
    /// Working directory; none for the image's own.
    pub cwd: Option<String>,
    /// User, and group behind a colon; none for the image's own.
    pub user: Option<String>,
    /// `none`, `bridge`, `host`, or the name of a network.
    pub network: String,
    /// Whether it can write nowhere but into its work directory.
    pub read_only: bool,
    /// Whether its programs may gain privileges, and it has the daemon's usual capabilities.
    pub gains_privileges: bool,
    /// Capabilities that it has, such as `NET_RAW`.
    pub capabilities: Vec<String>,
    /// Bytes of memory, swap included.
    pub memory_bytes_max: Option<u64>,
    /// Thousandths of a processor.
    pub millicpus_max: Option<u64>,
    /// Processes and threads.
    pub processes_max: Option<u64>,
    /// Bytes of its work directory.
    pub work_bytes_max: u64,
}

impl Default for ContainerPlace {
    fn default() -> Self {
        Self {
            cwd: None,
            user: None,
            network: "none".to_owned(),
            read_only: false,
            gains_privileges: false,
            capabilities: Vec::new(),
            memory_bytes_max: None,
            millicpus_max: None,
            processes_max: None,
            work_bytes_max: WORK_BYTES_MAX,
        }
    }
}

impl ContainerPlace {
    /// Whether it needs a limit that the daemon's machine has to keep.
    pub fn is_limited(&self) -> bool {
        self.memory_bytes_max.is_some() || self.millicpus_max.is_some() || self.processes_max.is_some()
    }
}

/// Without arguments and credentials: there may be secrets in them.
impl fmt::Debug for ContainerCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerCall")
            .field("image", &self.image)
            .field("pull", &self.pull)
            .field("has_credentials", &self.registry.is_some())
            .field("place", &self.place)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Spec for ContainerSpec {
    const NAME: &'static str = "container";
    const KEYS: &'static [&'static str] = &[
        "image",
        "pull",
        "entrypoint",
        "command",
        "registry",
        "env",
        "stdin",
        "cwd",
        "user",
        "network",
        "read_only",
        "success_codes",
        "output",
        "may",
        "limits",
    ];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let (image, pull) = image::read(&mut keys);
        let entrypoint = read_arguments(&mut keys, "entrypoint", &mut |_, _, _| {});
        let command = read_arguments(&mut keys, "command", &mut |_, _, _| {});
        let registry = keys::registry(&mut keys);
        let place = keys::place(&mut keys, files);
        let process = ProcessSpec::read_common(&mut keys, files);
        let Keys { errors, secrets, .. } = keys;
        match (image, errors.is_empty()) {
            (Some(image), true) => Ok(Self { image, pull, entrypoint, command, registry, place, process, secrets }),
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }

    fn shape(&self) -> Option<&Shape> {
        self.process.shape()
    }
}

impl Works for ContainerSpec {
    type Call = Box<ContainerCall>;

    fn render(&self, rendering: Rendering<'_>) -> Result<Box<ContainerCall>, RenderError> {
        let scope = rendering.scope();
        let list = |name: &str, list: &Option<Vec<Template>>| {
            let parts = list.as_ref().map(|list| list.iter().enumerate());
            let parts = parts.map(|parts| parts.map(|(i, part)| text(part, &scope, || format!("{name}[{i}]"))));
            parts.map(Iterator::collect).transpose()
        };
        let registry = self.registry.as_ref().map(|(name, password)| {
            let name = text(name, &scope, || "the registry's user name".to_owned())?;
            Ok((name, text(password, &scope, || "the registry's password".to_owned())?))
        });
        Ok(Box::new(ContainerCall {
            image: self.image.clone(),
            pull: self.pull,
            entrypoint: list("entrypoint", &self.entrypoint)?,
            command: list("command", &self.command)?,
            registry: registry.transpose()?,
            place: self.place.clone(),
            process: self.process.render(&scope)?,
        }))
    }
}

impl Call for Box<ContainerCall> {
    fn uses_pack(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
