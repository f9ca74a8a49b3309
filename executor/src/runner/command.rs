//! The runner `command`: an argv, never a shell.

use std::path::Path;

use petrel_execution::runner::{CommandCall, Folder};
use petrel_execution::worker::Exit;

use super::Context;
use super::process::{self, Process};

impl Process {
    /// The program of a command. `pack` is its pack's folder.
    pub fn command(call: CommandCall, pack: &Path) -> Self {
        let CommandCall { mut argv, process } = call;
        let actions = process::actions_of(pack);
        // A program of the pack is one wherever it is started.
        if let Some(program) = argv.first_mut().filter(|_| process.cwd != Folder::Actions) {
            *program = process::program_in(program, &actions);
        }
        Self { argv, call: process, actions }
    }
}

/// Runs the command of an attempt to its end.
pub(super) async fn carry_out(call: CommandCall, context: &Context<'_>) -> Exit {
    process::carry_out(|pack| Process::command(call, pack), context).await
}
