//! What the tasks of workflows come to: a function of their parameters, whoever runs them, and however often.

use petrel_execution::Status;
use serde_json::{Value, json};

use super::people;

/// The action that takes a while.
pub const STEP: &str = "sim.step";
/// The same one behind a gate.
pub const LIMITED: &str = "sim.limited";
/// The same one, which runs at most once.
pub const ONCE: &str = "sim.once";
/// The action that results in its message at once.
pub const SAY: &str = "sim.say";
/// The actions that take a while.
pub const STEPS: [&str; 3] = [STEP, LIMITED, ONCE];
/// Codes of ends that are nobody's outcome: faults have brought them about.
const OF_FAULTS: [&str; 6] =
    ["schedule_to_start", "lost_leases_max", "lease_lost", "handed_over", "supervisor_lost", "policy_out_of_order"];

/// How an action ends that takes a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// With the exit code 0.
    Well,
    /// With another one.
    Badly,
    /// Not by itself.
    Never,
}

/// How an action ends that takes a while, by its parameters.
pub fn ends(parameters: &Value) -> Ends {
    match parameters["outcome"].as_str() {
        Some("fail") => Ends::Badly,
        Some("hang") => Ends::Never,
        _ => Ends::Well,
    }
}

/// What it writes behind what every action writes.
pub fn says(parameters: &Value) -> String {
    format!(" value {}", parameters["value"])
}

/// Whether faults have ended an execution, by the code of its last row.
pub fn is_of_faults(code: Option<&str>) -> bool {
    code.is_some_and(|code| OF_FAULTS.contains(&code))
}

/// How an attempt at an action ends that nothing interferes with, and what its workflow is told; nothing where it does not
/// end.
pub fn of_task(action: &str, parameters: &Value) -> Option<(Status, Value)> {
    if action == SAY {
        return Some((Status::Succeeded, json!({ "message": parameters["message"] })));
    }
    if action == people::ASK {
        let mut value = parameters.clone();
        value["response"] = people::answer(parameters)?.into();
        return Some((Status::Succeeded, value));
    }
    let (status, code) = match ends(parameters) {
        Ends::Well => (Status::Succeeded, 0),
        Ends::Badly => (Status::Failed, 1),
        Ends::Never => return None,
    };
    let stdout = format!("attempt 1 token 1{}", says(parameters));
    let succeeded = code == 0;
    let mut value = json!({
        "stdout": stdout, "stderr": "", "return_code": code, "succeeded": succeeded, "failed": !succeeded,
    });
    if !succeeded {
        value["code"] = json!("exit_code");
        value["error"] = Value::Null;
    }
    Some((status, value))
}
