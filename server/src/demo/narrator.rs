//! What a demo says, with the time of day at which it happened.

use petrel_bus::Clock as _;

use crate::cli::output;
use crate::clock::SystemClock;
use crate::world::rfc3339;

/// Says what happens.
#[derive(Debug)]
pub struct Narrator {
    clock: SystemClock,
}

impl Narrator {
    /// Begins.
    pub fn new() -> Self {
        Self { clock: SystemClock::new() }
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The same as RFC 3339 writes it.
    pub fn now(&self) -> String {
        rfc3339(self.now_ms())
    }

    /// Something has happened.
    pub fn say(&self, text: &str) {
        let at = self.now();
        // The day is known; a whole second has no fraction.
        let time = at.get(11..at.len() - 1).unwrap_or(&at);
        let time = if time.contains('.') { time.to_owned() } else { format!("{time}.000") };
        output::line(&format!("{time:0<12}  {text}"));
    }

    /// A part begins.
    pub fn headline(&self, text: &str) {
        output::line(&format!("\n== {text}"));
    }

    /// Lines as they are.
    pub fn show(&self, text: &str) {
        text.lines().for_each(|line| output::line(&format!("    {line}")));
    }
}
