//! Packs for the tests of this crate.

use crate::pack::{PackFile, PackSource};
use crate::problems::Problems;
use crate::revision::Revision;

/// A pack of text files; those that end in `.sh` are executable.
pub(crate) fn source(label: &str, files: &[(&str, &str)]) -> PackSource {
    let file = |(path, text): &(&str, &str)| PackFile {
        path: (*path).to_owned(),
        bytes: text.as_bytes().to_vec(),
        executable: path.ends_with(".sh"),
    };
    PackSource { label: label.to_owned(), files: files.iter().map(file).collect(), special: Vec::new() }
}

/// The pack of DESIGN §5, without what this version does not have.
pub(crate) fn disk() -> Vec<(&'static str, &'static str)> {
    vec![
        ("pack.yaml", "name: disk\nversion: 1.0.0\ndescription: Keep file systems from filling up\n"),
        (
            "triggers/alert.yaml",
            "name: alert\nsource: { kafka: { topic: monitoring.alerts, format: json } }\n\
             schema:\n  type: object\n  required: [host, mount, used_pct]\n  properties:\n    \
             host: { type: string }\n    mount: { type: string }\n    used_pct: { type: number }\n",
        ),
        (
            "rules/clean_tmp.yaml",
            "name: clean_tmp\ntrigger: disk.alert\n\
             criteria: trigger.used_pct > 90.0 && trigger.mount == \"/tmp\" && !(trigger.host in kv.frozen_hosts)\n\
             action:\n  ref: disk.clean\n  parameters: { host: \"${trigger.host}\", older_than: 7d }\n\
             tests:\n  - given: { host: db-1, mount: /tmp, used_pct: 95.0 }\n    kv: { frozen_hosts: {} }\n    \
             expect: { action: disk.clean, parameters: { host: db-1 } }\n",
        ),
        (
            "actions/clean.yaml",
            "name: clean\nrunner: command\ncommand: [./clean.sh, \"${parameters.host}\", \"${parameters.older_than}\"]\n\
             parameters:\n  host: { type: string, required: true }\n  older_than: { type: string, default: 7d }\n\
             timeout: 10m\ndelivery: at_least_once\n",
        ),
        ("actions/clean.sh", "#!/bin/sh\necho \"$1\" \"$2\"\n"),
    ]
}

/// The disk pack with some files replaced or added; an empty text removes one.
pub(crate) fn disk_with(changes: &[(&'static str, &'static str)]) -> PackSource {
    let mut files = disk();
    files.retain(|(path, _)| !changes.iter().any(|(changed, _)| changed == path));
    files.extend(changes.iter().filter(|(_, text)| !text.is_empty()));
    source("", &files)
}

/// Loads packs that must be right.
pub(crate) fn load(sources: Vec<PackSource>) -> Revision {
    Revision::load(sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of packs that must be wrong, one a line.
pub(crate) fn problems(sources: Vec<PackSource>) -> Problems {
    match Revision::load(sources) {
        Ok(revision) => panic!("accepted as {}", revision.hash()),
        Err(problems) => problems,
    }
}
