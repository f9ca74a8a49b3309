//! What is made of the end of a process: whether it has succeeded, and with which result.

use petrel_execution::code;
use petrel_execution::runner::ProcessCall;
use petrel_execution::worker::{Exit, Why};

/// Judges a process by what its action says of exit codes and of its standard output. What did not end by itself stays as
/// it is.
pub(in super::super) fn judged(exit: Exit, call: &ProcessCall) -> Exit {
    let (Why::Exited, Some(return_code)) = (exit.why, exit.return_code) else { return exit };
    let result = call.output.as_ref().map(|output| output.result(&exit.stdout));
    if !u16::try_from(return_code).is_ok_and(|code| call.success.contains(code)) {
        // What failed may say why in its output, and need not keep to anything.
        let failed = Exit { result: result.and_then(Result::ok), ..exit };
        return match return_code {
            0 => {
                let error = Some("exit code 0 is none of its success_codes".to_owned());
                Exit { why: Why::Failed { code: code::EXIT_CODE, retriable: true }, error, ..failed }
            }
            _ => failed,
        };
    }
    match result.transpose() {
        Err(error) => {
            let why = Why::Failed { code: code::OUTPUT_INVALID, retriable: false };
            Exit { why, error: Some(error.to_string()), ..exit }
        }
        Ok(result) if return_code == 0 => Exit { result, ..exit },
        Ok(result) => Exit { why: Why::Succeeded, result, ..exit },
    }
}

#[cfg(test)]
mod tests {
    use petrel_execution::Stream;
    use petrel_execution::runner::{PackFiles, Rendering, RunnerCall, RunnerSpec};
    use serde_json::{Value, json};

    use super::*;

    struct NoFiles;

    impl PackFiles for NoFiles {
        fn executable(&self, _: &str) -> Option<bool> {
            None
        }

        fn hint(&self, _: &str) -> String {
            String::new()
        }
    }

    fn judge(keys: Value, why: Why, return_code: Option<i32>, stdout: &str) -> Exit {
        let Value::Object(mut keys) = keys else { panic!("keys are a mapping") };
        keys.insert("command".to_owned(), json!(["x"]));
        let spec = RunnerSpec::parse("command", &keys, &NoFiles).unwrap();
        let rendering = Rendering { parameters: &json!({}), secrets: &Value::Null, execution_id: "e", attempt: 1 };
        let Ok(RunnerCall::Command(call)) = spec.render(rendering) else { panic!("not rendered") };
        let stdout = Stream { bytes: stdout.as_bytes().to_vec(), truncated: false };
        judged(Exit { return_code, stdout, ..Exit::bare(why, None) }, &call.process)
    }

    #[test]
    fn exit_codes_and_output_decide() {
        let json_output = json!({"output": {"format": "json"}});
        let codes = json!({"success_codes": ["2-3"], "output": {"format": "json"}});
        let failed = |code| Why::Failed { code, retriable: code == code::EXIT_CODE };
        let cases = [
            (json!({}), Some(0), "x", Why::Exited, None),
            (json!({}), Some(1), "x", Why::Exited, None),
            (json_output.clone(), Some(0), "[1]", Why::Exited, Some(json!([1]))),
            (json_output.clone(), Some(0), "x", failed(code::OUTPUT_INVALID), None),
            (json_output.clone(), Some(9), "x", Why::Exited, None),
            (json_output, Some(9), "{}", Why::Exited, Some(json!({}))),
            (codes.clone(), Some(3), "5", Why::Succeeded, Some(json!(5))),
            (codes.clone(), Some(3), "", failed(code::OUTPUT_INVALID), None),
            (codes.clone(), Some(0), "5", failed(code::EXIT_CODE), Some(json!(5))),
            (codes, Some(4), "5", Why::Exited, Some(json!(5))),
        ];
        for (keys, return_code, stdout, why, result) in cases {
            let exit = judge(keys.clone(), Why::Exited, return_code, stdout);
            assert_eq!((exit.why, exit.result, exit.return_code), (why, result, return_code), "{keys} {stdout}");
        }
    }

    #[test]
    fn what_did_not_end_by_itself_has_no_result() {
        let output = json!({"output": {"format": "text"}});
        for (why, return_code) in [(Why::Timeout, Some(0)), (Why::Stopped, None), (Why::Exited, None)] {
            let exit = judge(output.clone(), why, return_code, "x");
            assert_eq!((exit.why, exit.result), (why, None));
        }
    }
}
