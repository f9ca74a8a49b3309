//! The workflows of the pack, which rules ask for, and the actions that tasks run.

use super::outcome::{LIMITED, ONCE, STEP};

/// References of the workflows of the pack.
pub const NAMES: [&str; 5] = [PATROL, ROLLOUT, COUNT, TEMPLATE, GATED_TEMPLATE];
/// Those that come to the same whatever ends first, also where they fail.
pub const EXACT: [&str; 1] = [COUNT];
/// Items, two branches and a workflow within it.
pub const PATROL: &str = "sim.patrol";
/// What was done is undone, because its last task fails.
pub const ROLLOUT: &str = "sim.rollout";
/// A cycle.
pub const COUNT: &str = "sim.count";
/// Random workflows have its parameters.
pub const TEMPLATE: &str = "sim.loose";
/// Random workflows behind a gate have its parameters and policies.
pub const GATED_TEMPLATE: &str = "sim.narrow";
/// Reference of the policy of workflows.
pub const POLICY_OF_WORKFLOWS: &str = "sim.a_narrow";
/// Reference of the policy of tasks.
pub const POLICY_OF_TASKS: &str = "sim.b_limited";
/// Most of those at once that have the one or the other.
pub const AT_ONCE_MAX: usize = 2;

const PATROL_TEXT: &str = r#"version: 1.0
input:
  - n
vars:
  - seen: 0
  - left: 0
  - right: 0
  - rounds: 0
output:
  - out: <% ctx(seen) + ctx(left) + ctx(right) + ctx(rounds) %>
tasks:
  look:
    with:
      items: i in <% list(1, 2, 3) %>
      concurrency: 2
    action: sim.step
    input:
      value: <% item(i) + ctx(n) %>
    next:
      - when: <% succeeded() %>
        publish:
          - seen: '<% result().select(int($.stdout.split(" ").last())).sum() %>'
        do: left, right
  left:
    action: sim.say
    input:
      message: <% ctx(seen) + 1 %>
    next:
      - when: <% succeeded() %>
        publish:
          - left: <% result().message %>
        do: meet
  right:
    action: sim.limited
    input:
      value: 5
      outcome: fail
    next:
      - when: <% failed() %>
        publish:
          - right: -1
        do: mend
  mend:
    action: sim.once
    input:
      value: <% ctx(right) %>
    next:
      - when: <% succeeded() %>
        do: meet
  meet:
    join: all
    action: sim.count
    input:
      n: <% ctx(n) %>
    next:
      - when: <% succeeded() %>
        publish:
          - rounds: <% result().output.out %>
        do: noop
"#;

const ROLLOUT_TEXT: &str = r#"version: 1.0
input:
  - n
vars:
  - done: 0
output:
  - out: ${ctx.done}
tasks:
  prepare:
    action: sim.step
    input: {value: "${ctx.n}"}
    undo: {action: sim.say, input: {message: back}}
    next:
      - on: succeeded
        do: spread
  spread:
    map: {items: [1, 2, 3, 4], as: i, chunk: 2, concurrency: 2, failures_max: 1}
    action: sim.step
    input: {value: "${item.i}"}
    undo: {action: sim.step, input: {value: 0}}
    next:
      - on: succeeded
        publish:
          - done: <% result().results.len() %>
        do: watch
  watch:
    action: sim.step
    input: {value: 1, outcome: hang}
    timeout: 2s
    next:
      - on: timeout
        do: check
  check:
    action: sim.limited
    input: {value: 1, outcome: fail}
finally:
  - action: sim.say
    input: {message: <% ctx().workflow.status %>}
"#;

const COUNT_TEXT: &str = r#"version: 1.0
input:
  - n
vars:
  - round: 0
output:
  - out: <% ctx(round) %>
tasks:
  enter:
    action: sim.say
    input:
      message: 0
    next:
      - when: <% succeeded() %>
        do: again
  again:
    action: sim.say
    input:
      message: <% ctx(round) + 1 %>
    next:
      - when: <% succeeded() and ctx(round) < 2 %>
        publish:
          - round: <% result().message %>
        do: again
      - when: <% succeeded() and ctx(round) >= 2 %>
        publish:
          - round: <% result().message + ctx(n) %>
        do: noop
"#;

const TEMPLATE_TEXT: &str =
    "version: 1.0\ninput: [n]\ntasks:\n  only: {action: sim.say, input: {message: <% ctx(n) %>}}\n";

/// Files of the pack: path and text.
pub fn files(pool: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (reference, runner, text) in [
        (PATROL, "orquesta", PATROL_TEXT),
        (ROLLOUT, "workflow", ROLLOUT_TEXT),
        (COUNT, "orquesta", COUNT_TEXT),
        (TEMPLATE, "orquesta", TEMPLATE_TEXT),
        (GATED_TEMPLATE, "orquesta", TEMPLATE_TEXT),
    ] {
        let name = reference.trim_start_matches("sim.");
        let action = format!(
            "name: {name}\nrunner: {runner}\nworkflow: workflows/{name}.yaml\nparameters:\n  n: {{ type: integer, default: 0 }}\n"
        );
        files.push((format!("actions/{name}.yaml"), action));
        files.push((format!("workflows/{name}.yaml"), text.to_owned()));
    }
    for (reference, delivery) in [(STEP, "at_least_once"), (LIMITED, "at_least_once"), (ONCE, "at_most_once")] {
        let name = reference.trim_start_matches("sim.");
        let action = format!(
            "name: {name}\nrunner: command\ncommand: [\"true\"]\ntimeout: 15s\npool: {pool}\ndelivery: {delivery}\nparameters:\n  \
             value: {{ type: integer, default: 0 }}\n  outcome: {{ type: string, default: ok }}\n"
        );
        files.push((format!("actions/{name}.yaml"), action));
    }
    let say = format!(
        "name: say\nrunner: echo\nmessage: \"${{parameters.message}}\"\npool: {pool}\nparameters:\n  message: {{ required: true }}\n"
    );
    files.push(("actions/say.yaml".to_owned(), say));
    for (policy, action) in [(POLICY_OF_WORKFLOWS, GATED_TEMPLATE), (POLICY_OF_TASKS, LIMITED)] {
        let name = policy.trim_start_matches("sim.");
        let text = format!("name: {name}\nactions: [{action}]\nconcurrency: {{ max: {AT_ONCE_MAX} }}\n");
        files.push((format!("policies/{name}.yaml"), text));
    }
    files
}
