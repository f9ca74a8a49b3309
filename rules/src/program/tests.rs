//! Programs that are longer than any criterion makes them.

use petrel_cel::{Arena, Paths, Slot, SlotId, Value};

use super::lower::{Cond, Leaf};
use super::{Builder, Memo, Out, Run, Scope};
use crate::kv::Kv;

#[test]
fn a_jump_too_far_is_decided_all_the_same() {
    let mut paths = Paths::new();
    let path = paths.child(SlotId::ROOT, "a");
    let is = |text| Cond::Leaf(Leaf::IsString(path, text));
    let long = std::iter::repeat_with(|| is("x")).take(20_000).collect();
    let mut builder = Builder::default();
    builder.add_cond(Cond::Or(vec![Cond::And(long), is("y")]));
    let programs = builder.finish();
    for (text, expected) in [("x", Out::TRUE), ("y", Out::TRUE), ("z", Out::FALSE)] {
        let (arena, kv, mut memo) = (Arena::new(), Kv::empty(), Memo::default());
        let slots = [Slot::Object, Slot::Value(Value::String(text))];
        memo.begin(programs.shared_leaves());
        let mut run = Run::new(&paths, &slots, Scope { now_ms: 0, kv: &kv }, &arena, &mut memo);
        run.turn_to(&programs, 0);
        assert_eq!(run.rule(0), expected, "{text}");
    }
}
