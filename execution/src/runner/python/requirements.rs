//! Requirements of Python code, in the form of `requirements.txt`.

/// Options of a line that may stand in there: they choose among what an index has.
const OPTIONS: [&str; 4] = ["--pre", "--prefer-binary", "--only-binary", "--no-binary"];

/// Ends of names of files that are installed.
const ARCHIVES: [&str; 6] = [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"];
/// Schemes that lead elsewhere, also where an installer takes them without the slashes.
const ELSEWHERE: [&str; 8] = ["http:", "https:", "ftp:", "ssh:", "git+", "hg+", "svn+", "bzr+"];

/// Why a line is refused, if it is: packages come from where the worker's configuration says, and from nowhere else.
pub fn refused(line: &str) -> Option<String> {
    let line = stripped(line);
    let breaks = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    if line.contains(breaks) || line.ends_with('\\') {
        return Some("a requirement is one line, without control characters and without a continuation".to_owned());
    }
    if line.contains("${") {
        return Some("a requirement is a constant, in which no variable of the worker is put".to_owned());
    }
    if line.starts_with('-') {
        let mut words = line.split([' ', '\t', '=']);
        // Quoted, a word would be another one to the installer.
        let is_refused =
            |word: &&str| (word.starts_with('-') && !OPTIONS.contains(word)) || word.contains(['"', '\'', '\\']);
        return words.find(is_refused).map(|word| {
            format!(
                "{word:?} is no requirement: an option may be one of {}, and where packages come from is said by \
                 executor.python.index_url of the worker",
                OPTIONS.join(", ")
            )
        });
    }
    leads_elsewhere(line).then(|| {
        "a package comes from executor.python.index_url of the worker, from a file of the pack, or from no place"
            .to_owned()
    })
}

/// Whether there is an address in it that is none of a file of this machine.
fn leads_elsewhere(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
    let is_file = |at: usize| line[..at].rsplit(|c| !of_scheme(c)).next() == Some("file");
    ELSEWHERE.iter().any(|scheme| line.contains(scheme)) || line.match_indices(":/").any(|(at, _)| !is_file(at))
}

/// Whether what is installed depends on files beside the text itself, of the pack or of the machine.
pub fn depends_on_files(text: &str) -> bool {
    text.lines().any(|line| named_file(line).is_some())
}

/// The file or folder that a line names in the place of a package of an index, as it stands there. An installer takes a
/// name with a slash in it for a path, and one of an archive.
pub fn named_file(line: &str) -> Option<&str> {
    let line = stripped(line);
    if line.starts_with('-') {
        return None;
    }
    // Options of one requirement stand behind it.
    let end = line.match_indices([' ', '\t']).map(|(at, _)| at).find(|at| line[at + 1..].starts_with('-'));
    let text = &line[..end.unwrap_or(line.len())];
    let (name, is_direct) = match text.split_once('@') {
        Some((_, name)) if !text.starts_with(['.', '/']) => (name.trim_start(), true),
        _ => (text, text.starts_with("file:")),
    };
    // In an address a semicolon is a part of it, unless there is a blank beside.
    let marker = if is_direct { [name.find(" ;"), name.find("; ")] } else { [name.find(';'), None] };
    let name = &name[..marker.into_iter().flatten().min().unwrap_or(name.len())];
    let name = if is_direct { name.split('#').next().unwrap_or_default() } else { name }.trim_end();
    let extras = name.rfind('[').filter(|_| name.ends_with(']'));
    let name = name[..extras.unwrap_or(name.len())].trim_end();
    let small = name.to_ascii_lowercase();
    let is_file = name.starts_with('.') || name.contains('/') || ARCHIVES.iter().any(|end| small.ends_with(end));
    (is_direct || is_file).then_some(name)
}

/// Why a line may bring code that is executed while it is installed, if it may: all but a wheel is built by a program of
/// its own.
pub fn builds(line: &str) -> Option<String> {
    if stripped(line).starts_with("--no-binary") {
        return Some("\"--no-binary\" asks for what has to be built".to_owned());
    }
    let name = named_file(line)?;
    (!name.to_ascii_lowercase().ends_with(".whl")).then(|| format!("{name:?} is no wheel"))
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
            "a @ https://x/a-1.0-py3-none-any.whl#file://",
            "git+https://x/a.git#egg=file://",
            "a @ git+file:///opt/a",
            "a @ https:x/a.whl",
            "a @ HTTPS:/x/a.whl",
            "://x/a.whl",
            "a @ ${PIP_INDEX_URL}/a.whl",
            "--pre -r /some/other.txt",
            "--pre --find-links x",
            "--pre \"-r\" x",
            "six\u{c}-r other.txt",
            "six\u{2028}-r other.txt",
            "-\\",
            "six \\",
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
            ("wheels/a.whl", true),
            ("a-1.0-py3-none-any.whl", true),
            ("a-1.0.TAR.GZ[x] ; python_version > '3'", true),
            ("vendor/part", true),
            ("a-1.0-py3-none-any.whl\t--hash=sha256:0", true),
            ("six --hash=sha256:0", false),
            ("--only-binary :all:\nsix ; extra == 'a.whl'", false),
        ] {
            assert_eq!(depends_on_files(text), depends, "{text}");
        }
    }

    #[test]
    fn what_is_no_wheel_is_built() {
        for line in [
            "six",
            "six==1 ; python_version < '4'",
            "./a-1-py3-none-any.whl",
            "a[x] @ file:///opt/a.whl",
            "a.whl[x]",
            "--pre",
            "# ./a",
        ] {
            assert_eq!(builds(line), None, "{line}");
        }
        for line in [
            "./part",
            ".",
            "wheels/a.zip",
            "a-1.0.tar.gz",
            "a.whl.zip",
            "./a.whl#x.tar.gz",
            "./a.whl[x].tar.gz",
            "file:///a.whl;x.tar.gz",
            "./a.whl x.tar.gz",
            "a @ file:///opt/a",
            "--no-binary :all:",
            "--no-binary=six",
        ] {
            assert!(builds(line).is_some(), "{line}");
        }
    }
}
