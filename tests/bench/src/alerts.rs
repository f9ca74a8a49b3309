//! Monitoring alerts of about 300 bytes, 100 rules over them, and an oracle that knows which match.
//!
//! Of every 100 alerts exactly one matches, and exactly one rule: the generator draws fields until the
//! oracle says so. The oracle is a second implementation of the rules, in Rust over the fields, so that
//! the count of matches is known without the code that is measured.

use std::fmt::Write as _;

/// Rules that [`rules`] makes.
pub(crate) const RULES: usize = 100;
/// Rules of a large installation: the same ones, and others that just miss.
pub(crate) const MANY_RULES: usize = 10_000;
/// One of so many alerts matches.
pub(crate) const ONE_IN: u64 = 100;
/// Bytes of a payload, about: a message fills up what the fields leave.
const PAYLOAD_BYTES: usize = 300;

const SERVICES: u64 = 200;
const SERVICE_RULES: usize = 40;
const ROLES: [&str; 5] = ["db", "web", "cache", "queue", "batch"];
const CHECKS: [&str; 5] = ["disk_used", "cpu_load", "mem_used", "replica_lag", "http_5xx"];
const REGIONS: [&str; 5] = ["eu1", "eu2", "us1", "us2", "ap1"];
const ENVIRONMENTS: [&str; 3] = ["prod", "stage", "dev"];
const SEVERITIES: [&str; 4] = ["info", "warning", "critical", "emergency"];
const TEAMS: u64 = 40;
const TEAM_RULES: usize = 15;
const HOSTS: u64 = 5_000;
/// What the text of an alert is made of.
const WORDS: [&str; 32] = [
    "above",
    "after",
    "backlog",
    "below",
    "commit",
    "connection",
    "device",
    "error",
    "exceeded",
    "failed",
    "filesystem",
    "for",
    "from",
    "index",
    "is",
    "latency",
    "minutes",
    "of",
    "partition",
    "queue",
    "refused",
    "replica",
    "request",
    "retry",
    "seconds",
    "segment",
    "threshold",
    "timeout",
    "upstream",
    "volume",
    "waiting",
    "worker",
];
/// Hosts that the key-value store lists as frozen.
const FROZEN_HOSTS: u64 = 20;

/// The key-value store that the rules read: key, JSON text.
pub(crate) fn kv() -> (&'static str, String) {
    let hosts: Vec<String> = (0..FROZEN_HOSTS).map(|h| format!("\"db-{h:04}.eu1.example.net\"")).collect();
    ("frozen_hosts", format!("[{}]", hosts.join(",")))
}

/// The trigger's JSON schema.
pub(crate) fn schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "required": ["host", "service", "severity", "used_pct"],
        "properties": {
            "host": {"type": "string"},
            "service": {"type": "string"},
            "severity": {"type": "string"},
            "used_pct": {"type": "number"},
            "latency_ms": {"type": "integer"},
        },
    })
}

/// A rule, as a form with numbers for its constants.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    Service(u64),
    Check { role: usize, check: usize },
    Team(u64),
    Burst { region: usize, environment: usize },
    Code(u64),
}

/// The 100 rules, all forms in turn over their constants.
pub(crate) fn rules() -> Vec<Rule> {
    let services = (0..SERVICE_RULES as u64).map(|s| Rule::Service(s * 5));
    let checks = (0..4).flat_map(|role| (0..CHECKS.len()).map(move |check| Rule::Check { role, check }));
    let teams = (0..TEAM_RULES as u64).map(|t| Rule::Team(t * 2));
    let bursts = (0..REGIONS.len())
        .flat_map(|region| (0..ENVIRONMENTS.len()).map(move |environment| Rule::Burst { region, environment }));
    let codes = (0..10).map(Rule::Code);
    services.chain(checks).chain(teams).chain(bursts).chain(codes).collect()
}

