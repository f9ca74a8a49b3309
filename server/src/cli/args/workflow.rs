//! What `petrel workflow` takes.

use std::path::PathBuf;

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
    #[command(after_help = "Example:\n  petrel workflow run web.release service=shop --wait")]
    Run(ActionRun),
    /// Let a workflow start nothing more, and rest once what runs has ended; those below it do the same
    Pause {
        /// Id of its execution
        id: String,
    },
    /// Let a workflow go on that was paused
    Resume {
        /// Id of its execution
        id: String,
    },
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
