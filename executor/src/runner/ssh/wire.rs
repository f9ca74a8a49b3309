//! What is said to a host: a program of the shell that is always the same, what it is to do, and lines to it and
//! from it.
//!
//! The command that is sent holds nothing but a constant: it reads the program from its input. So neither the user's
//! own shell, whichever that is, nor the host's list of processes sees what an action is given.

use petrel_execution::runner::Run;

/// Runs a command.
const RUN: &str = include_str!("run.sh");
/// Writes a file.
const PUT: &str = include_str!("put.sh");
/// Reads a file.
const GET: &str = include_str!("get.sh");

/// Reads a line and carries it out. The shell's own `read` takes no byte that stands behind the line.
const BEGIN: &str = "/bin/sh -c 'IFS= read -r p && eval \"$p\"'";

/// The command that a host is sent. A user that another one may become without a password is a constant of the
/// action, of letters, digits, dots, dashes and underscores.
pub(super) fn command(sudo: Option<&str>) -> String {
    match sudo {
        None => BEGIN.to_owned(),
        Some(user) => format!("sudo -n -H -u '{user}' -- {BEGIN}"),
    }
}

/// A word that the shell takes as it is, on one line.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            '\n' => quoted.push_str("'\"$nl\"'"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// A path that no program takes for an option.
pub(super) fn path(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("./{path}") }
}

/// What begins every job: a line break, which cannot stand in a line.
const NEW_LINE: &str = "nl=$(printf '\\nx'); nl=${nl%x}; ";

/// A program in one line, without its comments.
fn one_line(program: &str) -> String {
    let lines = program.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
}

/// A command to run, with all that it is given.
#[derive(Debug)]
pub(super) struct Job<'j> {
    /// Number of the run.
    pub(super) number: &'j str,
    pub(super) cwd: Option<&'j str>,
    pub(super) env: &'j [(String, String)],
    pub(super) run: &'j Run,
}

impl Job<'_> {
    /// The line that the host reads first.
    pub(super) fn line(&self) -> String {
        let cwd = self.cwd.map(path).unwrap_or_default();
        let exports: Vec<String> =
            self.env.iter().map(|(name, value)| format!("export {name}={}; ", quote(value))).collect();
        let (directory, program, args) = match self.run {
            Run::Command(argv) => {
                let (program, args) = argv.split_first().map_or(("", &[][..]), |(program, args)| (program, args));
                (String::new(), program.to_owned(), args)
            }
            Run::Script { file, args } => {
                let directory = script_directory(self.number);
                let program = script_path(self.number, file);
                (directory, program, args.as_slice())
            }
        };
        let words: Vec<String> = std::iter::once(&program).chain(args).map(|word| quote(word)).collect();
        format!(
            "{NEW_LINE}n={}; d={}; x={}; e() {{ {}:; }}; set -- {}; {}\n",
            quote(self.number),
            quote(&cwd),
            quote(&directory),
            exports.concat(),
            words.join(" "),
            one_line(RUN)
        )
    }
}

/// Where a script stands for as long as it runs.
pub(super) fn script_directory(number: &str) -> String {
    format!("/tmp/petrel-{number}")
}

/// Its path there.
pub(super) fn script_path(number: &str, file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    format!("{}/{name}", script_directory(number))
}

/// The line for a file that is written. `directory` is made for it.
pub(super) fn put(number: &str, directory: &str, to: &str, mode: &str, bytes: usize) -> String {
    let (n, x, f, m) = (quote(number), quote(directory), quote(&path(to)), quote(mode));
    format!("{NEW_LINE}n={n}; x={x}; f={f}; m={m}; b={bytes}; {}\n", one_line(PUT))
}

/// The line for a file that is read, up to so many bytes.
pub(super) fn get(number: &str, from: &str, bytes_max: usize) -> String {
    format!("{NEW_LINE}n={}; f={}; b={bytes_max}; {}\n", quote(number), quote(&path(from)), one_line(GET))
}

/// What a host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It is ready, at this second of its clock.
    Up(u64),
    /// The command begins now.
    Run,
    /// All is done.
    Done,
    /// A file has so many bytes.
    Size(u64),
    /// It will not, and why.
    No(String),
}

