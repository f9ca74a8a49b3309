//! The suite on the simulated log.

use petrel_conformance_tests::{SimUnderTest, conformance};

conformance!(sim, SimUnderTest::fresh);
conformance!(sim_with_stores, SimUnderTest::with_stores);
