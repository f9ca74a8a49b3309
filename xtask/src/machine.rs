//! What the machine must have, said all at once and before anything is built.

use anyhow::{Result, bail};
use petrel_testkit::{JAVA_HINT, MAVEN_HINT, java_major, program_exists};

/// A program that is needed, and how to get it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    program: &'static str,
    what_and_how: &'static str,
}

/// For librdkafka, OpenSSL and zstd, which are built from source.
pub(crate) const TO_BUILD: [Tool; 5] = [
    Tool {
        program: "cc",
        what_and_how: "a C compiler (Debian: apt install build-essential; macOS: xcode-select --install)",
    },
    Tool {
        program: "c++",
        what_and_how: "a C++ compiler (Debian: apt install build-essential; macOS: xcode-select --install)",
    },
    Tool { program: "make", what_and_how: "make (Debian: apt install build-essential; macOS: xcode-select --install)" },
    Tool { program: "bash", what_and_how: "bash, for librdkafka's configure (Debian: apt install bash; macOS has it)" },
    Tool { program: "perl", what_and_how: "Perl, for OpenSSL's build (Debian: apt install perl; macOS has it)" },
];

/// For the ClickHouse engine library and the CEL specification's tests.
pub(crate) const FOR_NPM: [Tool; 2] = [
    Tool {
        program: "node",
        what_and_how: "Node.js 20 or newer, which prepares the CEL specification's tests (nodejs.org)",
    },
    Tool {
        program: "npm",
        what_and_how: "npm, which fetches the ClickHouse engine library and the CEL specification's tests (with Node.js)",
    },
];

/// For Apache Kafka. Java has a check of its own: its version matters.
pub(crate) const FOR_KAFKA: [Tool; 2] =
    [Tool { program: "java", what_and_how: JAVA_HINT }, Tool { program: "mvn", what_and_how: MAVEN_HINT }];

/// Fails with a list of everything that is missing.
pub(crate) fn require(tools: &[Tool]) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine lacks:\n  - {}", missing.join("\n  - "));
}

/// One line for each tool that is not there.
pub(crate) fn missing(tools: &[Tool]) -> Vec<String> {
    tools
        .iter()
        .filter(|tool| !is_there(tool.program))
        .map(|tool| format!("{}: {}", tool.program, tool.what_and_how))
        .collect()
}

fn is_there(program: &str) -> bool {
    match program {
        "java" => java_major().is_some_and(|major| major >= 17),
        _ => program_exists(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_missing_is_said_at_once() {
        let tools = [
            Tool { program: "cargo", what_and_how: "is here" },
            Tool { program: "no-such-program", what_and_how: "get it there" },
            Tool { program: "nor-this-one", what_and_how: "build it" },
        ];
        let error = require(&tools).unwrap_err().to_string();
        assert_eq!(error, "this machine lacks:\n  - no-such-program: get it there\n  - nor-this-one: build it");
        require(&tools[..1]).unwrap();
    }
}
