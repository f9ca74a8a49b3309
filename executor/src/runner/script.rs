//! The runner `script`: a file of the pack, run by its interpreter.

use std::path::Path;

use petrel_execution::runner::ScriptCall;
use petrel_execution::worker::Exit;

use super::Context;
use super::process::{self, Process};

impl Process {
    /// The interpreter of a file. `pack` is its pack's folder.
    pub fn script(call: ScriptCall, pack: &Path) -> Self {
        let ScriptCall { interpreter: mut argv, file, args, process } = call;
        let actions = process::actions_of(pack);
        if let Some(program) = argv.first_mut() {
            *program = process::program_in(program, &actions);
        }
        argv.push(actions.join(file).to_string_lossy().into_owned());
        argv.extend(args);
        Self { argv, call: process, actions }
    }
}

/// Runs the file of an attempt to its end.
pub(super) async fn carry_out(call: ScriptCall, context: &Context<'_>) -> Exit {
    process::carry_out(|pack| Process::script(call, pack), context).await
}
