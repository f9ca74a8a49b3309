//! `petrel switch list|off|on`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::Output;
use super::http::Client;
use super::{Failure, output, worker};

/// The words after `petrel switch`.
#[derive(Debug, Subcommand)]
pub enum SwitchCommand {
    /// List what is switched off: by whom, why and until when
    List,
    /// Let nothing more start of a pack, an action, a rule, or of everything; what runs goes on
    #[command(after_help = "Examples:\n  petrel switch off --action disk.clean --reason \"it deletes too much\"\n  \
                            petrel switch off --rule disk.full --for 2h --drop --reason \"the alerts are wrong\"\n\
                            What would start meanwhile waits, or with --drop ends.")]
    Off {
        #[command(flatten)]
        what: Switched,
        /// Why, for the others and for the audit trail
        #[arg(long)]
        reason: String,
        /// Switch it on again after so long (90s, 10m, 2h); else it is off until somebody does
        #[arg(long = "for", value_name = "TIME")]
        for_time: Option<String>,
        /// End what would start meanwhile, instead of letting it wait
        #[arg(long)]
        drop: bool,
        /// Also where no revision that is kept has it
        #[arg(long)]
        force: bool,
    },
    /// Let it start again; what has waited starts at once
    On {
        #[command(flatten)]
        what: Switched,
    },
}

/// What is switched.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Switched {
    /// Everything
    #[arg(long)]
    pub everything: bool,
    /// What actions and rules of this pack do
    #[arg(long, value_name = "PACK")]
    pub pack: Option<String>,
    /// This action, as pack.name
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// What this rule asks for, as pack.name
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
}

impl Switched {
    fn scope(&self) -> String {
        let named = [("pack", &self.pack), ("action", &self.action), ("rule", &self.rule)];
        let scope = named.into_iter().find_map(|(kind, name)| Some(format!("{kind}/{}", name.as_ref()?)));
        scope.unwrap_or_else(|| petrel_execution::EVERYTHING.to_owned())
    }
}

pub fn run(command: SwitchCommand, client: &Client, format: Output) -> Result<(), Failure> {
    let (answer, told) = match command {
        SwitchCommand::List => {
            let answer = client.get(&["v1", "switches"], &[])?;
            let columns =
                [("scope", "off"), ("by", "by"), ("until", "until"), ("drops", "drops"), ("reason", "reason")];
            super::rule::show(&answer, "switches", format, &columns);
            return Ok(());
        }
        SwitchCommand::Off { what, reason, for_time, drop, force } => {
            let for_ms = for_time.as_deref().map(worker::duration_ms).transpose()?;
            let scope = what.scope();
            let body = json!({ "scope": scope, "reason": reason, "for_ms": for_ms, "drop": drop, "force": force });
            let answer = client.post(&["v1", "switches", "off"], &body)?;
            if let Some(warning) = answer["warning"].as_str() {
                output::note(&format!("warning: {warning}"));
            }
            (answer, "off: nothing more of it starts")
        }
        SwitchCommand::On { what } => {
            (client.post(&["v1", "switches", "on"], &json!({ "scope": what.scope() }))?, "on")
        }
    };
    match format {
        Output::Json => output::json(&answer),
        Output::Table => output::line(told),
    }
    Ok(())
}
