//! What an action is run with.

/// The action, its parameters and how.
#[derive(Debug, clap::Args)]
pub struct ActionRun {
    /// Action, as pack.name
    pub action: String,
    /// Parameters, name=value; a value that is JSON keeps its type
    pub parameters: Vec<String>,
    /// A parameter that holds a secret, for this execution alone: its value stands in a file; - for standard input
    #[arg(long, value_name = "NAME=FILE")]
    pub secret: Vec<String>,
    /// A parameter whose value is the result of another execution, however large that is
    #[arg(long, value_name = "NAME=EXECUTION")]
    pub result: Vec<String>,
    /// Its class: urgent, normal or bulk; else that of the action
    #[arg(long)]
    pub class: Option<String>,
    /// Wait for the result
    #[arg(long)]
    pub wait: bool,
}
