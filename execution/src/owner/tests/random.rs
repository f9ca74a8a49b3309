//! Whatever comes in whatever order: the history of an execution follows the edges, ends once, and leaves nothing.

use proptest::prelude::*;

use super::model::{DEDUP_MS, Do, LEASE_MS, Model, START_MS};
use crate::owner::DeclineReason;
use crate::state::EDGES;
use crate::status::Status;

const SWITCHES: [&str; 3] = ["everything", "action/demo.ok", "rule/demo.rule"];

fn step() -> impl Strategy<Value = Do> {
    let execution = 0..3_u8;
    let action = prop::sample::select(vec![
        "demo.ok",
        "demo.again",
        "demo.soon",
        "demo.once",
        "demo.bad",
        "demo.missing",
        "demo.late",
        "demo.lost",
    ]);
    let revision = prop::sample::select(vec!["now", "now", "later"]);
    let ended = prop::sample::select(vec!["succeeded", "failed", "timeout", "canceled", "abandoned"]);
    let reason = prop::sample::select(vec![
        DeclineReason::Full,
        DeclineReason::Late,
        DeclineReason::ShuttingDown,
        DeclineReason::NotFollowing,
        DeclineReason::TooSmall,
        DeclineReason::SwitchedOff,
        DeclineReason::WindowClosed,
    ]);
    let switch = prop::sample::select(SWITCHES.to_vec());
    let report = (execution.clone(), 1..4_i64);
    prop_oneof![
        4 => (execution.clone(), action, revision).prop_map(|(n, action, revision)| Do::Request(n, action, revision)),
        4 => report.clone().prop_map(|(n, token)| Do::Claim(n, token)),
        1 => report.clone().prop_map(|(n, token)| Do::ClaimBy(n, token, "v")),
        2 => report.clone().prop_map(|(n, token)| Do::Beat(n, token)),
        1 => report.clone().prop_map(|(n, token)| Do::Ask(n, token)),
        3 => (report.clone(), ended).prop_map(|((n, token), status)| Do::Result(n, token, status)),
        1 => report.clone().prop_map(|(n, token)| Do::Final(n, token, "failed")),
        1 => execution.clone().prop_map(Do::Early),
        2 => (report.clone(), reason).prop_map(|((n, token), reason)| Do::Decline(n, token, reason)),
        2 => (report, any::<bool>()).prop_map(|((n, token), begun)| Do::HandOver(n, token, begun)),
        1 => execution.prop_map(Do::Cancel),
        3 => (0..2 * LEASE_MS).prop_map(Do::Wait),
        1 => (0..2 * START_MS).prop_map(Do::Wait),
        1 => Just(Do::Pause),
        1 => Just(Do::Resume),
        1 => (switch.clone(), prop::option::of(0..3 * START_MS), any::<bool>())
            .prop_map(|(scope, for_ms, drops)| Do::Off(scope, for_ms.map(|ms| 1_000_000 + ms), drops)),
        1 => switch.prop_map(Do::On),
        1 => Just(Do::Arrive),
        1 => Just(Do::Vanish),
        1 => prop::sample::select(vec![None, Some("default")]).prop_map(Do::Beside),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_follow_the_edges(steps in prop::collection::vec(step(), 1..80)) {
        let mut model = Model::new();
        for what in &steps {
            model.act(what);
            for history in model.history.values() {
                let mut before = Status::Requested;
                for (number, (sequence, status)) in history.iter().enumerate() {
                    prop_assert_eq!(*sequence, number as i64 + 1);
                    prop_assert!(EDGES.contains(&(before, *status)), "{before:?} to {status:?}: {history:?}");
                    before = *status;
                }
            }
        }
        // Nobody says anything any more: everything ends, and is forgotten.
        model.act(&Do::Beside(None));
        model.act(&Do::Resume);
        for switch in SWITCHES {
            model.act(&Do::On(switch));
        }
        model.act(&Do::Vanish);
        model.act(&Do::Wait(3 * (START_MS + LEASE_MS) + DEDUP_MS));
        prop_assert!(model.states.is_empty(), "{:?}", model.history);
        prop_assert!(model.timers.is_empty() && model.waiting.is_empty());
    }
}
