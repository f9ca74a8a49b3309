//! `needs` of an action: what it takes of its worker while it runs.

use petrel_execution::{Needs, cpu_milli, memory_bytes};

use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape, wrong_type};
use crate::yaml::{Data, Node};

const SHAPE: Shape = Shape { what: "\"needs\"", known: &["memory", "cpu"], later: &[] };

/// Nothing if the key is not there, or has a problem.
pub(super) fn read(fields: &Fields<'_>, is_instant: bool, report: &mut Report<'_>) -> Option<Located<Needs>> {
    let node = fields.get("needs", report)?;
    let before = report.count();
    let inner = Fields::open(node, &SHAPE, report)?;
    let memory_bytes = inner.get("memory", report).map(|node| memory(node, report));
    let cpu_milli = inner.get("cpu", report).map(|node| cpu(node, report));
    if is_instant {
        report.add(node.at, Code::BadValue, "its runner takes no slot of a worker, so it needs nothing");
    } else if memory_bytes.is_none() && cpu_milli.is_none() && report.count() == before {
        let message = "\"needs\" names neither \"memory\" nor \"cpu\"; leave the key out to need nothing";
        report.add(node.at, Code::BadValue, message);
    }
    let needs = Needs { memory_bytes: memory_bytes.unwrap_or_default(), cpu_milli: cpu_milli.unwrap_or_default() };
    (report.count() == before).then(|| Located::new(needs, report.place(node.at)))
}

fn memory(node: &Node, report: &mut Report<'_>) -> u64 {
    let bytes = match &node.data {
        Data::Text(text, _) => memory_bytes(text),
        Data::Number(number) => number.as_u64(),
        _ => return wrong(node, "needs.memory", "a text such as 2GiB, or a number of bytes", report),
    };
    bytes.filter(|bytes| *bytes > 0).unwrap_or_else(|| {
        let message = "\"needs.memory\" must be a whole number of KiB, MiB, GiB or TiB, such as 2GiB, or of bytes";
        report.add(node.at, Code::BadValue, message);
        0
    })
}

fn cpu(node: &Node, report: &mut Report<'_>) -> u64 {
    let Data::Number(number) = &node.data else {
        return wrong(node, "needs.cpu", "a number of processors such as 0.5", report);
    };
    number.as_f64().and_then(cpu_milli).unwrap_or_else(|| {
        let message = "\"needs.cpu\" must be a number of processors such as 0.5, from 0.01 to 4096";
        report.add(node.at, Code::BadValue, message);
        0
    })
}

fn wrong(node: &Node, key: &str, wanted: &str, report: &mut Report<'_>) -> u64 {
    wrong_type(node, key, wanted, report);
    0
}
