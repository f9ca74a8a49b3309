//! Measures a local log: records committed per second, and the latency of one hop when idle.
//!
//! `cargo run --release -p petrel-bus-local --example measure [DIR]`
#![expect(clippy::disallowed_methods, reason = "a measurement")]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{Bus, Clock, Output};
use petrel_bus_local::{Fsync, LocalBus, LocalOptions};

const BATCHES: usize = 300;
const BATCH_RECORDS: usize = 1_000;
const RECORD_BYTES: usize = 300;
const HOPS: usize = 1_000;

struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods)] // This program's clock.
    fn now_ms(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for fsync in [Fsync::Commit, Fsync::Interval(200), Fsync::Never] {
        let dir = base.join(format!("petrel-measure-{}", std::process::id()));
        let bus = LocalBus::open(LocalOptions { fsync, ..LocalOptions::new(&dir) }, Arc::new(WallClock))?;
        let publisher = bus.publisher("measure")?;
        let topic: Arc<str> = "measure".into();
        let value: Vec<u8> = (0..RECORD_BYTES - 8).map(|i| b'a' + (i * i % 26) as u8).collect();
        let output = |i: usize| Output::keyed(&topic, format!("{i:08}"), value.clone());
        let began = Instant::now();
        for batch in 0..BATCHES {
            let outputs = (0..BATCH_RECORDS).map(|i| output(batch * BATCH_RECORDS + i)).collect();
            publisher.publish(outputs).wait()?;
        }
        let rate = (BATCHES * BATCH_RECORDS) as f64 / began.elapsed().as_secs_f64();
        let began = Instant::now();
        let mut tail = bus.tail(&topic)?;
        let mut read = 0;
        while !tail.caught_up() {
            tail.next(Duration::ZERO, &mut |_, _| read += 1)?;
        }
        let read_rate = f64::from(read) / began.elapsed().as_secs_f64();
        let mut hops = Vec::with_capacity(HOPS);
        for i in 0..HOPS {
            let (began, mut seen) = (Instant::now(), false);
            let receipt = publisher.publish(vec![output(i)]);
            while !seen {
                tail.next(Duration::from_secs(1), &mut |_, _| seen = true)?;
            }
            hops.push(began.elapsed());
            receipt.wait()?;
        }
        hops.sort();
        let (p50, p99) = (hops[HOPS / 2], hops[HOPS * 99 / 100]);
        writeln!(
            std::io::stdout(),
            "{fsync:?}: committed {rate:.0} records/s, read {read_rate:.0} records/s, hop p50 {p50:?} p99 {p99:?}"
        )?;
        drop((tail, publisher, bus));
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}
