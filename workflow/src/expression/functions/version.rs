//! Semantic versions.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

use super::call::{Answer, Arguments, Function, FunctionError};
use crate::expression::Value;

pub(super) const TABLE: &[Function] = &[
    Function::new("version_compare", &["value", "pattern"], 2, compare),
    Function::new("version_more_than", &["value", "pattern"], 2, |args| is(args, Ordering::Greater)),
    Function::new("version_less_than", &["value", "pattern"], 2, |args| is(args, Ordering::Less)),
    Function::new("version_equal", &["value", "pattern"], 2, |args| is(args, Ordering::Equal)),
    Function::new("version_match", &["value", "pattern"], 2, matches),
    Function::new("version_bump_major", &["value"], 1, |args| bumped(args, |v| Version::new(v.major + 1, 0, 0))),
    Function::new("version_bump_minor", &["value"], 1, |args| bumped(args, |v| Version::new(v.major, v.minor + 1, 0))),
    Function::new("version_bump_patch", &["value"], 1, |args| {
        bumped(args, |v| Version::new(v.major, v.minor, v.patch + 1))
    }),
    Function::new("version_strip_patch", &["value"], 1, strip_patch),
];

/// A part of a version above this would not fit when it is counted up.
const PART_MAX: u64 = u64::MAX - 1;

fn version(text: &str) -> Result<Version, FunctionError> {
    let refused = || FunctionError::of_value(format!("{text} is not valid SemVer string"));
    let version = Version::parse(text).map_err(|_| refused())?;
    let fits = [version.major, version.minor, version.patch].into_iter().all(|part| part <= PART_MAX);
    if fits { Ok(version) } else { Err(refused()) }
}

fn ordering(args: &Arguments<'_>) -> Result<Ordering, FunctionError> {
    Ok(version(args.text(0)?)?.cmp_precedence(&version(args.text(1)?)?))
}

fn compare(args: &Arguments<'_>) -> Answer {
    Ok(Value::from(ordering(args)? as i64))
}

fn is(args: &Arguments<'_>, expected: Ordering) -> Answer {
    Ok(Value::Bool(ordering(args)? == expected))
}

fn matches(args: &Arguments<'_>) -> Answer {
    let pattern = args.text(1)?;
    let at = pattern.find(|c: char| !"<>=!".contains(c)).unwrap_or(pattern.len());
    let (operator, of) = pattern.split_at(at);
    let ordering = version(args.text(0)?)?.cmp_precedence(&version(of)?);
    Ok(Value::Bool(match operator {
        "" | "==" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        ">" => ordering.is_gt(),
        "<=" => ordering.is_le(),
        ">=" => ordering.is_ge(),
        _ => {
            let message = format!(
                "match_expr parameter should be in format <op><ver>, where <op> is one of ['<', '>', '==', '<=', '>=', \
                 '!=']. You provided: '{pattern}'"
            );
            return Err(FunctionError::of_value(message));
        }
    }))
}

/// The version after a step. What is behind a dash or a plus is gone, as it is in Python's library.
fn bumped(args: &Arguments<'_>, step: fn(&Version) -> Version) -> Answer {
    let from = version(args.text(0)?)?;
    let plain = Version { pre: Prerelease::EMPTY, build: BuildMetadata::EMPTY, ..from };
    Ok(Value::text(step(&plain).to_string()))
}

fn strip_patch(args: &Arguments<'_>) -> Answer {
    let version = version(args.text(0)?)?;
    Ok(Value::text(format!("{}.{}", version.major, version.minor)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::expression::functions::tests::check;

    #[test]
    fn versions_are_compared_matched_and_counted_up() {
        check(&[
            ("version_compare", json!(["0.10.1", "0.10.0"]), Ok(json!(1))),
            ("version_compare", json!(["1.0.0-rc1", "1.0.0"]), Ok(json!(-1))),
            ("version_compare", json!(["1.0.0+b", "1.0.0"]), Ok(json!(0))),
            ("version_more_than", json!(["0.10.1", "0.10.0"]), Ok(json!(true))),
            ("version_less_than", json!(["0.10.1", "0.10.0"]), Ok(json!(false))),
            ("version_equal", json!(["0.10.0", "0.10.0"]), Ok(json!(true))),
            ("version_match", json!(["0.10.1", ">=0.10.0"]), Ok(json!(true))),
            ("version_match", json!(["0.10.1", "!=0.10.1"]), Ok(json!(false))),
            ("version_match", json!(["0.10.1", "~0.10.1"]), Err("ValueError")),
            ("version_bump_major", json!(["0.10.1"]), Ok(json!("1.0.0"))),
            ("version_bump_minor", json!(["0.10.1"]), Ok(json!("0.11.0"))),
            ("version_bump_patch", json!(["0.10.1"]), Ok(json!("0.10.2"))),
            ("version_strip_patch", json!(["0.10.1"]), Ok(json!("0.10"))),
            ("version_bump_patch", json!(["18446744073709551615.0.0"]), Err("ValueError")),
            ("version_compare", json!(["1.0", "1.0.0"]), Err("ValueError: 1.0 is not valid SemVer string")),
        ]);
    }
}
