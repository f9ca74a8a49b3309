//! Runners: how an action is carried out. One file for each runner, from the pack's file to the worker: the keys that
//! it takes, the spec with its compiled templates, and the call that a worker makes of it. A new one is such a file and
//! a line in [`runners!`]; how calls are carried out is in the crate `petrel-executor`, likewise.

mod arguments;
mod codes;
mod command;
mod container;
mod duration;
mod echo;
mod email;
mod fail;
mod http;
mod inject;
mod inquirer;
mod kafka;
mod keys;
mod limits;
mod noop;
mod process;
mod python;
mod script;
mod shape;
mod shell;
mod sleep;
mod ssh;
#[cfg(test)]
mod tests;
mod workflow;

use std::fmt;
use std::sync::Arc;

use petrel_cel::{Constants, Scope};
use petrel_schemas::{EventId, ExecutionId, IdError, SecretRef};
use serde_json::{Map, Value};

use crate::outcome::Outcome;
use crate::workflow::Workflow;

pub use codes::Codes;
pub use command::{CommandCall, CommandSpec};
pub use container::{CONTAINER_ACTIONS, CONTAINER_WORK, ContainerCall, ContainerPlace, ContainerSpec, Image, Pull};
pub use duration::parse_ms;
pub use echo::EchoSpec;
pub use email::{EmailCall, EmailSpec, MailServer, Mailbox, Security};
pub use fail::FailSpec;
pub use http::{Auth, Body, Hidden, HttpCall, HttpSpec, Proxy, Retry, Tls, is_untouched};
pub use inject::InjectSpec;
pub use inquirer::InquirerSpec;
pub use kafka::{KafkaCall, KafkaSpec};
pub use keys::{Mistake, SpecError};
pub use limits::Limits;
pub use noop::NoopSpec;
pub use process::{
    Confine, FileAccess, Folder, Format, Guarantee, May, Output, ProcessCall, ResultError, check_confine,
};
pub use python::{
    Callee, PythonCall, PythonSpec, REQUIREMENTS, builds as builds_requirement, depends_on_files,
    named_file as requirement_file, refused as refused_requirement,
};
pub use script::{ScriptCall, ScriptSpec};
pub use shape::{ExtractError, Shape};
pub use shell::{Shell, ShellCall, ShellSpec};
pub use sleep::{SleepCall, SleepSpec};
pub use ssh::{FailAt, Hop, KeySource, KnownHosts, Run, SshAuth, SshCall, SshSpec, Target, Upload, UploadFrom};
pub use workflow::{OrquestaSpec, WorkflowLanguage, WorkflowSpec};

/// The files of the pack that an action belongs to, and what else of the action its runner may have to know.
pub trait PackFiles {
    /// Whether there is a file of that path, relative to the pack, and whether it is executable.
    fn executable(&self, path: &str) -> Option<bool>;

    /// Topics that the pack lists under `produces:`.
    fn produces(&self) -> Vec<String> {
        Vec::new()
    }

    /// `, did you mean …?` for a path that is not there, or nothing.
    fn hint(&self, path: &str) -> String;

    /// What its texts may name beside parameters: the pack's configuration, if it has any.
    fn constants(&self) -> Option<&dyn Constants> {
        None
    }

    /// Whether there is a folder of that path, relative to the pack. Where nobody knows, it is looked for when it is needed.
    fn has_folder(&self, path: &str) -> bool {
        let _ = path;
        true
    }

    /// What stands behind `#!` in the first line of a file, without the line feed; nothing if it does not begin so.
    fn interpreter(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }

    /// A file's text, where it is known here what stands in it.
    fn text(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }

    /// Names of what the pack is configured with.
    fn configured(&self) -> Vec<String> {
        Vec::new()
    }

    /// The action's parameters.
    fn parameters(&self) -> &[ParameterPlace] {
        &[]
    }

    /// What processes of the pack may reach, as its own file says it.
    fn confine(&self) -> Option<Value> {
        None
    }

    /// Compiles a JSON schema.
    ///
    /// # Errors
    /// What is wrong with it, or that there are no schemas here.
    fn schema(&self, schema: &Value) -> Result<Arc<dyn CheckValue>, SchemaMistake> {
        let _ = schema;
        Err(SchemaMistake { at: String::new(), message: "there are no schemas here".to_owned() })
    }

    /// Reads and compiles the workflow that stands in a file of the pack, by its path.
    ///
    /// # Errors
    /// What is wrong with the path, or that there are no workflows here. What is wrong with the workflow itself is told
    /// by whoever reads it, where it stands.
    fn workflow(&self, path: &str, language: WorkflowLanguage) -> Result<Arc<dyn Workflow>, Vec<SpecError>> {
        let _ = (path, language);
        Err(vec![SpecError::new("/workflow", Mistake::BadValue, "there are no workflows here")])
    }
}

