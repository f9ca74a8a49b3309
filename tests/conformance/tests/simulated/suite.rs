//! The suite on the simulated log, without and with stores that outlive a driver.

use petrel_conformance_tests::{SimUnderTest, conformance};

mod without_stores {
    use super::*;

    conformance!(sim, SimUnderTest::fresh);
}

mod with_stores {
    use super::*;

    conformance!(sim, SimUnderTest::with_stores);
}
