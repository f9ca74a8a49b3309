//! `petrel demo remediation`: a compute host fails, its VMs are brought elsewhere, and a person is called where that goes
//! wrong.

mod mail;
mod openstack;

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use self::openstack::{Cloud, Credential, Faults, HOST, SERVERS};
use super::pager::Pager;
use super::run::{self, Ground, Pack, SOON, Scene, Setting};
use super::{files, person, random_text};
use crate::cli::args::{RemediationArgs, RemediationDecision as Decision};
use crate::cli::{EXIT_FAILED, Failure};

/// What it applies.
const PACK: Pack = Pack {
    name: "remediation",
    files: files::REMEDIATION,
    topic: "openstack.notifications",
    rule: "remediation.host_failed",
};
/// Everything that the workflow and its tasks went through.
const STORY: &str = include_str!("story.sql");
/// How long all evacuations may take: longer than a kill and whatever it costs.
const PATIENCE: &str = "10m";
/// The same where one hangs, and somebody watches.
const PATIENCE_WITH_A_HANG: &str = "45s";
/// Longest wait for the end of what was interrupted by a kill.
const IN_THE_END: Duration = Duration::from_secs(300);

/// The stand-ins.
struct World {
    cloud: Cloud,
    pager: Pager,
}

/// Plays it.
pub fn run(args: RemediationArgs) -> Result<(), Failure> {
    let RemediationArgs { stage, fail, hang, false_alarm, decide, ask } = args;
    let faults = Faults { fails: fail, hangs: hang, is_up: false_alarm };
    let told = faults.clone();
    let story = |scene: &mut Scene<'_>, world: &World| match told.is_up {
        true => see_that_nothing_is_done(scene, world),
        false => evacuate(scene, world, &told, if ask { None } else { Some(decide) }),
    };
    run::play(&PACK, stage, |ground| set_up(ground, faults), story)
        .map_err(|error| Failure::new(EXIT_FAILED, format!("{error:#}")))
}

/// Keystone, Nova, PagerDuty and a server of mail.
fn set_up(ground: &Ground, faults: Faults) -> anyhow::Result<(Setting, World)> {
    let credential = Credential { id: random_text()?, secret: random_text()? };
    let (routing_key, token) = (random_text()?, format!("gAAAAAB{}", random_text()?));
    let patience = if faults.hangs.is_empty() { PATIENCE } else { PATIENCE_WITH_A_HANG };
    let cloud = Cloud::new(ground.journal.clone(), credential.clone(), token, faults);
    let url = ground.serve(cloud.router())?;
    let pager = Pager::new(ground.journal.clone(), routing_key.clone());
    let pager_url = ground.serve(pager.router())?;
    let smtp = ground.bind()?;
    let smtp_port = smtp.local_addr()?.port();
    ground.runtime().spawn(mail::serve(ground.journal.clone(), smtp));
    let narrator = ground.narrator();
    narrator.say(&format!("Keystone and Nova answer at {url}, PagerDuty at {pager_url}"));
    narrator.say(&format!("a server of mail answers on port {smtp_port}"));
    let values = json!({
        "keystone_url": url, "credential_id": credential.id, "pager_url": pager_url,
        "smtp_host": "127.0.0.1", "smtp_port": smtp_port, "mail_from": "petrel@shop.example", "patience": patience,
    });
    let secrets = vec![("credential_secret", credential.secret), ("routing_key", routing_key)];
    Ok((Setting { values, secrets }, World { cloud, pager }))
}

/// The monitors on two other hosts of the cluster say the same; the workflow's id.
fn notify(scene: &Scene<'_>) -> anyhow::Result<String> {
    scene.narrator().headline(&format!("The compute host {HOST} fails, and two others of its cluster say so"));
    let event = notification(&scene.narrator().now().replace('Z', ""));
    scene.narrator().show(&event.to_string());
    scene.write(HOST, &[event.to_string(), event.to_string()])?;
    let started = scene.wait_for_workflow("remediation.evacuate_host")?;
    scene.narrator().say(&format!("the workflow remediation.evacuate_host is the execution {started}"));
    Ok(started)
}

/// Nova is asked, and says that the host is up.
fn see_that_nothing_is_done(scene: &Scene<'_>, world: &World) -> anyhow::Result<()> {
    let id = notify(scene)?;
    scene.wait_for_held("remediation.claim", "remediation.once")?;
    let status = scene.wait_for_rest(&id, SOON)?;
    ensure!(status == "succeeded", "it is {status}");
    scene.petrel.show(&["execution", "get", &id], None)?;
    let moved = SERVERS.iter().any(|(name, _)| world.cloud.evacuations(name) > 0);
    ensure!(!moved && world.cloud.is_enabled(), "a host that is up was touched");
    scene.narrator().say("nothing was done to a host that is up");
    scene.show_audit(&[&STORY.replace("{id}", &id)])
}

