//! Topics that cannot be followed are told.

use super::*;
use crate::api::App;
use crate::follow::lines;

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let is = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is).await.unwrap_or_else(|_| panic!("never {what}"));
}

#[tokio::test]
async fn a_topic_that_cannot_be_read_any_more_is_told_since_when_until_it_is_read_again() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let told = || lines(&rig.follows.troubles);
    assert_eq!(told(), [""; 0]);
    rig.log.let_read(false);
    let since = |line: &str| line.rsplit_once(", since ").map(|(_, since)| since.to_owned());
    until("told", || !told().is_empty()).await;
    let first = told();
    assert!(first.len() == 1 && first[0].starts_with("petrel.catalog cannot be followed: "), "{first:?}");
    // Life after life fails, the later ones because their tails cannot be opened, either.
    until("told again", || told()[0].contains("not readable")).await;
    assert!(since(&first[0]).is_some());
    assert_eq!(since(&told()[0]), since(&first[0]), "it counts from the first failure");

    // What somebody waits for while it cannot be read comes when it can.
    let mut reads = std::pin::pin!(rig.world.catalog().read_to_end());
    tokio::select! {
        biased;
        _ = &mut reads => panic!("it cannot have been read"),
        () = std::future::ready(()) => {}
    }
    rig.log.let_read(true);
    let revision = rig.put(vec![stored(disk(GOOD))], Vec::new()).await;
    reads.await.unwrap();
    assert_eq!(rig.world.globals().revision(), revision);
    until("over", || told().is_empty()).await;
}

#[tokio::test]
async fn a_start_says_which_topic_it_cannot_follow() {
    let rig = rig(Needs::Rules, false);
    let app = App::waiting("test");
    let ready = rig.world.ready();
    let mut waits = std::pin::pin!(app.waits("reading the catalog", &rig.follows.troubles, ready));
    let said = "the server is starting: reading the catalog; petrel.catalog cannot be followed: ";
    let says = until("told", || app.started().is_err_and(|error| error.message.starts_with(said)));
    tokio::select! {
        () = &mut waits => panic!("it cannot have read the catalog"),
        () = says => {}
    }
    rig.log.let_read(true);
    tokio::time::timeout(Duration::from_secs(30), waits).await.unwrap();
}
