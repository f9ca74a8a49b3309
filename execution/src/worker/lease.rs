//! How long things may take at a worker. Leases are counted from the sending of what was acknowledged, where owners
//! count from its receipt.

/// The worker's lease is shorter than the owner's by this share, so that its actions are dead by then.
const MARGIN: u64 = 10;
/// Heartbeats in a lease.
const HEARTBEATS: u64 = 3;

/// How long a worker may go on after something that it sent and that was acknowledged, in milliseconds, for an
/// owner's lease of this length.
pub fn worker_lease_ms(lease_ms: i64) -> u64 {
    let lease_ms = u64::try_from(lease_ms).unwrap_or(0);
    lease_ms - lease_ms / MARGIN
}

/// Pause between two heartbeats, in milliseconds.
pub fn heartbeat_every_ms(lease_ms: i64) -> u64 {
    (worker_lease_ms(lease_ms) / HEARTBEATS).max(1)
}

/// Longest pause behind a heartbeat that was not acknowledged, in milliseconds: a broker that died may have been
/// replaced a moment later.
const HEARTBEAT_AGAIN_MS: u64 = 500;

/// Pause behind a heartbeat that was not acknowledged, in milliseconds.
pub fn heartbeat_again_ms(lease_ms: i64) -> u64 {
    heartbeat_every_ms(lease_ms).min(HEARTBEAT_AGAIN_MS)
}

/// How often more, at most, a task that was declined before may stand before a full worker.
const PATIENCE_MAX: i64 = 16;

/// How long a task stands before a full worker until it is declined, in milliseconds: for longer each time, for when
/// all workers are full it goes round.
pub fn patience_ms(decline_ms: i64, declines: i32) -> i64 {
    decline_ms.saturating_mul((i64::from(declines) + 1).clamp(1, PATIENCE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gives_up_before_its_owner() {
        for lease_ms in [1_i64, 9, 10, 1_000, 30_000, i64::MAX] {
            assert!(worker_lease_ms(lease_ms) <= lease_ms as u64);
            assert!(heartbeat_every_ms(lease_ms) * 3 <= worker_lease_ms(lease_ms).max(3));
        }
        assert_eq!((worker_lease_ms(30_000), heartbeat_every_ms(30_000)), (27_000, 9_000));
        assert_eq!((worker_lease_ms(-1), heartbeat_every_ms(-1)), (0, 1));
    }
}
