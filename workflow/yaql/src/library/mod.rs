//! The functions of YAQL 3.2, a file for each of its groups.

mod system;

use crate::function::{Layer, Register};

/// The standard library.
pub(crate) fn standard(delegates: bool) -> Layer {
    let mut layer = Layer::default();
    let mut register = Register { layer: &mut layer };
    system::register(&mut register, delegates);
    layer
}

/// What is tried when nothing in the standard library takes the arguments.
pub(crate) fn fallbacks() -> Layer {
    let mut layer = Layer::default();
    system::register_fallbacks(&mut Register { layer: &mut layer });
    layer
}

/// The functions of YAQL 0.2.
pub(crate) fn legacy(_standard: &Layer, _tuples: bool) -> Layer {
    Layer::default()
}