impl Said {
    /// Nothing for a line of somebody else, such as of a start-up file that greets.
    pub(super) fn parse(line: &str, number: &str) -> Option<Self> {
        let said = line.strip_prefix(number)?.strip_prefix(' ')?;
        let (what, rest) = said.split_once(' ').unwrap_or((said, ""));
        match what {
            "up" => rest.trim().parse().ok().map(Self::Up),
            "run" => Some(Self::Run),
            "done" => Some(Self::Done),
            "size" => rest.trim().parse().ok().map(Self::Size),
            "no" => Some(Self::No(rest.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// Has a shell read a job, as a host does, and gives what it wrote behind its own lines.
    fn run(shell: &str, run: &Run, env: &[(String, String)], cwd: Option<&str>) -> (String, Option<i32>) {
        let job = Job { number: "7a7a", cwd, env, run };
        let mut child = Command::new(shell)
            .args(["-c", &command(None)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Seconds since the start of a machine are fewer.
        writeln!(stdin, "{}go 99999999999", job.line()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let text = String::from_utf8(output.stdout).unwrap();
        let own = text.split_inclusive('\n').take_while(|line| Said::parse(line.trim_end(), "7a7a").is_some());
        (text[own.map(str::len).sum::<usize>()..].to_owned(), output.status.code())
    }

    fn argv(words: &[&str]) -> Run {
        Run::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn no_shell_makes_anything_of_what_it_is_given() {
        let odd = "a'b\"c$HOME `id` $(id) \\ \\n ; & | * ? ~ ! # \t%s\r\n\n'\n 'ü€";
        for shell in ["sh", "bash"] {
            let (text, code) = run(shell, &argv(&["printf", "<%s>", odd, "", "-n", "'"]), &[], None);
            assert_eq!((text, code), (format!("<{odd}><><-n><'>"), Some(0)), "{shell}");
            // Names that the program itself has are no different.
            let env = ["A", "n", "s", "g", "c", "IFS", "e"].map(|name| (name.to_owned(), format!("{name}{odd}")));
            let script = "printf '<%s>' \"$A\" \"$n\" \"$s\" \"$g\" \"$c\" \"$e\"; exit 7";
            let (text, code) = run(shell, &argv(&["sh", "-c", script]), &env, None);
            let expected: String = ["A", "n", "s", "g", "c", "e"].map(|name| format!("<{name}{odd}>")).concat();
            assert_eq!((text, code), (expected, Some(7)), "{shell}");
        }
    }

    #[test]
    fn a_command_has_its_directory_and_no_input() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a 'b'\n-c");
        std::fs::create_dir(&odd).unwrap();
        let (text, code) = run("sh", &argv(&["sh", "-c", "cat; pwd"]), &[], odd.to_str());
        assert_eq!((text, code), (format!("{}\n", odd.display()), Some(0)));
        let none = dir.path().join("none");
        assert_eq!(run("sh", &argv(&["true"]), &[], none.to_str()), (String::new(), Some(255)));
        assert_eq!(run("sh", &argv(&["no-such-program"]), &[], None), (String::new(), Some(255)));
    }

    /// What watches a command may be told to end while it begins to look at the time: here that takes long.
    #[test]
    fn nothing_is_left_of_a_command_that_ends_at_once() {
        let own = std::process::id().to_string();
        for shell in ["sh", "bash"] {
            let job = Job { number: "7b7b", cwd: None, env: &[], run: &argv(&["true"]) };
            let line = job.line();
            let slow = line.replace("& z=$!", "& sleep 0.3; z=$!");
            assert_ne!(slow, line);
            let mut begun = Command::new(shell);
            begun
                .args(["-c", &command(None)])
                .env("PETREL_WIRE_TEST", &own)
                .stdin(Stdio::piped())
                .stdout(Stdio::null());
            let mut child = begun.spawn().unwrap();
            // Its end would end the command.
            let mut stdin = child.stdin.take().unwrap();
            writeln!(stdin, "{slow}go 99999999999").unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(0), "{shell}");
            drop(stdin);
        }
        let mark = format!("PETREL_WIRE_TEST={own}");
        let is_marked = |entry: &std::fs::DirEntry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|one| one == mark.as_bytes())
        };
        // A second that one of them was to wait may still pass; an instant that no clock reaches does not.
        let is_any_left = || std::fs::read_dir("/proc").unwrap().flatten().any(|entry| is_marked(&entry));
        assert!((0..2_000).any(|_| !is_any_left()));
    }

    #[test]
    fn a_path_is_never_an_option() {
        assert_eq!([path("/a"), path("-rf"), path("a/b")], ["/a", "./-rf", "./a/b"]);
    }

    #[test]
    fn hosts_are_heard_and_nobody_else() {
        assert_eq!(Said::parse("7a up 12", "7a"), Some(Said::Up(12)));
        assert_eq!(Said::parse("7a no directory", "7a"), Some(Said::No("directory".to_owned())));
        assert_eq!(Said::parse("7a size  5", "7a"), Some(Said::Size(5)));
        for other in ["Welcome!", "7b up 12", "7aup 12", "7a up soon", "7a", ""] {
            assert_eq!(Said::parse(other, "7a"), None, "{other}");
        }
    }

    #[test]
    fn who_else_to_be_stands_before_the_rest() {
        assert_eq!(command(Some("root")), format!("sudo -n -H -u 'root' -- {BEGIN}"));
    }
}
