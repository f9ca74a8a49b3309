//! Settling and finishing over a local log.

use petrel_schemas::encode;

use super::*;
use crate::format::{Formatted, InForce};
use crate::presence::{ALIVE_MS, Presence, running};
use crate::world::Needs;
use crate::world::tests::{Doubt, Rig, rig};

fn upgrade(rig: &Rig, world: &Arc<World>) -> Upgrade {
    Upgrade {
        bus: rig.bus.clone(),
        topics: rig.topics.clone(),
        clock: rig.clock.clone(),
        world: world.clone(),
        troubles: rig.follows.troubles.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_begins_with_the_newest_format_once_a_process_with_the_api_says_so() {
    let rig = rig(Needs::Nothing, true);
    let other = rig.other(Needs::Nothing);
    rig.world.ready().await;
    other.ready().await;
    let (api, worker) = (upgrade(&rig, &rig.world), upgrade(&rig, &other));
    let app = App::waiting("test");
    let waits = tokio::time::timeout(Duration::from_millis(300), worker.settle(false, &app)).await;
    assert!(waits.is_err(), "a process without the role waits");
    assert!(app.started().is_err_and(|error| error.message.contains("role `api`")));
    // Two at once: one writes, both go on.
    let again = upgrade(&rig, &other);
    let (one, two) = tokio::join!(api.settle(true, &app), again.settle(true, &app));
    one.unwrap();
    two.unwrap();
    worker.settle(false, &app).await.unwrap();
    assert_eq!(rig.world.format().get(), Format::newest());
    assert_eq!(read(&*rig.bus, &rig.topics.kv()).unwrap(), Some(Ok(Format::newest())));
    assert!(!api.finish("kim").await.unwrap(), "nothing is to be finished");
}

/// The first write is refused, the next one's answer is lost with it, and a rival that was faster died over it.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_begins_although_the_first_writes_come_to_nothing() {
    let rig = rig(Needs::Nothing, true);
    rig.world.ready().await;
    let app = App::waiting("test");
    let api = upgrade(&rig, &rig.world);
    for doubt in [Doubt::NotOpened, Doubt::NotWritten, Doubt::Superseded] {
        rig.log.doubts.lock().unwrap().push_back(doubt);
    }
    let mut settles = std::pin::pin!(api.settle(true, &app));
    let refused = async {
        while !app.started().is_err_and(|error| error.message.contains("cannot be settled: ")) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        settled = &mut settles => panic!("nothing could be written: {settled:?}"),
        () = refused => {}
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("nobody says why it waits"),
    }
    tokio::time::timeout(Duration::from_secs(30), settles).await.unwrap().unwrap();
    assert_eq!(rig.world.format().get(), Format::newest());
    assert!(rig.log.doubts.lock().unwrap().is_empty(), "each of them was met");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_is_compared_and_set() {
    let rig = rig(Needs::Nothing, true);
    rig.world.ready().await;
    let upgrade = upgrade(&rig, &rig.world);
    let newest = Format::newest();
    let moved = upgrade.set(newest, Some(newest), "kim").await.unwrap_err();
    assert_eq!((moved.status, moved.code), (StatusCode::CONFLICT, "format_moved"), "nothing is there yet");
    upgrade.set(newest, None, "kim").await.unwrap();
    assert_eq!(upgrade.set(newest, None, "kim").await.unwrap_err().code, "format_moved");
    upgrade.set(newest, Some(newest), "kim").await.unwrap();

    // A newer release finishes its upgrade: nothing here undoes that, and this process has to end.
    let value = format!("{{\"format\":{}}}", newest.number() + 1);
    let entry = KvEntry { value, updated_at_ms: 1, updated_by: "next".into() };
    let record = Output::to_partition(&rig.topics.kv(), 0, FORMAT_KEY, Some(encode(&entry)));
    rig.publisher.publish(vec![record]).await.unwrap();
    let why = upgrade.refused().await;
    assert!(why.contains("there is no way back: start that release"), "{why}");
    assert_eq!(upgrade.set(newest, Some(newest), "kim").await.unwrap_err().code, "format_moved");
    let settled = upgrade.settle(true, &App::waiting("test")).await.unwrap_err();
    assert_eq!(settled.to_string(), why);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_runs_is_told_by_the_log() {
    let rig = rig(Needs::Nothing, true);
    let publisher = Arc::new(Formatted { publisher: rig.publisher.clone(), format: InForce::default() });
    let presence = |name: &str| Presence {
        instance: name.to_owned(),
        roles: vec!["api".to_owned()],
        worker: None,
        format: InForce::default(),
        topic: rig.topics.processes(),
        publisher: publisher.clone(),
        clock: rig.clock.clone(),
    };
    let names = |at_ms: i64| -> Vec<String> {
        let running = running(&*rig.bus, &rig.topics, at_ms).unwrap();
        running.into_iter().map(|alive| alive.instance).collect()
    };
    let until = async |wanted: &[&str]| {
        let is = async {
            while names(rig.clock.now_ms()) != wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), is).await.unwrap_or_else(|_| panic!("never {wanted:?}"));
    };
    let (one, _two) = (presence("one").spawn(), presence("two").spawn());
    until(&["one", "two"]).await;
    one.ended().await;
    until(&["two"]).await;
    assert_eq!(names(rig.clock.now_ms() + 2 * ALIVE_MS), [""; 0], "who is silent for long is gone");
}

#[test]
fn an_upgrade_is_not_finished_over_processes_that_could_not_go_on() {
    let newest = i32::try_from(Format::newest().number()).unwrap();
    let alive = |instance: &str, format_newest: i32| ProcessAlive {
        instance: instance.to_owned(),
        release: "0.1.0".to_owned(),
        roles: Vec::new(),
        format_oldest: 1,
        format_newest,
        format: 1,
        ended: false,
        told_at_ms: 0,
        pool: None,
        slots: 0,
        slots_busy: 0,
        drained_by_ms: None,
    };
    let running = vec![alive("old", newest - 1), alive("this", newest), alive("newer", newest + 1)];
    let state = State { format: Format::oldest(), running };
    assert_eq!(state.too_old().map(|alive| alive.instance.as_str()).collect::<Vec<_>>(), ["old"]);
}