/// All of it; `decision` is the person's, who is you without one.
fn evacuate(scene: &mut Scene<'_>, world: &World, faults: &Faults, decision: Option<Decision>) -> anyhow::Result<()> {
    let id = notify(scene)?;
    let begun = || SERVERS.iter().filter(|(name, _)| world.cloud.evacuations(name) > 0).count();
    scene.petrel.wait("the first VMs are on their way", SOON, || Ok(begun() > 0))?;
    scene.narrator().headline("Petrel is killed (kill -9) while VMs are on their way, and started again");
    scene.petrel.crash()?;
    scene.narrator().say("petrel is ready again");
    scene.wait_for_held("remediation.claim", "remediation.once")?;

    let mut status = scene.wait_for_rest(&id, IN_THE_END)?;
    let mut decided = None;
    if status == "paused" {
        let decision = call(scene, world, &id, decision)?;
        decided = Some(decision);
        status = scene.wait_for_end(&id, IN_THE_END)?;
    }
    scene.narrator().headline(&format!("It has {status}"));
    scene.petrel.show(&["execution", "get", &id], None)?;
    let wanted = if decided == Some(Decision::Rollback) { "failed" } else { "succeeded" };
    ensure!(status == wanted, "it was to be {wanted} and is {status}");
    count(scene, world, faults, decided)?;
    scene.show_audit(&[&STORY.replace("{id}", &id)])
}

/// The workflow is frozen: a person is called, and decides.
fn call(scene: &Scene<'_>, world: &World, id: &str, decision: Option<Decision>) -> anyhow::Result<Decision> {
    let (narrator, petrel) = (scene.narrator(), &scene.petrel);
    narrator.headline("The workflow is frozen, and somebody is called");
    petrel.wait("PagerDuty is told", SOON, || Ok(world.pager.incident().is_some()))?;
    narrator.show(&serde_json::to_string_pretty(&world.pager.incident()).unwrap_or_default());
    petrel.show(&["inquiry", "show", id], None)?;
    let decision = match decision {
        Some(decision) => decision,
        None => match person::ask(narrator, "What is to become of it?", &["retry", "skip", "rollback"])? {
            "retry" => Decision::Retry,
            "skip" => Decision::Skip,
            _ => Decision::Rollback,
        },
    };
    match decision {
        Decision::Retry => {
            narrator.say("somebody makes room on the other hosts, and frees what hangs");
            world.cloud.repair();
            petrel.show(&["workflow", "retry", id, "--task", "evacuate"], None)?;
        }
        Decision::Skip => petrel.show(&["workflow", "skip", id, "--task", "evacuate"], None)?,
        Decision::Rollback => petrel.show(&["workflow", "rollback", id], None)?,
    }
    Ok(decision)
}

/// However often it was interrupted: each VM was evacuated once, and once more where a person wanted that.
fn count(scene: &Scene<'_>, world: &World, faults: &Faults, decided: Option<Decision>) -> anyhow::Result<()> {
    let is_whole = matches!(decided, None | Some(Decision::Retry));
    for (name, _) in SERVERS {
        let again = decided == Some(Decision::Retry) && faults.fails.iter().any(|fails| fails == name);
        let (times, most) = (world.cloud.evacuations(name), if again { 2 } else { 1 });
        let is_right = if is_whole { times == most } else { times <= most };
        ensure!(is_right, "the evacuation of {name} was begun {times} times, and was to be {most} times");
    }
    let left = world.cloud.left();
    ensure!(left.is_empty() || !is_whole, "{left:?} are where they were");
    let narrator = scene.narrator();
    match left.is_empty() {
        true => narrator.say("each VM is elsewhere, and none was moved twice"),
        false => narrator.say(&format!("none was moved twice; {} are where they were", left.join(", "))),
    }
    let is_enabled = world.cloud.is_enabled();
    ensure!(is_enabled == (decided == Some(Decision::Rollback)), "{HOST} is enabled: {is_enabled}");
    narrator.say(&format!("{HOST} {} new VMs", if is_enabled { "takes" } else { "takes no" }));
    Ok(())
}

/// A notification of Masakari's monitor of hosts: <https://docs.openstack.org/api-ref/instance-ha/>.
fn notification(generated_time: &str) -> Value {
    json!({ "notification": {
        "type": "COMPUTE_HOST",
        "hostname": HOST,
        "generated_time": generated_time,
        "payload": { "event": "STOPPED", "cluster_status": "OFFLINE", "host_status": "UNKNOWN" },
    } })
}
