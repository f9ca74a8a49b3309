//! Workflows tried out: their actions are mocked, and what they do is compared with what is expected.
//!
//! There are two kinds of tests. A *rehearsal* is Orquesta's: a list of mocked results and the sequence of tasks that is
//! expected. A *scenario* is Petrel's: mocks by task, attempt and item, with a clock that jumps to whatever happens next, what people
//! answer and decide, and expectations about path, calls, output and errors.
//!
//! Reading order: `stage` (a workflow that runs without a host), `compare`, `inspection`, `orquesta`, `scenario` and
//! `play`, `file` and `decisions` (tests as they stand in files).

pub mod compare;
mod decisions;
mod expect;
mod file;
mod inspection;
pub mod orquesta;
mod play;
mod reader;
mod scenario;
mod stage;

pub use file::{Mistake, TestFile, Tests, read};
pub use inspection::difference as inspection_difference;
pub use play::{Called, Played, play, test};
pub use scenario::{Decided, Expect, ExpectedCall, ExpectedError, Mock, Scenario};
pub use stage::{Stage, StageError};

#[cfg(test)]
mod people_tests;
#[cfg(test)]
mod tests;
