//! What `petrel inquiry` takes.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum InquiryCommand {
    /// List what waits for a person: questions, and frozen workflows
    #[command(after_help = "Examples:\n  petrel inquiry list\n  petrel inquiry list --kind freeze --order latest\n  \
                            petrel inquiry list --workflow cloud.remediate")]
    List {
        /// Only of this kind
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Only of this route, as its question says
        #[arg(long)]
        route: Option<String>,
        /// Only with this tag, as its question says
        #[arg(long)]
        tag: Option<String>,
        /// Only of this workflow: id of its execution, or pack.name
        #[arg(long, value_name = "WORKFLOW")]
        workflow: Option<String>,
        /// Which come first
        #[arg(long, value_enum, default_value_t = Order::Oldest)]
        order: Order,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one with all that an answer or a decision needs
    #[command(after_help = "Example:\n  petrel inquiry show be42….3")]
    Show {
        /// Its id, which is that of the execution that waits
        id: String,
    },
    /// Answer a question
    #[command(after_help = "Examples:\n  petrel inquiry answer be42….3 continue=true\n  \
                            petrel inquiry answer be42….3 --json '{\"hosts\": [\"vm-1\"]}'\n  \
                            petrel inquiry answer be42….3\n\
                            Without an answer on the command line, a terminal is asked for each property of the schema. What \
                            does not fit the schema is refused, and the question stays open.")]
    Answer(Answer),
}

/// An answer to a question.
#[derive(Debug, Args)]
pub struct Answer {
    /// Id of the question
    pub id: String,
    /// Properties of the answer, name=value
    #[arg(value_name = "NAME=VALUE")]
    pub properties: Vec<String>,
    /// The whole answer: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", conflicts_with = "properties")]
    pub json: Option<String>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// An answer to a question
    Question,
    /// A decision about a frozen workflow
    Freeze,
}

/// Which come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Those that wait for longest
    Oldest,
    /// Those that wait since lately
    Latest,
}
