//! Requirements of Python code, in the form of `requirements.txt`.

/// Options of a line that may stand in there: they choose among what an index has.
const OPTIONS: [&str; 4] = ["--pre", "--prefer-binary", "--only-binary", "--no-binary"];

/// Why a line is refused, if it is: packages come from where the worker's configuration says, and from nowhere else.
pub fn refused(line: &str) -> Option<String> {
    let line = stripped(line);
    let option = line.split([' ', '\t', '=']).next().unwrap_or_default();
    if line.starts_with('-') && !OPTIONS.contains(&option) {
        return Some(format!(
            "{option:?} is no requirement: an option may be one of {}, and where packages come from is said by \
             executor.python.index_url of the worker",
            OPTIONS.join(", ")
        ));
    }
    (line.contains("://") && !line.contains("file://")).then(|| {
        "a package comes from executor.python.index_url of the worker, from a file of the pack, or from no place"
            .to_owned()
    })
}

/// Whether what is installed depends on files beside the text itself, of the pack or of the machine.
pub fn depends_on_files(text: &str) -> bool {
    text.lines().map(stripped).any(|line| line.starts_with(['.', '/']) || line.contains("file:") || line.contains('@'))
}

/// Without a comment and blanks.
fn stripped(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') {
        return "";
    }
    line.split(" #").next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_packages_come_from_is_not_for_a_pack_to_say() {
        let may = ["requests==2.31 # -i x", "# --index-url x", "", "  six>=1; python_version < '4'", "./wheels/a.whl"];
        for line in may.iter().chain(&["--pre", "--only-binary :all:", "--no-binary=six", "a @ file:///opt/a.whl"]) {
            assert_eq!(refused(line), None, "{line}");
        }
        for line in [
            "-i https://x",
            "--index-url=https://x",
            "--extra-index-url https://x",
            "-r other.txt",
            "-e .",
            "--trusted-host x",
            "-f https://x",
            "a @ https://x/a.whl",
            "git+https://x/a.git",
        ] {
            assert!(refused(line).is_some(), "{line}");
        }
    }

    #[test]
    fn a_text_that_names_files_is_not_all_that_counts() {
        for (text, depends) in [
            ("six\nrequests[socks]==2\n# ./a", false),
            ("six\n./wheels/a.whl", true),
            ("/opt/a.whl", true),
            ("a @ ./a.whl", true),
        ] {
            assert_eq!(depends_on_files(text), depends, "{text}");
        }
    }
}