/// A parameter of an action, and its place among the arguments of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterPlace {
    /// Its name.
    pub name: String,
    /// Its place among those without a name, from 0; none for one that is given with its name.
    pub position: Option<u32>,
}

/// A JSON schema.
pub trait CheckValue: fmt::Debug + Send + Sync {
    /// Why it refuses a value: the first few reasons, each with its JSON pointer, and without anything of the value.
    fn problems(&self, value: &Value) -> Vec<String>;
}

/// Why something is no JSON schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaMistake {
    /// JSON pointer into it.
    pub at: String,
    /// For people.
    pub message: String,
}

/// Why an action cannot be rendered for an execution: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

/// What is rendered.
#[derive(Clone, Copy)]
pub struct Rendering<'r> {
    /// The completed parameters.
    pub parameters: &'r Value,
    /// The secrets that the action itself names, name by name, space by space.
    pub secrets: &'r Value,
    /// Id of the execution, the same for every attempt.
    pub execution_id: &'r str,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

/// Without what stands for the values of secrets.
impl fmt::Debug for Rendering<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendering")
            .field("execution_id", &self.execution_id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Rendering<'_> {
    fn scope(&self) -> Scope<'static> {
        Scope::action(self.parameters, self.secrets, self.execution_id, self.attempt)
    }

    /// Id of the event of that number that the execution injects.
    fn event_id(&self, number: u32) -> Result<EventId, IdError> {
        ExecutionId::parse(self.execution_id).map(|execution| EventId::of_injected(&execution, number))
    }
}

/// What every runner's file has.
trait Spec: Sized {
    /// The runner's name.
    const NAME: &'static str;
    /// Keys of an action that belong to it.
    const KEYS: &'static [&'static str];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>>;

    /// The secrets that it names beside its parameters, each with a JSON pointer into the action's keys. Workers open
    /// these and no others, and mask them in whatever an attempt tells.
    fn secrets(&self) -> &[(String, SecretRef)];

    /// What its action says of its result.
    fn shape(&self) -> Option<&Shape> {
        None
    }
}

/// A runner that has nothing to do: how it ends is known once its expressions are.
trait Ends: Spec {
    /// Whether an attempt is over as soon as it is claimed. No expression is worked out for it, for it happens in the step
    /// that claims, beside all other claims.
    const IN_CLAIM: bool = false;

    fn end(&self, rendering: Rendering<'_>) -> Result<Outcome, RenderError>;
}

/// A runner that has something to do.
trait Works: Spec {
    /// What a worker is asked to do.
    type Call: Call;

