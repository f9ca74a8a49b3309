//! How long things may take at a worker. Leases are counted from the sending of what was acknowledged, where owners
//! count from its receipt.

/// The worker's lease is shorter than the owner's by this share, so that its actions are dead by then.
const MARGIN: u64 = 10;
/// Heartbeats in a lease: so much of it is gone, at most, when the log can no longer be written to.
const HEARTBEATS: u64 = 6;

/// How long a worker may go on after something that it sent and that was acknowledged, in milliseconds, for an
/// owner's lease of this length.
pub fn worker_lease_ms(lease_ms: i64) -> u64 {
    u64::try_from(lease_ms).unwrap_or(0) - margin_ms(lease_ms)
}

/// How much shorter the worker's lease is than an owner's of this length, in milliseconds.
pub fn margin_ms(lease_ms: i64) -> u64 {
    u64::try_from(lease_ms).unwrap_or(0) / MARGIN
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

/// How long a task stands before a full worker until it is declined, in milliseconds: for longer with each round over
/// all the workers of its pool, for what all of them have declined goes round.
pub fn patience_ms(decline_ms: i64, declines: i32, workers: u32) -> i64 {
    let rounds = i64::from(declines) / i64::from(workers.max(1));
    decline_ms.saturating_mul(rounds.saturating_add(1).clamp(1, PATIENCE_MAX))
}

/// How often more, at most, a task for which there is no room may stand before a worker: what is behind it on its partition
/// may need none, and where the room is that has become free is elsewhere.
const ROOM_PATIENCE_MAX: i64 = 2;

/// How long a task stands before a worker that has no room for it until it is declined, in milliseconds.
pub fn room_patience_ms(decline_ms: i64, declines: i32, workers: u32) -> i64 {
    patience_ms(decline_ms, declines, workers).min(decline_ms.saturating_mul(ROOM_PATIENCE_MAX))
}

/// How many workers a pool has, as far as one can tell from its own share of the pool's partitions: they are shared
/// evenly. One at least.
pub fn workers_of(partitions: u32, own: u32) -> u32 {
    // Before it has any, it claims nothing either.
    partitions.div_ceil(own.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gives_up_before_its_owner() {
        for lease_ms in [1_i64, 9, 10, 1_000, 30_000, i64::MAX] {
            assert!(worker_lease_ms(lease_ms) <= lease_ms as u64);
            assert!(heartbeat_every_ms(lease_ms) * 6 <= worker_lease_ms(lease_ms).max(6));
        }
        assert_eq!((worker_lease_ms(30_000), heartbeat_every_ms(30_000)), (27_000, 4_500));
        assert_eq!((worker_lease_ms(-1), heartbeat_every_ms(-1)), (0, 1));
    }

    #[test]
    fn patience_grows_with_each_round_over_all_workers() {
        let patience = |declines| patience_ms(2_000, declines, 3);
        assert_eq!([0, 1, 2, 3, 5, 6].map(patience), [2_000, 2_000, 2_000, 4_000, 4_000, 6_000]);
        assert_eq!([-1, 45, i32::MAX].map(patience), [2_000, 32_000, 32_000]);
        assert_eq!([0, 1].map(|declines| patience_ms(2_000, declines, 0)), [2_000, 4_000]);
        assert_eq!(patience_ms(i64::MAX, 100, 1), i64::MAX);
        let for_room = |declines| room_patience_ms(2_000, declines, 3);
        assert_eq!([0, 2, 3, 6, i32::MAX].map(for_room), [2_000, 2_000, 4_000, 4_000, 4_000]);
        let workers = [(64, 64), (64, 32), (64, 22), (64, 21), (64, 0), (4, 9)].map(|(all, own)| workers_of(all, own));
        assert_eq!(workers, [1, 2, 3, 4, 64, 1]);
    }
}
