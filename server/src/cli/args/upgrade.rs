//! What `petrel upgrade` takes.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum UpgradeCommand {
    /// Show the format in force, what this release can write, and which processes run
    Status,
    /// Write this release's newest format from now on: there is no way back to the release before
    #[command(
        after_help = "Until then every release can be taken back: what a newer release writes, the one before can read.\n\
                      It is refused while a process of an older release runs. See docs/UPGRADING.md."
    )]
    Finish,
}