/// The criteria of the rules and of as many others as are wanted beyond them. Those are about hosts,
/// services and teams that do send alerts, but no alert is as bad as they ask for.
pub(crate) fn criteria(rules: usize) -> impl Iterator<Item = String> {
    let near_miss = |number: u64| match number % 3 {
        0 => format!(
            "trigger.service == \"svc-{:03}\" && trigger.severity == \"critical\" && trigger.used_pct > {}.5",
            number % SERVICES,
            100 + number / 100
        ),
        1 => format!(
            "trigger.host == \"{}-{:04}.{}.example.net\" && trigger.latency_ms > {}",
            ROLES[number as usize / 3 % ROLES.len()],
            number % HOSTS,
            REGIONS[number as usize / 15 % REGIONS.len()],
            2_400 + number
        ),
        _ => format!(
            "trigger.labels.team == \"team-{:02}\" && trigger.region == \"{}\" && trigger.count > {}",
            number % TEAMS,
            REGIONS[number as usize / 3 % REGIONS.len()],
            104 + number
        ),
    };
    self::rules().into_iter().map(Rule::criteria).chain((0..).map(near_miss)).take(rules)
}

impl Rule {
    /// The criterion in CEL.
    pub(crate) fn criteria(self) -> String {
        match self {
            Self::Service(service) => format!(
                "trigger.service == \"svc-{service:03}\" && trigger.severity == \"critical\" && trigger.used_pct > 90.0"
            ),
            Self::Check { role, check } => format!(
                "trigger.host.startsWith(\"{}-\") && trigger.check == \"{}\" && trigger.used_pct >= 97.5",
                ROLES[role], CHECKS[check]
            ),
            Self::Team(team) => format!(
                "trigger.labels.team == \"team-{team:02}\" && trigger.severity in [\"critical\", \"emergency\"] \
                 && trigger.latency_ms > 2000"
            ),
            Self::Burst { region, environment } => format!(
                "trigger.region == \"{}\" && trigger.env == \"{}\" && trigger.count > 100 \
                 && !(trigger.host in kv.frozen_hosts)",
                REGIONS[region], ENVIRONMENTS[environment]
            ),
            Self::Code(code) => format!(
                "(trigger.severity == \"critical\" || trigger.severity == \"emergency\") \
                 && trigger.message.contains(\"code=E{code}77\")"
            ),
        }
    }

    /// The oracle.
    fn matches(self, alert: &Alert) -> bool {
        let severe = alert.severity >= 2;
        match self {
            Self::Service(service) => alert.service == service && alert.severity == 2 && alert.used_tenths > 900,
            Self::Check { role, check } => alert.role == role && alert.check == check && alert.used_tenths >= 975,
            Self::Team(team) => alert.team == team && severe && alert.latency_ms > 2000,
            Self::Burst { region, environment } => {
                let frozen = alert.role == 0 && alert.region == 0 && alert.host < FROZEN_HOSTS;
                alert.region == region && alert.environment == environment && alert.count > 100 && !frozen
            }
            Self::Code(code) => severe && alert.code == code * 100 + 77,
        }
    }

    /// Gives the alert what this rule asks for.
    fn provoke(self, alert: &mut Alert) {
        match self {
            Self::Service(service) => (alert.service, alert.severity, alert.used_tenths) = (service, 2, 941),
            Self::Check { role, check } => (alert.role, alert.check, alert.used_tenths) = (role, check, 975),
            Self::Team(team) => (alert.team, alert.severity, alert.latency_ms) = (team, 3, 2_001),
            Self::Burst { region, environment } => {
                (alert.region, alert.environment, alert.count) = (region, environment, 101);
            }
            Self::Code(code) => (alert.code, alert.severity) = (code * 100 + 77, 2),
        }
    }
}

/// The fields of an alert.
#[derive(Debug, Clone, Copy)]
struct Alert {
    role: usize,
    host: u64,
    service: u64,
    check: usize,
    severity: usize,
    environment: usize,
    region: usize,
    team: u64,
    /// Tenths of a per cent: the oracle needs no doubles.
    used_tenths: u64,
    latency_ms: u64,
    count: u64,
    code: u64,
}

/// An endless, always equal sequence of alerts.
pub(crate) struct Alerts {
    rules: Vec<Rule>,
    random: Random,
    made: u64,
    matches: u64,
    /// Which of the current hundred matches.
    chosen: u64,
}

impl Alerts {
    pub(crate) fn new() -> Self {
        Self { rules: rules(), random: Random(0x005e_ed0f_a1e7), made: 0, matches: 0, chosen: 0 }
    }

    /// Matches among the alerts so far, as the oracle counts them.
    pub(crate) fn matches(&self) -> u64 {
        self.matches
    }

