//! Alerts of a monitoring system: skewed hosts and services, labels that may be absent, lists of tags,
//! 5 % of the messages with an escaped quote.

use std::fmt::Write;

use crate::corpus::SEED;
use crate::random::{Random, Zipf, distinct, word};

const HOSTS: usize = 5_000;
const SERVICES: usize = 400;
const TEAMS: usize = 40;
const CLUSTERS: usize = 200;
const TAGS: usize = 300;
const WORDS: usize = 2_000;
const DATA_CENTRES: usize = 12;
const FIRST_MS: u64 = 1_790_000_000_000;
/// Values and the sum of the shares up to each.
const SEVERITIES: [(&str, f64); 5] =
    [("info", 0.5), ("warning", 0.78), ("error", 0.94), ("critical", 0.99), ("fatal", 1.0)];
const ENVIRONMENTS: [(&str, f64); 4] = [("prod", 0.65), ("staging", 0.82), ("dev", 0.94), ("qa", 1.0)];

/// What alerts are made of.
struct World {
    /// Name and number of the data centre.
    hosts: Vec<(String, usize)>,
    data_centres: Vec<String>,
    services: Vec<String>,
    teams: Vec<String>,
    team_of_service: Vec<usize>,
    clusters: Vec<String>,
    tags: Vec<String>,
    words: Vec<String>,
    of_hosts: Zipf,
    of_services: Zipf,
    of_teams: Zipf,
    of_tags: Zipf,
    of_words: Zipf,
    of_clusters: Zipf,
}

impl World {
    fn new(random: &mut Random) -> Self {
        let roles = distinct(random, 40, |random| word(random, 2));
        let data_centres: Vec<String> =
            (0..DATA_CENTRES).map(|at| format!("{}{}", ["eu", "us", "ap"][at % 3], at / 3 + 1)).collect();
        let services = distinct(random, SERVICES, |random| {
            let name = word(random, 2);
            format!("{name}-{}", random.pick(&["api", "db", "worker", "cache", "gw", "sync"]))
        });
        let teams = distinct(random, TEAMS, |random| word(random, 2));
        let clusters = distinct(random, CLUSTERS, |random| {
            let name = word(random, 1);
            format!("{name}-{:02}", random.below(20))
        });
        let tags = distinct(random, TAGS, |random| word(random, 2));
        let words = distinct(random, WORDS, |random| {
            let syllables = 1 + random.below(3);
            word(random, syllables)
        });
        let host = |at: usize, random: &mut Random| {
            let centre = random.below(DATA_CENTRES);
            (format!("{}-{at:04}.{}.example.net", random.pick(&roles), data_centres[centre]), centre)
        };
        let hosts = (0..HOSTS).map(|at| host(at, random)).collect();
        let of_teams = Zipf::new(TEAMS, 0.8);
        let team_of_service = (0..SERVICES).map(|_| of_teams.draw(random)).collect();
        Self {
            hosts,
            data_centres,
            services,
            teams,
            team_of_service,
            clusters,
            tags,
            words,
            of_hosts: Zipf::new(HOSTS, 1.05),
            of_services: Zipf::new(SERVICES, 1.1),
            of_teams,
            of_tags: Zipf::new(TAGS, 1.0),
            of_words: Zipf::new(WORDS, 0.9),
            of_clusters: Zipf::new(CLUSTERS, 0.9),
        }
    }

    fn alert(&self, lines: &mut String, random: &mut Random, number: u64) {
        let (host, centre) = &self.hosts[self.of_hosts.draw(random)];
        let service = self.of_services.draw(random);
        let severity = by_share(&SEVERITIES, random);
        let environment = by_share(&ENVIRONMENTS, random);
        let cpu = (random.unit().powf(0.7) * 10_000.0).round() / 100.0;
        let count = (1.0 / (1.0 - random.unit() * 0.9999)).powf(1.1) as i64;
        let own = self.team_of_service[service];
        let team = &self.teams[if random.chance(0.85) { own } else { self.of_teams.draw(random) }];
        let cluster = if random.chance(0.2) {
            String::new()
        } else {
            format!(",\"cluster\":\"{}\"", self.clusters[self.of_clusters.draw(random)])
        };
        let tags = self.some_tags(random);
        let message = self.message(random);
        let (service, centre) = (&self.services[service], &self.data_centres[*centre]);
        let time_ms = FIRST_MS + number * 37;
        // Writing to a string does not fail.
        let _ = writeln!(
            lines,
            "{{\"host\":\"{host}\",\"service\":\"{service}\",\"severity\":\"{severity}\",\"cpu\":{cpu:.2},\
             \"count\":{count},\"labels\":{{\"team\":\"{team}\",\"env\":\"{environment}\",\"dc\":\"{centre}\"\
             {cluster}}},\"tags\":[\"{}\"],\"message\":\"{message}\",\"ts\":{time_ms}}}",
            tags.join("\",\"")
        );
    }

    /// One to five, no two the same.
    fn some_tags(&self, random: &mut Random) -> Vec<&str> {
        let mut tags: Vec<&str> = Vec::new();
        for _ in 0..2 + random.below(4) {
            let tag = &self.tags[self.of_tags.draw(random)];
            if !tags.contains(&tag.as_str()) {
                tags.push(tag);
            }
        }
        tags
    }

    /// As it stands between quotes in JSON.
    fn message(&self, random: &mut Random) -> String {
        let mut message = String::new();
        for _ in 0..7 + random.below(7) {
            message.push_str(&self.words[self.of_words.draw(random)]);
            message.push(' ');
        }
        let _ = write!(message, "after {} ms on shard {}", random.below(30_000), random.below(64));
        if random.chance(0.05) {
            message.push_str(" said \\\"no\\\"");
        }
        message
    }
}

fn by_share(values: &[(&'static str, f64)], random: &mut Random) -> &'static str {
    let at = random.unit();
    values.iter().find(|(_, sum)| at < *sum).unwrap_or(&values[values.len() - 1]).0
}

pub(super) fn lines(events: usize) -> String {
    let mut random = Random::new(SEED ^ 0x0B5);
    let world = World::new(&mut random);
    let mut lines = String::with_capacity(events * 360);
    for number in 0..events {
        world.alert(&mut lines, &mut random, number as u64);
    }
    lines
}
