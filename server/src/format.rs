//! The format in force, in which everything leaves this process.
//!
//! Stages, workers and handlers make records as this release has them. On their way to the log, at the driver, the
//! publisher and the catalog's writer, they become what the format in force says (docs/adr/0014): nobody has to
//! think of it, and nobody can forget it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use petrel_bus::{Outgoing, Output, Publisher, Receipt};
use petrel_schemas::{Format, NotWritable};

/// Key of the key-value store's entry that tells the format in force.
pub const FORMAT_KEY: &str = "petrel/format";

/// The format that this process writes; clones are the same.
#[derive(Debug, Clone)]
pub struct InForce(Arc<AtomicU32>);

impl Default for InForce {
    /// As long as the log has not told: the oldest, which everybody can read who may run beside this process.
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(Format::oldest().number())))
    }
}

impl InForce {
    /// From now on that one is written.
    pub fn set(&self, format: Format) {
        self.0.store(format.number(), Ordering::SeqCst);
    }

    /// The format that is written now.
    pub fn get(&self) -> Format {
        // Only formats that can be written are ever set.
        Format::writable(self.0.load(Ordering::Relaxed)).unwrap_or_else(|_| Format::oldest())
    }
}

impl Outgoing for InForce {
    fn written(&self, value: Vec<u8>) -> Vec<u8> {
        match self.get().rewrite(&value) {
            Ok(rewritten) => rewritten.unwrap_or(value),
            Err(error) => {
                // A mistake of this release: a record of a new kind before its format is in force. Whoever cannot
                // read it waits at it, and nothing is lost.
                tracing::error!(%error, "the format in force lacks what is written");
                value
            }
        }
    }
}

/// A publisher that writes in the format in force.
pub struct Formatted {
    /// The one that writes.
    pub publisher: Arc<dyn Publisher>,
    /// The format.
    pub format: InForce,
}

impl Publisher for Formatted {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        self.publisher.publish(written(&self.format, outputs))
    }
}

/// Records in the format in force.
pub fn written(format: &InForce, outputs: Vec<Output>) -> Vec<Output> {
    let of = |output: Output| Output { value: output.value.map(|value| format.written(value)), ..output };
    outputs.into_iter().map(of).collect()
}

/// What the log says about the format, as far as this release can follow it.
pub type Told = Result<Format, String>;

/// Reads the value of [`FORMAT_KEY`].
pub fn told(value: &str) -> Told {
    let read = serde_json::from_str::<serde_json::Value>(value).ok();
    let number = read.and_then(|value| u32::try_from(value["format"].as_u64()?).ok());
    let Some(number) = number else {
        return Err(format!("the log does not say which format is in force: {FORMAT_KEY} is {value:?}"));
    };
    Format::writable(number).map_err(refusal)
}

/// The value of [`FORMAT_KEY`] for a format.
pub fn value_of(format: Format) -> String {
    serde_json::json!({ "format": format.number() }).to_string()
}

/// Why this release cannot run on the log, and what to do.
fn refusal(error: NotWritable) -> String {
    let what_to_do = match error {
        NotWritable::Newer { .. } => {
            "the upgrade to a newer release was finished, and there is no way back: start that release, or a newer one"
        }
        NotWritable::Older { .. } => {
            "no release may be skipped: start the one that came before this one, finish that upgrade with \
             `petrel upgrade finish`, and then start this one"
        }
    };
    format!("{error}, and it is in force; {what_to_do} (docs/UPGRADING.md)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_tells_is_a_format_or_a_sentence_that_says_what_to_do() {
        let newest = Format::newest();
        assert_eq!(told(&value_of(newest)), Ok(newest));
        let newer = told(&format!("{{\"format\":{}}}", newest.number() + 1)).unwrap_err();
        assert!(newer.contains("there is no way back: start that release"), "{newer}");
        let older = told("{\"format\":0}").unwrap_err();
        assert!(older.contains("`petrel upgrade finish`"), "{older}");
        for value in ["", "{}", "{\"format\":\"1\"}", "{\"format\":-1}", "{\"format\":99999999999}"] {
            assert!(told(value).unwrap_err().contains("does not say which format"), "{value}");
        }
    }
}
