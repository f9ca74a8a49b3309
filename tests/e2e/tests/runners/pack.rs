//! A pack with an action of each runner that lasts until a gate is opened.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use petrel_e2e_tests::{Cli, write_pack};
use petrel_testkit::KafkaBroker;

use super::RUNNERS;
use super::docker::{Docker, IMAGE};
use super::servers::{serve_http, serve_mail};
use super::sshd::Sshd;
use super::topic::{self, HeldTopic};

/// Writes that it begins, that it goes on, and ends with the gate.
const HOLD: &str =
    "echo \"+$ATTEMPT\" >> \"$LOG\"; while [ ! -e \"$GATE\" ]; do echo \"$ATTEMPT\" >> \"$LOG\"; sleep 0.1; done";

/// The same for one that sees no folder of the machine's.
const HOLD_BY_HTTP: &str = "ask() { busybox wget -q -O - \"$AT/$1/$NAME/$ATTEMPT\"; }; ask begin; \
                            until [ \"$(ask goes_on)\" = open ]; do sleep 0.1; done";

const PYTHON: &str = r#"
import os, time

def hold(log, gate, mark, name):
    def write(text):
        with open(log, "a") as file: file.write(text + "\n")
    write("+" + os.environ["PETREL_ATTEMPT"])
    while not os.path.exists(gate):
        write(os.environ["PETREL_ATTEMPT"])
        time.sleep(0.1)
"#;

/// What the actions use. It ends with this.
pub struct Servers {
    sshd: Sshd,
    http: u16,
    mail: u16,
    pub docker: Arc<Docker>,
}

impl Servers {
    pub fn start(dir: &Path) -> Result<Self> {
        Ok(Self { sshd: Sshd::start(dir)?, http: serve_http(dir)?, mail: serve_mail(dir)?, docker: Docker::get() })
    }

    /// Options of the workers that may use them.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("PETREL_EXECUTOR__HTTP__ALLOW", "[127.0.0.1]".to_owned()),
            ("PETREL_EXECUTOR__CONTAINER__SOCKET", self.docker.socket.display().to_string()),
        ]
    }

    /// Makes the topic and applies the pack; an action is named after its runner. `limited` is a command that may last for
    /// 15 seconds, and `due` one whose execution has that long from the request to its end.
    pub fn apply(&self, dir: &Path, cli: &Cli, broker: &KafkaBroker) -> Result<HeldTopic> {
        let topic = HeldTopic::start(broker)?;
        let actions = self.actions()?;
        let script = format!("#!/bin/sh\n{HOLD}\n");
        let manifest = format!("name: hold\nversion: 1.0.0\nproduces: [{}]\n", topic::NAME);
        let paths: Vec<String> = actions.iter().map(|(name, _)| format!("actions/{name}.yaml")).collect();
        let mut files =
            vec![("pack.yaml", manifest.as_str()), ("actions/hold.sh", script.as_str()), ("actions/hold.py", PYTHON)];
        files.extend(paths.iter().map(String::as_str).zip(actions.iter().map(|(_, text)| text.as_str())));
        let pack = write_pack(dir, "hold", &files)?;
        cli.run(&["pack", "apply", &pack.display().to_string()])?;
        Ok(topic)
    }

    fn actions(&self) -> Result<Vec<(String, String)>> {
        let parameters = "parameters: { log: { type: string }, gate: { type: string }, mark: { type: string }, name: { type: string } }";
        let env = "env: { LOG: \"${parameters.log}\", GATE: \"${parameters.gate}\", MARK: \"${parameters.mark}\", ATTEMPT: \"${execution.attempt}\" }";
        let text = serde_json::to_string(HOLD)?;
        let keys = |runner: &str| {
            anyhow::Ok(match runner {
                "command" => format!("command: [sh, -c, {text}]\n{env}"),
                "shell" => format!("script: {text}\n{env}"),
                "script" => format!("file: hold.sh\n{env}"),
                "python" => "file: hold.py\nfunction: hold\nenv: { MARK: \"${parameters.mark}\" }".to_owned(),
                "ssh" => format!("{}command: [sh, -c, {text}]\n{env}", self.sshd.keys()?),
                "http" => format!(
                    "request: {{ url: \"http://127.0.0.1:{}/hold/${{parameters.name}}/${{execution.attempt}}\" }}",
                    self.http
                ),
                "container" => format!(
                    "image: {IMAGE}\npull: never\nnetwork: host\ncommand: [sh, -c, {}]\nenv: {{ AT: \"http://127.0.0.1:{}\", \
                     NAME: \"${{parameters.name}}\", MARK: \"${{parameters.mark}}\", ATTEMPT: \"${{execution.attempt}}\" }}",
                    serde_json::to_string(HOLD_BY_HTTP)?,
                    self.http
                ),
                "email" => format!(
                    "server: {{ host: 127.0.0.1, port: {}, security: none }}\nmessage: {{ from: petrel@hold.test, \
                     to: \"${{parameters.name}}.${{execution.attempt}}@hold.test\", subject: held, text: held }}",
                    self.mail
                ),
                "kafka" => {
                    format!("record: {{ topic: {}, json: {{ attempt: \"${{execution.attempt}}\" }} }}", topic::NAME)
                }
                other => anyhow::bail!("there is no action of {other}"),
            })
        };
        let of = |name: &str, runner: &str, more: &str| {
            let text = format!("name: {name}\nrunner: {runner}\n{}\n{parameters}\n{more}\n", keys(runner)?);
            anyhow::Ok((name.to_owned(), text))
        };
        let all = RUNNERS.iter().map(|runner| of(runner, runner, "timeout: 20m"));
        let limited = [
            of("limited", "command", "timeout: 15s"),
            of("due", "command", "timeout: 20m\npolicies: { deadline: 15s }"),
        ];
        all.chain(limited).collect()
    }
}