    /// Key and payload of the next alert.
    pub(crate) fn next(&mut self, key: &mut String, payload: &mut String) {
        if self.made.is_multiple_of(ONE_IN) {
            self.chosen = self.made + self.random.below(ONE_IN);
        }
        let wanted = u64::from(self.made == self.chosen);
        let rule = self.rules[self.random.below(RULES as u64) as usize];
        let alert = loop {
            let mut alert = Alert::draw(&mut self.random);
            if wanted == 1 {
                rule.provoke(&mut alert);
            }
            if self.count(&alert) == wanted {
                break alert;
            }
        };
        key.clear();
        payload.clear();
        // Writing to a string cannot fail.
        let _ = write!(key, "{}-{:04}", ROLES[alert.role], alert.host);
        alert.write(self.made, &mut self.random, payload);
        self.made += 1;
        self.matches += wanted;
    }

    fn count(&self, alert: &Alert) -> u64 {
        self.rules.iter().filter(|rule| rule.matches(alert)).count() as u64
    }
}

impl Alert {
    fn draw(random: &mut Random) -> Self {
        let mut index = |below: usize| random.below(below as u64) as usize;
        let (role, check, region) = (index(ROLES.len()), index(CHECKS.len()), index(REGIONS.len()));
        // Most alerts are of little importance and from production.
        let severity = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3][index(10)];
        let environment = [0, 0, 0, 1, 2][index(5)];
        Self {
            role,
            host: random.below(HOSTS),
            service: random.below(SERVICES),
            check,
            severity,
            environment,
            region,
            team: random.below(TEAMS),
            used_tenths: random.below(1_000),
            latency_ms: random.below(2_400),
            count: random.below(104),
            code: random.below(1_000),
        }
    }

    fn write(&self, number: u64, random: &mut Random, out: &mut String) {
        let (role, region) = (ROLES[self.role], REGIONS[self.region]);
        let (whole, tenth) = (self.used_tenths / 10, self.used_tenths % 10);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "{{\"id\":\"a-{number:010}\",\"host\":\"{role}-{:04}.{region}.example.net\",\"service\":\"svc-{:03}\",\
             \"check\":\"{}\",\"severity\":\"{}\",\"env\":\"{}\",\"region\":\"{region}\",\"used_pct\":{whole}.{tenth},\
             \"latency_ms\":{},\"count\":{},\"labels\":{{\"team\":\"team-{:02}\",\"owner\":\"sre\"}},\
             \"message\":\"code=E{:03}, limit of {} passed",
            self.host,
            self.service,
            CHECKS[self.check],
            SEVERITIES[self.severity],
            ENVIRONMENTS[self.environment],
            self.latency_ms,
            self.count,
            self.team,
            self.code,
            CHECKS[self.check],
        );
        // Words and numbers like an alert's text, which compress about as well as one.
        while out.len() < PAYLOAD_BYTES - 2 {
            let _ = match random.below(3) {
                0 => write!(out, " {:x}", random.below(1 << 32)),
                _ => write!(out, " {}", WORDS[random.below(WORDS.len() as u64) as usize]),
            };
        }
        out.push_str("\"}");
    }
}

/// Always the same numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use petrel_rules::{Matcher, Verdict};

    use super::*;
    use crate::view::View;

    #[test]
    fn the_compiled_rules_say_what_the_oracle_says() {
        check(RULES);
        check(MANY_RULES);
    }

    fn check(rules: usize) {
        let (set, kv) = View::rule_set(rules).unwrap();
        assert_eq!(set.len(), rules);
        let (mut alerts, mut matcher) = (Alerts::new(), Matcher::new());
        let (mut key, mut payload, mut found, mut fired) = (String::new(), String::new(), 0, [false; RULES]);
        for number in 0..20_000 {
            let before = alerts.matches();
            alerts.next(&mut key, &mut payload);
            let mut matched = 0;
            matcher
                .run(&set, payload.as_bytes(), 0, &kv, &mut |rule, verdict| match verdict {
                    Verdict::True => {
                        matched += 1;
                        fired[rule.0] = true;
                    }
                    Verdict::False => {}
                    other => panic!("alert {number}: {other:?}"),
                })
                .unwrap();
            assert_eq!(matched, alerts.matches() - before, "{payload}");
            assert!((PAYLOAD_BYTES..PAYLOAD_BYTES + 60).contains(&payload.len()), "{} bytes", payload.len());
            found += matched;
        }
        assert_eq!(found, 20_000 / ONE_IN);
        assert!(fired.iter().filter(|f| **f).count() > 80, "matches are spread over the rules");
    }
}
