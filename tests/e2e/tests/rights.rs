//! Rights that are taken away while Petrel runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use petrel_e2e_tests::{Single, get};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until};

/// How long a broker's new rights may take to be noticed on a busy machine.
const NOTICED: Duration = Duration::from_secs(60);

/// Nothing else says that the topic is not read any more: its followers belong to no group, and whatever was in force
/// before stays so, unnoticed.
#[test]
fn a_topic_that_may_not_be_read_is_named_by_readiness_until_it_may_be_read() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let broker = KafkaBroker::start_with_rights()?;
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::prepare(dir.path(), &["--kafka", &broker.bootstrap()], &[])?;
    petrel.up()?;
    let readyz = format!("{}/readyz", petrel.cli().api());
    for topic in
        ["petrel.kv", "petrel.secrets", "petrel.catalog", "petrel.executions", "petrel.output", "petrel.orders.default"]
    {
        broker.deny_reading(topic, true)?;
        let line = format!("{topic} cannot be followed: no right to read topic {topic}");
        let mut last = None;
        let told = poll_until(NOTICED, || {
            last = get(&readyz).ok();
            last.as_ref().filter(|said| said.status == 503 && said.body.contains(&line)).map(|said| said.body.clone())
        });
        let Some(told) = told else { panic!("{topic}: {last:?}\n{}", petrel.process().log_tail()) };
        assert!(told.contains(", since 20"), "{told}");
        let said = petrel.cli().run(&["status"])?;
        assert!(said.contains(&line), "{said}");
        broker.deny_reading(topic, false)?;
        let ready = poll_until(NOTICED, || get(&readyz).ok().filter(|said| said.status == 200));
        ensure!(ready.is_some(), "{topic} is not read again: {:?}", get(&readyz));
    }
    petrel.down()
}
