//! One broker for many tests.

use std::sync::OnceLock;
use std::time::Duration;

use super::{KafkaBroker, wait_for_broker};
use crate::requirement::kafka_or_skip;

/// For a broker that `cargo xtask test` has waited for already.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The address of a broker that tests share: the one of `PETREL_TEST_KAFKA`, which `cargo xtask test`
/// starts for all test binaries, else one that this process starts for itself at the first call.
///
/// `None` means that the test must return at once: Java or Maven is missing, and the skip has been
/// reported. Tests that share a broker use topics and groups of their own, and never kill it.
///
/// # Panics
/// When the broker does not start: that is a failure, never a skip.
#[track_caller]
pub fn shared_kafka() -> Option<&'static str> {
    static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
    if !kafka_or_skip() {
        return None;
    }
    // The error is kept, so that every test says why, and no other start is tried for each of them.
    match SHARED.get_or_init(|| Shared::find_or_start().map_err(|error| format!("{error:#}"))) {
        Ok(shared) => Some(&shared.address),
        Err(error) => panic!("the shared Kafka broker did not start: {error}"),
    }
}

struct Shared {
    address: String,
    // A static is never dropped; the broker ends with this process by its guardian.
    _broker: Option<KafkaBroker>,
}

impl Shared {
    fn find_or_start() -> anyhow::Result<Shared> {
        if let Ok(address) = std::env::var("PETREL_TEST_KAFKA") {
            wait_for_broker(&address, ANSWER_TIMEOUT)?;
            return Ok(Shared { address, _broker: None });
        }
        let broker = KafkaBroker::start()?;
        Ok(Shared { address: broker.bootstrap(), _broker: Some(broker) })
    }
}
