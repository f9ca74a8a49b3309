//! The suite on the simulated log, with members that have caches of their state.

use petrel_conformance_tests::{SimUnderTest, conformance};

conformance!(sim_with_stores, SimUnderTest::with_stores);
