//! `petrel demo troubleshooting`: an alert, what a person would look at first, and one message of it.

mod host;
mod services;

use anyhow::ensure;
use serde_json::{Value, json};

use self::host::{Host, Keys, USER};
use self::services::{ACCOUNT, CHANNEL, INSTANCE, JIRA, PROJECT, SLACK, Services, TICKETS, Tokens, ZONE};
use super::files;
use super::random_text;
use super::run::{self, Ground, Pack, SOON, Scene, Setting};
use crate::cli::args::TroubleshootingArgs;
use crate::cli::{EXIT_FAILED, Failure};

/// What it applies.
const PACK: Pack = Pack {
    name: "troubleshooting",
    files: files::TROUBLESHOOTING,
    topic: "sensu.events",
    rule: "troubleshooting.after_cloud_state",
};
/// The whole story of one alert.
const STORY: &str = include_str!("story.sql");
/// What the policies have decided.
const GATES: &str = include_str!("gates.sql");

/// Plays it.
pub fn run(args: TroubleshootingArgs) -> Result<(), Failure> {
    let TroubleshootingArgs { stage, repeats, lose_answers } = args;
    let story = |scene: &mut Scene<'_>, services: &Services| {
        alert(scene, services, repeats, lose_answers)?;
        scene.show_audit(&[&STORY.replace("{id}", &alert_id(0)), GATES])
    };
    run::play(&PACK, stage, |ground| set_up(ground, lose_answers), story)
        .map_err(|error| Failure::new(EXIT_FAILED, format!("{error:#}")))
}

/// Compute Engine, Slack and Jira, and a host with SSH.
fn set_up(ground: &Ground, loses_answers: bool) -> anyhow::Result<(Setting, Services)> {
    let token = |kind: &str| anyhow::Ok(format!("{kind}{}", random_text()?));
    let tokens = Tokens { cloud: token("ya29.")?, slack: token("xoxb-")?, jira: token("ATATT")? };
    let services = Services::new(ground.journal.clone(), tokens.clone(), loses_answers);
    let url = ground.serve(services.router())?;
    let programs = ground.folder.at("host");
    files::write_all(&programs, files::HOST, str::to_owned)?;
    let ssh = ground.bind()?;
    let (ssh_port, keys) = (ssh.local_addr()?.port(), Keys::new()?);
    let (known_hosts, ssh_key) = (keys.known_hosts(ssh_port)?, keys.user_key()?);
    ground.runtime().spawn(Host::new(ground.narrator().clone(), &keys, programs).serve(keys, ssh));
    ground.narrator().say(&format!("Compute Engine, Slack and Jira answer at {url}"));
    ground.narrator().say(&format!("the host {INSTANCE} lets {USER} in by SSH on port {ssh_port}"));
    let values = json!({
        "ssh_user": USER, "ssh_port": ssh_port, "ssh_known_hosts": known_hosts,
        "cloud_url": url, "cloud_project": PROJECT, "cloud_zone": ZONE,
        "slack_url": url, "slack_channel": CHANNEL,
        "jira_url": url, "jira_user": ACCOUNT, "jira_project": TICKETS,
    });
    let Tokens { cloud, slack, jira } = tokens;
    let secrets = vec![("cloud_token", cloud), ("slack_token", slack), ("jira_token", jira), ("ssh_key", ssh_key)];
    Ok((Setting { values, secrets }, services))
}

/// One alert, and then a storm of the same one.
fn alert(scene: &Scene<'_>, services: &Services, repeats: u32, loses_answers: bool) -> anyhow::Result<()> {
    let (narrator, petrel) = (scene.narrator(), &scene.petrel);
    narrator.headline("The service checkout fails, and Sensu says so");
    let first = event(narrator.now_ms(), 0);
    narrator.show(&first.to_string());
    scene.write(INSTANCE, &[first.to_string()])?;
    petrel.wait("a message and a ticket", SOON, || Ok(services.taken(SLACK) > 0 && services.taken(JIRA) > 0))?;
    petrel.wait("all of it has ended", SOON, || {
        let query = "SELECT execution_id FROM executions_latest WHERE action IN \
                     ('troubleshooting.slack', 'troubleshooting.jira') AND status = 'succeeded'";
        Ok(petrel.rows(query)?.len() >= 2)
    })?;
    for entry in scene.journal().entries().iter().filter(|entry| !entry.body.is_null()) {
        narrator.say(&format!("{} was told:", entry.service));
        narrator.show(&serde_json::to_string_pretty(&entry.body).unwrap_or_default());
    }

    narrator.headline("It goes on failing, and Sensu goes on saying so");
    let more: Vec<String> = (1..=repeats).map(|n| event(narrator.now_ms(), n).to_string()).collect();
    scene.write(INSTANCE, &more)?;
    petrel.wait("the policy has held them", SOON, || {
        let query = "SELECT execution_id FROM executions_latest WHERE action = 'troubleshooting.ping' \
                     AND code = 'policy_excess'";
        Ok(petrel.rows(query)?.len() == repeats as usize)
    })?;
    narrator.say(&format!("the policy troubleshooting.once has held all {repeats} of them"));
    count(scene, services, if loses_answers { 2 } else { 1 })
}

/// Of a message whose answer is lost there is a second one, for Slack knows no repeated request again; of a ticket there
/// is one all the same, for the action looks for it.
fn count(scene: &Scene<'_>, services: &Services, messages: usize) -> anyhow::Result<()> {
    let count = (services.taken(SLACK), services.taken(JIRA));
    ensure!(count == (messages, 1), "{messages} messages and one ticket were to be sent, and there are {count:?}");
    let message = if messages == 1 { "one message" } else { "the message twice, for its first answer was lost," };
    scene.narrator().say(&format!("there is {message} in Slack and one ticket in Jira"));
    Ok(())
}

/// Ids of events are those of Sensu: another one each time.
fn alert_id(number: u32) -> String {
    format!("3a5948f3-6ffd-4ea2-a41e-{number:012}")
}

/// An event of Sensu Go: <https://docs.sensu.io/sensu-go/latest/observability-pipeline/observe-events/events/>.
fn event(now_ms: i64, number: u32) -> Value {
    let now_s = now_ms / 1000;
    json!({
        "id": alert_id(number),
        "timestamp": now_s,
        "metadata": { "namespace": "default" },
        "entity": {
            "entity_class": "agent",
            "metadata": {
                "name": INSTANCE, "namespace": "default",
                "labels": { "address": "127.0.0.1", "service": "checkout" },
            },
            "system": { "hostname": INSTANCE, "os": "linux" },
            "subscriptions": ["web"],
        },
        "check": {
            "metadata": { "name": "checkout-http", "namespace": "default" },
            "command": "http-check --url http://localhost:8080/health",
            "output": "CRITICAL: http://localhost:8080/health: connection refused\n",
            "status": 2,
            "state": "failing",
            "occurrences": number + 1,
            "occurrences_watermark": number + 1,
            "interval": 30,
            "issued": now_s, "executed": now_s, "duration": 0.022274319,
            "history": [{ "status": 0, "executed": now_s - 30 }, { "status": 2, "executed": now_s }],
        },
    })
}
