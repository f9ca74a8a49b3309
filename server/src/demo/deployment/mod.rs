//! `petrel demo deploy`: what CI has built goes into production in steps, and back where the figures are bad; where there
//! are none, a person is asked.

mod figures;
mod github;
mod kubernetes;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use self::figures::{Figures, Prometheus};
use self::github::{GitHub, released};
use self::kubernetes::{Cluster, KUBERNETES, NAMESPACE, SERVICE, STABLE};
use super::pager::{PAGER, Pager};
use super::run::{self, Ground, Pack, SOON, Scene, Setting};
use super::{files, person, random_text};
use crate::cli::args::{DeployArgs, DeployDecision as Decision};
use crate::cli::{EXIT_FAILED, Failure};

/// What it applies.
const PACK: Pack =
    Pack { name: "deployment", files: files::DEPLOYMENT, topic: "ci.github", rule: "deployment.released" };
/// Everything that the workflow and its tasks went through.
const STORY: &str = include_str!("story.sql");
/// The number of the build, and the version that becomes of it.
const RUN_NUMBER: u32 = 42;
/// The new version, as it is called in Kubernetes.
const NEXT: &str = "checkout-r42";
/// Seconds between a step and a look at its errors.
const SETTLE_S: u32 = 2;
/// The step in which Petrel is killed, in percent of the traffic.
const HALF: i64 = 50;
/// Longest wait for the end of what was interrupted by a kill.
const IN_THE_END: Duration = Duration::from_secs(300);

/// The stand-ins.
struct World {
    cluster: Cluster,
    github: GitHub,
    pager: Pager,
}

/// Plays it.
pub fn run(args: DeployArgs) -> Result<(), Failure> {
    let DeployArgs { stage, bad_metrics, no_metrics, crash_loop, decide, ask } = args;
    let figures = match (bad_metrics, no_metrics) {
        (true, _) => Figures::Bad,
        (_, true) => Figures::Missing,
        _ => Figures::Good,
    };
    let decision = if ask { None } else { Some(decide) };
    let story = |scene: &mut Scene<'_>, world: &World| roll_out(scene, world, crash_loop, decision);
    run::play(&PACK, stage, |ground| set_up(ground, figures, crash_loop), story)
        .map_err(|error| Failure::new(EXIT_FAILED, format!("{error:#}")))
}

/// Kubernetes, Prometheus, GitHub and PagerDuty.
fn set_up(ground: &Ground, figures: Figures, crash_loop: bool) -> anyhow::Result<(Setting, World)> {
    let (kubernetes_token, routing_key) = (random_text()?, random_text()?);
    let github_token = format!("github_pat_{}", random_text()?);
    let cluster = Cluster::new(ground.journal.clone(), kubernetes_token.clone(), crash_loop);
    let prometheus = Prometheus::new(ground.journal.clone(), cluster.clone(), NEXT, figures);
    let github = GitHub::new(ground.journal.clone(), github_token.clone());
    let pager = Pager::new(ground.journal.clone(), routing_key.clone());
    let kubernetes_url = ground.serve(cluster.router())?;
    let prometheus_url = ground.serve(prometheus.router())?;
    let github_url = ground.serve(github.router())?;
    let pager_url = ground.serve(pager.router())?;
    let narrator = ground.narrator();
    narrator.say(&format!("Kubernetes answers at {kubernetes_url}, Prometheus at {prometheus_url}"));
    narrator.say(&format!("GitHub answers at {github_url}, PagerDuty at {pager_url}"));
    let values = json!({
        "kubernetes_url": kubernetes_url, "namespace": NAMESPACE, "registry": "registry.shop.example",
        "prometheus_url": prometheus_url, "settle_s": SETTLE_S, "github_url": github_url, "pager_url": pager_url,
    });
    let secrets =
        vec![("kubernetes_token", kubernetes_token), ("github_token", github_token), ("routing_key", routing_key)];
    Ok((Setting { values, secrets }, World { cluster, github, pager }))
}