    fn render(&self, rendering: Rendering<'_>) -> Result<Self::Call, RenderError>;
}

/// What is asked of every call alike.
trait Call {
    /// Whether it needs the files of its pack.
    fn uses_pack(&self) -> bool {
        false
    }
}

macro_rules! runners {
    (
        ends { $($(#[$end_doc:meta])* $End:ident($end:ty),)+ }
        works { $($(#[$doc:meta])* $Runner:ident($spec:ty => $call:ty),)+ }
    ) => {
        /// What a runner needs of an action, checked and compiled.
        #[derive(Debug)]
        // There is one for each action of a revision, behind an `Arc`.
        #[allow(clippy::large_enum_variant)]
        pub enum RunnerSpec {
            $($(#[$end_doc])* $End($end),)+
            $($(#[$doc])* $Runner($spec),)+
        }

        /// What a worker does for one attempt.
        #[derive(Debug, Clone, PartialEq)]
        // It is short-lived: made, looked at once and carried out.
        #[allow(clippy::large_enum_variant)]
        pub enum RunnerCall {
            /// Nothing: it ends so.
            End(Outcome),
            $($(#[$doc])* $Runner($call),)+
        }

        impl RunnerSpec {
            /// Names of the runners.
            pub const NAMES: &'static [&'static str] = &[$(<$end as Spec>::NAME,)+ $(<$spec as Spec>::NAME,)+];

            /// Keys of an action that belong to a runner, beside those that every action has; nothing for a runner
            /// that does not exist.
            pub fn keys(runner: &str) -> Option<&'static [&'static str]> {
                match runner {
                    $(<$end as Spec>::NAME => Some(<$end as Spec>::KEYS),)+
                    $(<$spec as Spec>::NAME => Some(<$spec as Spec>::KEYS),)+
                    _ => None,
                }
            }

            /// Reads a runner's keys, those that are there, and compiles what they hold.
            ///
            /// # Errors
            /// Every mistake. A runner that does not exist is one.
            pub fn parse(
                runner: &str,
                keys: &Map<String, Value>,
                files: &dyn PackFiles,
            ) -> Result<Self, Vec<SpecError>> {
                match runner {
                    $(<$end as Spec>::NAME => <$end as Spec>::parse(keys, files).map(Self::$End),)+
                    $(<$spec as Spec>::NAME => <$spec as Spec>::parse(keys, files).map(Self::$Runner),)+
                    _ => Err(vec![SpecError::new("", Mistake::BadValue, format!("unknown runner {runner:?}"))]),
                }
            }

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$End(_) => <$end as Spec>::NAME,)+
                    $(Self::$Runner(_) => <$spec as Spec>::NAME,)+
                }
            }

            /// The secrets that it names beside its parameters, each with a JSON pointer into the action's keys.
            pub fn secrets(&self) -> &[(String, SecretRef)] {
                match self {
                    $(Self::$End(spec) => Spec::secrets(spec),)+
                    $(Self::$Runner(spec) => Spec::secrets(spec),)+
                }
            }

            /// What its action says of its result, if it says anything.
            pub fn shape(&self) -> Option<&Shape> {
                match self {
                    $(Self::$End(spec) => Spec::shape(spec),)+
                    $(Self::$Runner(spec) => Spec::shape(spec),)+
                }
            }

            /// Whether an attempt is over as soon as it is claimed: nothing is started or waited for.
            pub fn is_instant(&self) -> bool {
                match self {
                    $(Self::$End(_) => <$end as Ends>::IN_CLAIM,)+
                    $(Self::$Runner(_) => false,)+
                }
            }

            /// What a worker does for one attempt: one that is instant ends.
            ///
            /// # Errors
            /// An expression that has no value, or a value that the runner cannot be given.
            pub fn render(&self, rendering: Rendering<'_>) -> Result<RunnerCall, RenderError> {
                match self {
                    $(Self::$End(spec) => Ends::end(spec, rendering).map(RunnerCall::End),)+
                    $(Self::$Runner(spec) => Works::render(spec, rendering).map(RunnerCall::$Runner),)+
                }
            }
        }

        impl RunnerCall {
            /// Whether it needs the files of its pack.
            pub fn uses_pack(&self) -> bool {
                match self {
                    Self::End(_) => false,
                    $(Self::$Runner(call) => Call::uses_pack(call),)+
                }
            }
        }
    };
}

runners! {
    ends {
        /// A result that its action makes of its parameters.
        Echo(EchoSpec),
        /// A failure.
        Fail(FailSpec),
        /// An event of a trigger.
        Inject(InjectSpec),
        /// A question to people.
        Inquirer(InquirerSpec),
        /// Nothing at all.
        Noop(NoopSpec),
        /// A workflow in Orquesta's language.
        Orquesta(OrquestaSpec),
        /// A workflow in Petrel's language.
        Workflow(WorkflowSpec),
    }
    works {
        /// A program with arguments.
        Command(CommandSpec => CommandCall),
        /// A program in a container.
        Container(ContainerSpec => Box<ContainerCall>),
        /// A message by mail.
        Email(EmailSpec => Box<EmailCall>),
        /// A request over HTTP.
        Http(HttpSpec => Box<HttpCall>),
        /// A record for a topic.
        Kafka(KafkaSpec => KafkaCall),
        /// A function or class of a file of the pack.
        Python(PythonSpec => Box<PythonCall>),
        /// A file of the pack with its interpreter.
        Script(ScriptSpec => ScriptCall),
        /// A text for a shell.
        Shell(ShellSpec => ShellCall),
        /// A while of nothing.
        Sleep(SleepSpec => SleepCall),
        /// A command, a script or files on hosts.
        Ssh(SshSpec => Box<SshCall>),
    }
}

impl RunnerSpec {
    /// The trigger of which it injects events, where its action names one.
    pub fn injects(&self) -> Option<&str> {
        match self {
            Self::Inject(spec) => spec.trigger(),
            _ => None,
        }
    }

    /// What its owner conducts, if it is a workflow or a question.
    pub fn workflow(&self) -> Option<&Arc<dyn Workflow>> {
        match self {
            Self::Inquirer(spec) => Some(spec.workflow()),
            Self::Orquesta(spec) => Some(spec.workflow()),
            Self::Workflow(spec) => Some(spec.workflow()),
            _ => None,
        }
    }

    /// Whether it may write records to a topic.
    pub fn may_write_to(&self, topic: &str) -> bool {
        match self {
            Self::Kafka(spec) => spec.may_write_to(topic),
            _ => false,
        }
    }

    /// Keys of all runners; one that several have comes several times.
    pub fn all_keys() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter_map(|name| Self::keys(name)).flatten().copied()
    }
}
