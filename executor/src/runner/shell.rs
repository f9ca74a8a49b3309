//! The runner `shell`: a text that a shell runs, and nothing that is pasted into it.

use std::path::Path;

use petrel_execution::runner::ShellCall;
use petrel_execution::worker::Exit;

use super::Context;
use super::process::{self, Process};

impl Process {
    /// The shell of a text, which calls itself as its action. `pack` is its pack's folder.
    pub fn shell(call: ShellCall, pack: &Path, action: &str) -> Self {
        let ShellCall { shell, mut script, args, process } = call;
        // A shell would take a text that begins so for options.
        if script.starts_with(['-', '+']) {
            script.insert(0, ' ');
        }
        let argv = [shell.program().to_owned(), "-c".to_owned(), script, action.to_owned()];
        Self { argv: argv.into_iter().chain(args).collect(), call: process, actions: process::actions_of(pack) }
    }
}

/// Runs the text of an attempt to its end.
pub(super) async fn carry_out(call: ShellCall, context: &Context<'_>) -> Exit {
    process::carry_out(|pack| Process::shell(call, pack, &context.task.action), context).await
}
