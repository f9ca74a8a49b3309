//! What a reader would stumble over.

use std::path::Path;

use crate::sources::Source;
use crate::workspace::Crate;

const RUST_LINES_MAX: usize = 500;

/// Test files that may sleep, and why.
const MAY_SLEEP: [(&str, &str); 1] =
    [("tests/support/src/wait.rs", "the polling that replaces sleeping everywhere else")];

/// Left behind by somebody at work. Written in pieces, or this file would be reported itself.
const LEFTOVERS: [(&str, &str); 3] = [
    (concat!("dbg", "!("), "debug output"),
    (concat!("todo", "!("), "an unfinished place"),
    (concat!("unimplemented", "!("), "an unfinished place"),
];
const TERMINAL: [&str; 4] =
    [concat!("print", "ln!("), concat!("eprint", "ln!("), concat!("print", "!("), concat!("eprint", "!(")];
const IGNORED_TEST: &str = concat!("#[ig", "nore");
const SLEEP: &str = concat!("thread::", "sleep");
const NO_DOCS: &str = concat!("allow(missing", "_docs)");

/// Where somebody's own machine keeps things.
const MACHINE_PATHS: [&str; 5] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/"), concat!("C:", "\\")];

/// Package registries: which one is used is for the machine's configuration to say.
const REGISTRIES: [&str; 9] = [
    concat!("registry.", "npmjs"),
    concat!("registry.", "yarnpkg"),
    concat!("npm", "mirror.com"),
    concat!("repo.maven.", "apache"),
    concat!("repo1.", "maven"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("files.python", "hosted"),
    concat!("arti", "factory"),
];

/// Problems of one Rust file.
pub fn rust_problems(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let path = source.path.display();
    let lines = source.text.lines().count();
    if lines > RUST_LINES_MAX {
        problems.push(format!("{path}: {lines} lines; at most {RUST_LINES_MAX}: split it by idea"));
    }
    for (number, line) in source.code_lines() {
        let mut report = |what: String| problems.push(format!("{path}:{number}: {what}"));
        for (text, what) in LEFTOVERS {
            if contains_macro(line, text) {
                report(format!("{what}: {}", line.trim()));
            }
        }
        if line.contains(IGNORED_TEST) {
            report("an ignored test: make it pass or delete it".to_owned());
        }
        if line.contains(NO_DOCS) {
            report("public items have documentation".to_owned());
        }
    }
    if !may_print(&source.path) {
        for (number, line) in source.product_lines() {
            if TERMINAL.iter().any(|text| contains_macro(line, text)) {
                problems.push(format!("{path}:{number}: output from a library: {}", line.trim()));
            }
        }
    }
    if !MAY_SLEEP.iter().any(|(file, _)| source.path == Path::new(file)) {
        let mut before = "";
        for (number, line) in source.test_lines() {
            // A clock that tests are given must be able to sleep: that is what its trait asks for.
            let of_a_clock = before.trim_start().starts_with("fn sleep(&self");
            if line.contains(SLEEP) && !of_a_clock {
                problems.push(format!("{path}:{number}: a test that sleeps: wait for the condition instead"));
            }
            before = line;
        }
    }
    problems
}

/// Binaries talk to their terminal; xtask and the benches are nothing but binaries.
fn may_print(path: &Path) -> bool {
    let binary = path.ends_with("src/main.rs") || path.iter().any(|part| part == "bin" || part == "cli");
    binary || ["xtask", "tests/bench", "tests/rulesbench"].iter().any(|folder| path.starts_with(folder))
}

/// Whether `line` calls the macro `text`, and not one whose name only ends like it.
fn contains_macro(line: &str, text: &str) -> bool {
    line.match_indices(text)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// Problems of any text file: traces of the machine that it was written on.
pub fn text_problems(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        let mut report =
            |what: &str| problems.push(format!("{}:{}: {what}: {}", source.path.display(), at + 1, line.trim()));
        if MACHINE_PATHS.iter().any(|path| contains_path(line, path)) {
            report("a path of somebody's machine");
        }
        if REGISTRIES.iter().any(|host| line.contains(host)) {
            report("a package registry");
        }
    }
    problems
}

/// Whether an absolute path begins in `line`: not within a longer one or an address.
fn contains_path(line: &str, path: &str) -> bool {
    let inside = |before: char| before.is_alphanumeric() || "._-/}*~".contains(before);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(inside))
}

