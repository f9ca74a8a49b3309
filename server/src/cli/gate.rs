//! `petrel gate list|show|open|shut`.

use clap::Subcommand;
use serde_json::json;

use super::Failure;
use super::args::Output;
use super::http::Client;
use super::{execution, output};

/// The words after `petrel gate`.
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// List gates that have something to remember: permits out, who waits, a breaker that is not closed
    List {
        /// Only of this policy, as pack.name
        #[arg(long)]
        policy: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one gate with who holds its permits and who waits, the first first
    #[command(after_help = "Example:\n  petrel gate show disk.careful/concurrency/key/db-1")]
    Show {
        /// Gate, as policy/kind/key/VALUE or policy/kind/total
        gate: String,
    },
    /// Open a gate: a shut, closed or broken one lets pass again, and windows begin anew
    Open {
        /// Gate, as policy/kind/key/VALUE or policy/kind/total
        gate: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: String,
    },
    /// Shut a gate: nothing passes until somebody opens it
    Shut {
        /// Gate, as policy/kind/key/VALUE or policy/kind/total
        gate: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: String,
    },
}

pub fn run(command: GateCommand, client: &Client, format: Output) -> Result<(), Failure> {
    match command {
        GateCommand::List { policy, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(policy.map(|policy| ("policy", policy)));
            let answer = client.get(&["v1", "gates"], &query)?;
            let columns = [
                ("gate", "gate"),
                ("state", "state"),
                ("permits_out", "permits out"),
                ("waiting", "waiting"),
                ("starts_in_window", "starts"),
            ];
            super::rule::show(&answer, "gates", format, &columns);
            if answer["complete"] == json!(false) {
                output::note("this server does not know all gates: more than its api.live_gates_max are in use");
            }
        }
        GateCommand::Show { gate } => execution::show(&client.get(&["v1", "gates", &gate], &[])?, format),
        GateCommand::Open { gate, reason } => order(client, &gate, "open", reason, format)?,
        GateCommand::Shut { gate, reason } => order(client, &gate, "shut", reason, format)?,
    }
    Ok(())
}

fn order(client: &Client, gate: &str, order: &str, reason: String, format: Output) -> Result<(), Failure> {
    let answer = client.post(&["v1", "gates", gate, order], &json!({ "reason": reason }))?;
    match format {
        Output::Json => output::json(&answer),
        Output::Table => output::line(&format!("{gate} is asked to {order}; `petrel gate show` says when it has")),
    }
    Ok(())
}
