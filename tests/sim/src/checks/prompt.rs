//! What is waited for holds up nothing else.

use crate::history::History;
use crate::pack::ALERTS;

/// How long it takes at most from an event to its requests while nothing goes wrong, in milliseconds: less than what
/// an unknown trigger is waited for.
const SOON_MS: i64 = 4_000;

/// Whatever partition of `petrel.triggers` waits for a trigger, events of the bound topic are decided soon.
pub fn decided_soon(history: &History) -> Vec<String> {
    let alerts =
        history.sent.iter().filter(|sent| sent.at.0 == ALERTS && sent.sent_ms + SOON_MS < history.rules_unharmed_ms);
    let late = alerts.filter_map(|sent| {
        let (id, _) = sent.event.as_ref()?;
        let took_ms = history.decided_ms.get(id)? - sent.sent_ms;
        (took_ms > SOON_MS).then(|| format!("{id}, sent at {}, was decided after {took_ms} ms", sent.sent_ms))
    });
    late.collect()
}
