//! `pack.yaml`: what the pack is called.

use petrel_schemas::{EXECUTION_SPACE, SHARED_SPACE};

use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape};
use crate::yaml::Node;

const SHAPE: Shape = Shape {
    what: "a pack",
    known: &["name", "version", "description"],
    later: &[
        "ref",
        "keywords",
        "author",
        "email",
        "contributors",
        "python_versions",
        "stackstorm_version",
        "dependencies",
        "system",
        "path",
        "config",
    ],
};

pub(super) struct Manifest {
    pub(super) name: Located<String>,
    pub(super) version: String,
    pub(super) description: String,
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<Manifest> {
    let fields = Fields::open(node, &SHAPE, report)?;
    let name = fields.need_name(report);
    let version = fields.need_text("version", report);
    if let Some(version) = version.as_ref().filter(|v| !is_version(&v.value)) {
        let message = format!("{:?} is no version: write three numbers such as 1.0.0", version.value);
        report.add(version.place.at, Code::BadValue, message);
    }
    if let Some(name) = name.as_ref().filter(|name| [SHARED_SPACE, EXECUTION_SPACE].contains(&name.value.as_str())) {
        let message =
            format!("no pack is called {:?}: secrets that are no pack's have that name before theirs", name.value);
        report.add(name.place.at, Code::BadName, message);
    }
    let description = fields.description(report);
    let version = version.map(|version| version.value).unwrap_or_default();
    Some(Manifest { name: name?, version, description })
}

/// Three numbers, and after a `-` or `+` anything visible.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_graphic())
}
