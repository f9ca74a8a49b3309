//! What `petrel workflow` takes.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use super::action::ActionRun;

#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Find everything that is wrong with workflows, without a server
    #[command(after_help = "Examples:\n  petrel workflow validate packs/core packs/disk\n  \
                            petrel workflow validate packs/disk/workflows/heal.yaml\n\
                            Of packs all is checked, the actions that workflows call included; of a single file only the \
                            file. The exit code is 1 if anything is wrong.")]
    Validate {
        /// Folders of packs, of folders of packs, or files of workflows
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The runner of single files [default: that of the action that names the file, else workflow]
        #[arg(long, value_enum)]
        runner: Option<Runner>,
    },
    /// Show a workflow's inputs and tasks, how they hang together, and what is wrong with it
    #[command(
        after_help = "The exit code is 1 if anything is wrong. With --json, \"errors\" has the form of Orquesta's \
                            inspection."
    )]
    Inspect {
        #[command(flatten)]
        file: WorkflowFile,
        /// For programs, as with -o json
        #[arg(long)]
        json: bool,
    },
    /// Draw a workflow
    #[command(after_help = "Examples:\n  petrel workflow graph packs/disk/workflows/heal.yaml\n  \
                            petrel workflow graph heal.yaml --format dot | dot -Tsvg > heal.svg")]
    Graph {
        #[command(flatten)]
        file: WorkflowFile,
        /// In which form
        #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
        format: GraphFormat,
    },
    /// Run the tests of workflows, with mocked actions and a clock of their own
    #[command(after_help = "Examples:\n  petrel workflow test packs/core packs/disk\n  \
                            petrel workflow test rehearsals/heal.yaml\n\
                            A single file is one of Orquesta's rehearsals; its workflow is looked for beside it and in the \
                            folders above it. The exit code is 1 if a test fails.")]
    Test {
        /// Folders of packs, of folders of packs, or files of Orquesta's rehearsals
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Run a workflow once, as `petrel action run` does
    #[command(after_help = "Examples:\n  petrel workflow run web.release service=shop --follow\n  \
                            petrel workflow run web.release service=shop --wait")]
    Run(WorkflowRun),
    /// Show what the tasks of a workflow have come to
    #[command(after_help = "Examples:\n  petrel workflow tail be42…\n  petrel workflow tail be42… -f\n\
                            What is said of the workflow goes to standard error. The exit code is 0 if it has succeeded, or \
                            runs, and 1 if not.")]
    Tail {
        /// Id of its execution
        id: String,
        /// Go on until it is over
        #[arg(short, long)]
        follow: bool,
    },
    /// Let a workflow start nothing more, and rest once what runs has ended; those below it do the same
    Pause {
        /// Id of its execution
        id: String,
    },
    /// Let a workflow go on that was paused, or that is frozen: what failed is then dealt with
    #[command(
        after_help = "Examples:\n  petrel workflow resume be42…\n  petrel workflow resume be42… --set hosts='[\"vm-1\"]'\n\
                            Variables are for a frozen workflow: what is to begin gets them."
    )]
    Resume {
        /// Id of its execution
        id: String,
        /// Variables, name=value; a value that is JSON keeps its type
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// All of them at once: a JSON object, @FILE, or - for standard input
        #[arg(long, value_name = "JSON", conflicts_with = "set")]
        variables: Option<String>,
    },
    /// Try a task of a frozen workflow again
    #[command(after_help = "Examples:\n  petrel workflow retry be42… --task evacuate\n  \
                            petrel workflow retry be42… --task evacuate --input target=host-7\n\
                            Of a task with items, those that are not done run again; with --reset-items all do.")]
    Retry {
        /// Id of its execution
        id: String,
        #[command(flatten)]
        task: FrozenTask,
        /// Of a task with items, let all of them run again
        #[arg(long)]
        reset_items: bool,
        /// What its action is given beside or in place of what the workflow says: name=value, or a JSON object
        #[arg(long, value_name = "NAME=VALUE")]
        input: Vec<String>,
    },
    /// Take a task of a frozen workflow as done
    #[command(after_help = "Examples:\n  petrel workflow skip be42… --task mail\n  \
                            petrel workflow skip be42… --task find --result '[\"vm-1\"]'")]
    Skip {
        /// Id of its execution
        id: String,
        #[command(flatten)]
        task: FrozenTask,
        /// What it has resulted in: JSON, @FILE, or - for standard input [default: null]
        #[arg(long, value_name = "JSON")]
        result: Option<String>,
    },
    /// Undo what a frozen workflow has done, and let it fail
    Rollback {
        /// Id of its execution
        id: String,
    },
    /// Run a workflow again that is over: from the tasks that failed, or from named ones
    #[command(
        after_help = "Examples:\n  petrel workflow rerun be42…\n  petrel workflow rerun be42… --task install --reset-items\n  \
                            petrel workflow rerun be42… --task left --task right~1\n\
                            It can be for a while after its end (executor.rerun_within_ms), with what it has gathered."
    )]
    Rerun {
        /// Id of its execution
        id: String,
        /// Tasks to run again, each with its route where that is not the first [default: those that failed]
        #[arg(long = "task", value_name = "NAME[~ROUTE]")]
        tasks: Vec<TaskName>,
        /// Of tasks with items, let all of them run again, and not only those that ended badly or never ran
        #[arg(long, requires = "tasks")]
        reset_items: bool,
    },
}

/// A workflow that is run.
#[derive(Debug, Args)]
pub struct WorkflowRun {
    #[command(flatten)]
    pub run: ActionRun,
    /// Show what its tasks come to until it is over
    #[arg(short, long, conflicts_with = "wait")]
    pub follow: bool,
}

/// A task of a frozen workflow.
#[derive(Debug, Args)]
pub struct FrozenTask {
    /// The task, with its route where it failed on several
    #[arg(long, value_name = "NAME[~ROUTE]")]
    pub task: TaskName,
    /// Its route [default: the one on which it failed]
    #[arg(long)]
    pub route: Option<u32>,
}

/// A task as people write it: `name`, or `name~route`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    /// Its name.
    pub name: String,
    /// Its route, where it is named.
    pub route: Option<u32>,
}

impl FromStr for TaskName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, route) = match text.split_once('~') {
            Some((name, route)) => {
                let route = route.parse().map_err(|_| format!("{route:?} is no number of a route"))?;
                (name, Some(route))
            }
            None => (text, None),
        };
        match name.is_empty() {
            true => Err("write the name of a task, or name~route".to_owned()),
            false => Ok(Self { name: name.to_owned(), route }),
        }
    }
}

#[derive(Debug, Args)]
pub struct WorkflowFile {
    /// File of a workflow
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// Its runner [default: that of the action that names the file, else workflow]
    #[arg(long, value_enum)]
    pub runner: Option<Runner>,
}

/// The runners of workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Runner {
    /// Petrel's language
    Workflow,
    /// Orquesta's
    Orquesta,
}

/// In which form a workflow is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For people
    Text,
    /// For Graphviz
    Dot,
    /// For Mermaid
    Mermaid,
    /// For programs
    Json,
}
