//! The suite on the local log.

use petrel_conformance_tests::{LocalUnderTest, conformance};

conformance!(local, LocalUnderTest::fresh);
