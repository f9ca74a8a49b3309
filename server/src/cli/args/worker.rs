//! What `petrel worker` takes.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// List the workers that run, with their slots and whether they are drained
    List,
    /// Let a worker, or all of a pool, claim nothing more; what runs may end
    #[command(after_help = "Examples:\n  petrel worker drain worker-7 --wait && systemctl stop petrel\n  \
                            petrel worker drain --pool gpu --hand-over-after 10m\n\
                            It holds until `petrel worker resume`, also for a process of that name that is started anew.")]
    Drain {
        #[command(flatten)]
        whose: WorkerName,
        /// Hand over to other workers what still runs after so long (90s, 10m, 2h); else it may take as long as it takes
        #[arg(long, value_name = "TIME")]
        hand_over_after: Option<String>,
        /// Why, for the others
        #[arg(long)]
        reason: Option<String>,
        /// Wait until nothing runs there any more
        #[arg(long)]
        wait: bool,
    },
    /// Let a worker, or all of a pool, claim tasks again
    Resume {
        #[command(flatten)]
        whose: WorkerName,
    },
}

/// One worker, or those of a pool.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WorkerName {
    /// Name of the worker, as `petrel worker list` shows it
    pub worker: Option<String>,
    /// Every worker of this pool, also one that is started later
    #[arg(long)]
    pub pool: Option<String>,
}