/// All of it; `decision` is the answer to a question, which is yours without one.
fn roll_out(scene: &mut Scene<'_>, world: &World, crash_loop: bool, decision: Option<Decision>) -> anyhow::Result<()> {
    scene.narrator().headline(&format!("{SERVICE} is released, and GitHub says so, twice"));
    let event = released(RUN_NUMBER, &scene.narrator().now()).to_string();
    scene.narrator().show(&event);
    scene.write(SERVICE, &[event.clone(), event])?;
    let id = scene.wait_for_workflow("deployment.roll_out")?;
    scene.narrator().say(&format!("the workflow deployment.roll_out is the execution {id}"));

    let is_halfway = || match crash_loop {
        true => world.cluster.names().1.iter().any(|name| name == NEXT),
        false => world.cluster.weight(NEXT) >= HALF,
    };
    scene.petrel.wait("it is halfway", SOON, || Ok(is_halfway()))?;
    scene.narrator().headline("Petrel is killed (kill -9) halfway, and started again");
    scene.petrel.crash()?;
    scene.narrator().say("petrel is ready again");
    scene.wait_for_held("deployment.claim", "deployment.once")?;

    let (id, status) = (id.as_str(), ask_if_need_be(scene, world, &id, decision)?);
    scene.narrator().headline(&format!("It has {status}"));
    scene.petrel.show(&["execution", "get", id], None)?;
    count(scene, world, &status)?;
    scene.show_audit(&[&STORY.replace("{id}", id)])
}

/// Waits for the end, and answers to the question that comes before it; the status.
fn ask_if_need_be(scene: &Scene<'_>, world: &World, id: &str, decision: Option<Decision>) -> anyhow::Result<String> {
    let (narrator, petrel) = (scene.narrator(), &scene.petrel);
    let (mut status, mut questions) = (String::new(), 0);
    loop {
        let mut question = None;
        petrel.wait("it has ended, or asks", IN_THE_END, || {
            if let Some(ended) = scene.ended(id) {
                status = ended;
                return Ok(true);
            }
            question = open_question(scene, id)?;
            Ok(question.is_some())
        })?;
        let Some(question) = question else { return Ok(status) };
        narrator.headline("There are no figures, and a person is asked");
        questions += 1;
        petrel.wait("PagerDuty is told", SOON, || Ok(scene.journal().taken(PAGER, "trigger") >= questions))?;
        narrator.show(&serde_json::to_string_pretty(&world.pager.incident()).unwrap_or_default());
        petrel.show(&["inquiry", "show", &question], None)?;
        let is_forward = match decision {
            Some(decision) => decision == Decision::Forward,
            None => person::ask(narrator, "Forward or back?", &["forward", "back"])? == "forward",
        };
        petrel.show(&["inquiry", "answer", &question, "--json", if is_forward { "true" } else { "false" }], None)?;
        petrel.wait("it is answered", SOON, || Ok(open_question(scene, id)?.as_ref() != Some(&question)))?;
    }
}

/// The id of the question that a workflow asks, if it waits for an answer.
fn open_question(scene: &Scene<'_>, workflow: &str) -> anyhow::Result<Option<String>> {
    let listed = scene.petrel.json(&["inquiry", "list", "--kind", "question", "--workflow", workflow])?;
    Ok(listed["inquiries"][0]["inquiry_id"].as_str().map(str::to_owned))
}

/// However it was interrupted: what is in Kubernetes is of one version alone, and everything was made once.
fn count(scene: &Scene<'_>, world: &World, status: &str) -> anyhow::Result<()> {
    let narrator = scene.narrator();
    let is_forward = status == "succeeded";
    let wanted = if is_forward { 100 } else { 0 };
    let (weight, rest) = (world.cluster.weight(NEXT), world.cluster.weight(STABLE));
    ensure!((weight, rest) == (wanted, 100 - wanted), "{NEXT} has {weight} % and {STABLE} {rest} %");
    let (services, deployments) = world.cluster.names();
    let names: Vec<&str> = if is_forward { vec![STABLE, NEXT] } else { vec![STABLE] };
    ensure!(services == names && deployments == names, "there are {services:?} and {deployments:?}");
    for what in ["create the Service", "create the Deployment"] {
        let times = scene.journal().taken(KUBERNETES, &format!("{what} {NEXT}"));
        ensure!(times == 1, "{what}: {times} times");
    }
    let told = world.github.state().context("GitHub was told nothing")?;
    let state = if is_forward { "success" } else { "failure" };
    ensure!(told == state, "GitHub was told {told}");
    match is_forward {
        true => narrator.say(&format!("{NEXT} has all of the traffic; everything was made once")),
        false => narrator.say(&format!("{STABLE} has all of the traffic, and nothing of {NEXT} is left")),
    }
    Ok(())
}
