//! What brokers are told.

use std::fmt::Write as _;

use crate::ports::free_port;

/// What every development broker shares; ports and directories are appended.
const DEVELOPMENT: &str = include_str!("../../../../deploy/dev/kafka/server.properties");

/// Nothing but what a node has to be told.
const DEFAULTS: &str = "process.roles=broker,controller\ncontroller.listener.names=CONTROLLER\n\
    inter.broker.listener.name=PLAINTEXT\n";

/// Of the defaults, what one node cannot bear: it has no one to replicate to.
const ALONE: &str = "node.id=1\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
    transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
    share.coordinator.state.topic.min.isr=1\n";

/// Whoever comes may do whatever nobody is denied.
const RIGHTS: &str = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
    allow.everyone.if.no.acl.found=true\n";

/// Nobody may do anything that is not allowed, but who comes by the listener without names, for tests set rights there.
const NAMES: &str = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
    super.users=User:ANONYMOUS\nsasl.enabled.mechanisms=PLAIN\n\
    listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,NAMED:SASL_PLAINTEXT\n";

/// What one node is told.
#[derive(Debug)]
pub(super) struct Settings {
    text: String,
    heap: &'static str,
    controller_port: u16,
    /// The controllers, `id@host:port`; none for a node that is alone.
    voters: Option<String>,
    /// Where those come that have a name and a password.
    named_port: Option<u16>,
    /// Whether it is no controller, but goes by that of another node.
    is_led: bool,
}

/// Number of the node that is alone, and of the one beside it.
const IDS: (u32, u32) = (1, 2);

impl Settings {
    /// A development broker.
    pub(super) fn development() -> Self {
        Self {
            text: DEVELOPMENT.to_owned(),
            heap: "-Xmx512m",
            controller_port: free_port(),
            voters: None,
            named_port: None,
            is_led: false,
        }
    }

    /// A second node beside this one.
    pub(super) fn another(&self) -> Self {
        let text = self
            .text
            .replace("process.roles=broker,controller", "process.roles=broker")
            .replace(&format!("node.id={}\n", IDS.0), &format!("node.id={}\n", IDS.1));
        Self {
            text,
            heap: self.heap,
            controller_port: self.controller_port,
            voters: None,
            named_port: None,
            is_led: true,
        }
    }

    /// Its number in its cluster; of a node of several that are started together, that of the first.
    pub(super) fn id(&self) -> u32 {
        if self.is_led { IDS.1 } else { IDS.0 }
    }

    /// A broker with Kafka's defaults.
    pub(super) fn defaults() -> Self {
        let text = format!("{DEFAULTS}{ALONE}");
        Self { text, heap: "-Xmx1g", controller_port: free_port(), voters: None, named_port: None, is_led: false }
    }

    /// A development broker that can deny rights.
    pub(super) fn with_rights() -> Self {
        Self { text: format!("{DEVELOPMENT}{RIGHTS}"), ..Self::development() }
    }

    /// A development broker that knows those names, each with `<name>-password`, and allows them nothing.
    pub(super) fn with_names(names: &[&str]) -> Self {
        let users: Vec<String> = names.iter().map(|name| format!("user_{name}=\"{name}-password\"")).collect();
        let login = "org.apache.kafka.common.security.plain.PlainLoginModule";
        let text = format!(
            "{DEVELOPMENT}{NAMES}listener.name.named.plain.sasl.jaas.config={login} required {};\n",
            users.join(" ")
        );
        Self { text, named_port: Some(free_port()), ..Self::development() }
    }

    /// Port for those that have a name.
    pub(super) fn named_port(&self) -> Option<u16> {
        self.named_port
    }

    /// Nodes of one cluster with Kafka's defaults: what is written is on two of three replicas before it is
    /// acknowledged.
    pub(super) fn of_cluster(nodes: usize) -> Vec<Self> {
        let ports: Vec<(usize, u16)> = (1..=nodes).map(|id| (id, free_port())).collect();
        let voters: Vec<String> = ports.iter().map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let node = |(id, controller_port): (usize, u16)| Self {
            text: format!("{DEFAULTS}node.id={id}\ndefault.replication.factor=3\nmin.insync.replicas=2\n"),
            heap: "-Xmx1g",
            controller_port,
            voters: Some(voters.join(",")),
            named_port: None,
            is_led: false,
        };
        ports.into_iter().map(node).collect()
    }

    pub(super) fn is_alone(&self) -> bool {
        self.voters.is_none() && !self.is_led
    }

    /// Java's option for the size of its heap.
    pub(super) fn heap(&self) -> &'static str {
        self.heap
    }

    /// `server.properties`, without the data directory, for a node whose clients use that port.
    pub(super) fn properties(&self, port: u16) -> String {
        let controller_port = self.controller_port;
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        if !self.is_led {
            listeners.push_str(&format!(",CONTROLLER://127.0.0.1:{controller_port}"));
        }
        if let Some(port) = self.named_port {
            listeners.push_str(&format!(",NAMED://127.0.0.1:{port}"));
        }
        let mut text = format!("{}\nlisteners={listeners}\nadvertised.listeners={listeners}\n", self.text);
        // Writing to a string cannot fail.
        let _ = match &self.voters {
            Some(voters) => writeln!(text, "controller.quorum.voters={voters}"),
            None => writeln!(text, "controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}"),
        };
        text
    }
}
