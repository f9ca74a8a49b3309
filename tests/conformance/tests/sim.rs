//! The suite on the simulated log.

use petrel_conformance_tests::{SimUnderTest, conformance};

conformance!(sim, SimUnderTest::fresh);
