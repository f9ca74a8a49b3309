use petrel_rules::*;
use std::time::Instant;
#[test]
fn speed() {
    let event = br#"{"id":"a1b2c3d4","ts":"2026-11-23T06:00:00Z","host":"web-0042.eu-west-1.example.com","service":"checkout","region":"eu-west-1","env":"prod","severity":3,"metric":"disk_used_pct","value":87.25,"threshold":80.0,"mount":"/var/lib","tags":["disk","prod","team:core"],"labels":{"team":"core","owner":"alice","tier":"1"},"message":"disk usage is high on web-0042"}"#;
    let kv = Kv::empty();
    for n in [1usize, 10, 100, 1000] {
        let t = Instant::now();
        let rules = RuleSet::compile(&TriggerSchema::none(), (0..n).map(|i| RuleSource { rule: format!("p.r{i}").into(), criteria: Some(match i % 4 {
            0 => format!("trigger.host == \"web-{i}\" && trigger.severity >= 3"),
            1 => format!("trigger.service == \"svc-{i}\" && trigger.value > {i}.0"),
            2 => format!("trigger.metric in [\"a{i}\", \"b{i}\"] && trigger.env == \"prod\""),
            _ => format!("trigger.labels.team == \"t{i}\" || trigger.message.contains(\"x{i}x\")"),
        })})).unwrap();
        let c = t.elapsed();
        let mut m = Matcher::new();
        let rounds = 20000 / n.max(10);
        let t = Instant::now();
        for _ in 0..rounds { ParsedEvent::parse(event, rules.shape()).unwrap(); }
        let p = t.elapsed() / rounds as u32;
        let t = Instant::now();
        let mut k = 0;
        for _ in 0..rounds { m.run(&rules, event, 1_795_000_000_000, &kv, &mut |_, v| k += usize::from(v == Verdict::True)).unwrap(); }
        println!("{n} rules: compile {c:?}, parse {p:?}, run {:?}, matches {}", t.elapsed() / rounds as u32, k / rounds);
    }
    let t = Instant::now();
    for _ in 0..20000 { ParsedEvent::parse(event, &Shape::everything()).unwrap(); }
    println!("parse all {:?}", t.elapsed() / 20000);
}
