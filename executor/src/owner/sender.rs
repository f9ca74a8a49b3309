//! As whom an owner talks to gates.

use petrel_bus::Context;
use petrel_execution::gate::{InForce, Numbers, Stamp, record};
use petrel_execution::owner::Sender;
use petrel_schemas::{GateSender, decode, encode};

use crate::view::ExecutorView;

/// State key of the last stamp.
const KEY: &[u8] = b"sender";

/// An owner's partition as a sender, as of a step.
pub(super) struct AsSender<'a, 'c, G>(pub(super) &'a Context<'c, G>);

impl<G: ExecutorView> Sender for AsSender<'_, '_, G> {
    fn partition(&self) -> u32 {
        self.0.partition()
    }

    fn numbers(&self) -> Numbers {
        let stored = self.0.get(KEY).and_then(|bytes| decode::<GateSender>(&bytes).ok());
        // What cannot be read is as good as lost: gates tell an owner whose numbers are behind.
        let last = stored.and_then(|stored| record::sender(&stored).ok());
        last.map_or_else(|| Numbers::begin(self.0.now_ms()), Numbers::after)
    }

    fn in_force(&self) -> InForce {
        self.0.globals().in_force()
    }
}

/// Remembers the last stamp.
pub(super) fn remember<G>(context: &mut Context<'_, G>, stamp: Stamp) {
    if let Err(error) = context.put(KEY, encode(&record::of_stamp(stamp))) {
        // Two numbers: no log has such a limit.
        tracing::error!(%error, "the numbering of messages to gates is not remembered");
    }
}