/// npm's lock file must hold integrities, and not the address of the registry that it was made with.
pub fn lock_file_problems(source: &Source) -> Vec<String> {
    if !source.path.ends_with("package-lock.json") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let path = source.path.display();
    if source.text.contains("\"resolved\": \"http") {
        problems.push(format!("{path}: names a registry; set omit-lockfile-registry-resolved=true in .npmrc"));
    }
    if !source.text.contains("\"integrity\": \"sha512-") {
        problems.push(format!("{path}: pins nothing: no integrity"));
    }
    problems
}

/// Every crate has the workspace's lints, of which one is that public items are documented.
pub fn lints_problems(one: &Crate, manifest: &str) -> Option<String> {
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    let inherits = lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]);
    (!inherits).then(|| format!("{}: no `[lints] workspace = true`", one.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        let source = Source::new(path, text);
        let problems = [rust_problems(&source), text_problems(&source), lock_file_problems(&source)].concat();
        assert_eq!(problems.len(), expected.len(), "{path}: {text}: {problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem} lacks {expected}");
        }
    }

    #[test]
    fn long_files() {
        check("x/src/a.rs", &"\n".repeat(500), &[]);
        check("x/src/a.rs", &"\n".repeat(501), &["x/src/a.rs: 501 lines"]);
        check("x/src/a.md", &"\n".repeat(501), &[]);
    }

    #[test]
    fn leftovers() {
        for (text, what) in LEFTOVERS {
            check("x/src/a.rs", &format!("fn a() {{ {text}) }}"), &[what]);
            check("x/tests/a.rs", &format!("fn a() {{ {text}) }}"), &[what]);
            check("x/src/a.rs", &format!("fn a() {{ my_{text}) }}"), &[]);
            check("x/src/a.rs", &format!("// {text})"), &[]);
        }
        check("x/tests/a.rs", &format!("#[test]\n{IGNORED_TEST}]\nfn a() {{}}"), &["x/tests/a.rs:2: an ignored test"]);
        check("x/src/lib.rs", &format!("#![{NO_DOCS}]"), &["public items"]);
    }

    #[test]
    fn output_only_from_binaries_and_tests() {
        for text in TERMINAL {
            let line = format!("fn a() {{ {text}\"a\") }}");
            check("x/src/a.rs", &line, &["output from a library"]);
            check("x/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{line}\n}}"), &[]);
            for allowed in ["x/tests/a.rs", "x/src/main.rs", "x/src/bin/a.rs", "server/src/cli/a.rs", "xtask/src/up.rs"]
            {
                check(allowed, &line, &[]);
            }
        }
    }

    #[test]
    fn tests_wait_instead_of_sleeping() {
        let line = format!("std::{SLEEP}(second);");
        check("x/tests/a.rs", &line, &["a test that sleeps"]);
        check("x/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{line}\n}}"), &["x/src/a.rs:3: a test that sleeps"]);
        check("x/src/a.rs", &line, &[]);
        check("x/tests/a.rs", &format!("fn sleep(&self, time: Duration) {{\n{line}\n}}"), &[]);
        check(MAY_SLEEP[0].0, &line, &[]);
    }

    #[test]
    fn traces_of_a_machine() {
        for path in MACHINE_PATHS {
            check("a.md", &format!("see {path}me/x"), &["a path of somebody's machine"]);
            check("a.yaml", &format!("dir: \"{path}me\""), &["a path of somebody's machine"]);
        }
        let [_, home, ..] = MACHINE_PATHS;
        check("a.md", &format!("https://example.org{home}page"), &[]);
        check("a.rs", &format!("let a = root.join(\"data{home}x\");"), &[]);
        for host in REGISTRIES {
            check("a.toml", &format!("url = \"https://{host}.example\""), &["a package registry"]);
        }
    }

    #[test]
    fn lock_files_pin_without_a_registry() {
        let good = "\"version\": \"1.0.0\",\n\"integrity\": \"sha512-abc\"";
        check("d/package-lock.json", good, &[]);
        check("d/package-lock.json", "{}", &["pins nothing"]);
        let bad = format!("{good},\n\"resolved\": \"https://example.org/a.tgz\"");
        check("d/package-lock.json", &bad, &["names a registry"]);
    }

    #[test]
    fn every_crate_takes_the_lints() {
        let one = Crate { name: "x".into(), dir: "x".into(), level: Some(0), dependencies: Vec::new() };
        assert_eq!(lints_problems(&one, "[lints]\nworkspace = true\n"), None);
        let problem = lints_problems(&one, "[lints.rust]\nworkspace = true\n");
        assert_eq!(problem.as_deref(), Some("x: no `[lints] workspace = true`"));
    }
}
