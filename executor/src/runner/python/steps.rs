//! How an environment is made: by `uv`, or by `venv` and `pip`, as actions of the attempt that needs it.
//!
//! Whatever holds that attempt's call holds them, too, and then nothing but wheels is installed: what has to be built
//! brings a program of its own, which would find the address of the index, with its password.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use petrel_execution::code;
use petrel_execution::runner::{Guarantee, Limits, May};
use petrel_execution::worker::{Exit, Holding, Why};
use tokio::sync::watch;

use super::super::RunnerOptions;
use super::super::process::{self, Command, Processes, WorkDirectory};
use super::PythonOptions;
use super::environment::{Wanted, beside, failed, find, is_held, no_room};
use crate::supervise::{Confinement, Reach, boot_ms};

/// What is installed, in an environment that is being made.
const LIST: &str = "petrel-requirements.txt";
/// Kept of what is written while an environment is made.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Told of that.
const TAIL_BYTES: usize = 2 << 10;

/// What makes one environment.
pub(super) struct Steps<'s> {
    options: &'s PythonOptions,
    /// What holds the call.
    confinement: &'s Confinement,
    pack: &'s Path,
    processes: Processes<'s>,
    held: &'s watch::Receiver<Holding>,
    /// In milliseconds of `CLOCK_BOOTTIME`.
    end_at_ms: u64,
}

/// A program that an environment is made with, and what it may use beside.
struct Step<'s> {
    argv: &'s [&'s str],
    confinement: &'s Confinement,
    work: &'s WorkDirectory,
}

impl<'s> Steps<'s> {
    pub(super) fn new(
        options: &'s PythonOptions,
        confinement: &'s Confinement,
        pack: &'s Path,
        processes: Processes<'s>,
        held: &'s watch::Receiver<Holding>,
    ) -> Self {
        let end_at_ms = boot_ms().saturating_add(options.build_ms_max);
        Self { options, confinement, pack, processes, held, end_at_ms }
    }

    /// Makes an environment in that folder, which is not there.
    pub(super) async fn make(&self, wanted: &Wanted, folder: &Path) -> Result<(), Exit> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (options, path, made) = (self.processes.options.clone(), self.processes.work.next(), folder.to_owned());
        let ready = beside(move || {
            fs::create_dir(made)?;
            Ok::<_, io::Error>((find("uv", &options).ok(), WorkDirectory::make(path, None)?))
        });
        let (uv, work) = ready.await?.map_err(|error| no_room(&error))?;
        let confinement = self.confinement_of(wanted, folder, uv.as_deref(), &work);
        let step = |argv| Step { argv, confinement: &confinement, work: &work };
        let uv = uv.map(|uv| text(&uv));
        let (interpreter, at) = (text(&wanted.interpreter), text(folder));
        let make = match &uv {
            Some(uv) => vec![uv, "venv", "--python", &interpreter, &at],
            None => vec![&*interpreter, "-m", "venv", &at],
        };
        self.run(step(&make)).await?;
        let (list, python) = (folder.join(LIST), text(&folder.join("bin/python")));
        let (path, said) = (list.clone(), format!("{}\n", wanted.requirements));
        beside(move || fs::write(path, said)).await?.map_err(|error| no_room(&error))?;
        let list = text(&list);
        let mut install = match &uv {
            Some(uv) => vec![&**uv, "pip", "install", "--python", &python],
            None => vec![&*python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"],
        };
        if self.options.index_url.is_none() {
            install.push("--no-index");
        }
        if is_held(self.confinement) {
            install.extend(["--only-binary", ":all:"]);
        }
        for link in &self.options.find_links {
            install.extend(["--find-links", link]);
        }
        install.extend(["-r", &list]);
        self.run(step(&install)).await
    }

    /// What holds the call, but that it writes the environment in the place of what the call may write, and has a network
    /// if packages come over one.
    fn confinement_of(&self, wanted: &Wanted, folder: &Path, uv: Option<&Path>, work: &WorkDirectory) -> Confinement {
        let is_folder = |link: &&String| link.starts_with('/');
        let is_local = self.options.index_url.is_none() && self.options.find_links.iter().all(|link| is_folder(&link));
        let no_network = self.confinement.no_network && is_local;
        let files = self.confinement.files.as_ref().map(|call| {
            let links = self.options.find_links.iter().filter(is_folder).map(PathBuf::from);
            let programs = uv.map(Path::to_owned).into_iter().chain([wanted.interpreter.clone()]);
            let reads = call.reads.iter().cloned().chain(programs).chain(links).collect();
            Reach { reads, writes: vec![folder.to_owned(), work.path().to_owned()] }
        });
        let is_needed = |one: &Guarantee| match one {
            Guarantee::Files => true,
            Guarantee::Network => no_network,
            _ => false,
        };
        Confinement {
            files,
            no_network,
            required: self.confinement.required.iter().copied().filter(is_needed).collect(),
            ..self.confinement.clone()
        }
    }

    /// Runs a program as an action of the same attempt. It has ended when this returns.
    async fn run(&self, step: Step<'_>) -> Result<(), Exit> {
        let mut environment = self.variables();
        if step.confinement.files.is_some() {
            environment.extend(process::confined_variables(step.work));
        }
        let command = Command {
            argv: step.argv.iter().map(|part| (*part).to_owned()).collect(),
            // What a requirement names of the pack is meant from there.
            directory: self.pack.to_owned(),
            environment,
            stdin: Vec::new(),
            user: None,
            timeout_ms: self.end_at_ms.saturating_sub(boot_ms()),
            may: May::default(),
            limits: Limits::default(),
            confinement: step.confinement.clone(),
        };
        let options = RunnerOptions { output_bytes_max: OUTPUT_BYTES_MAX, ..self.processes.options.clone() };
        let exit = process::run(self.processes.supervisor, &options, command, self.held.clone(), || {}).await;
        match exit.why {
            Why::Exited if exit.return_code == Some(0) => Ok(()),
            // It would hold of the call as well.
            Why::NotStarted(code::NOT_CONFINED) => Err(exit),
            Why::Exited | Why::NotStarted(_) => Err(failed(self.told(step.argv, &exit))),
            Why::Timeout => {
                let build_ms_max = self.options.build_ms_max;
                Err(failed(format!("its environment took longer than {build_ms_max} ms to be made")))
            }
            // Nothing of the action has begun.
            Why::Unknown => Err(process::lacking("what makes its environment was lost".to_owned())),
            Why::Stopped | Why::LeaseLost => Err(process::lacking("it ended before it had begun".to_owned())),
            why => Err(Exit::bare(why, exit.error)),
        }
    }

    /// Where packages come from, and nothing of what the machine says about that.
    fn variables(&self) -> BTreeMap<String, String> {
        let mut variables =
            vec![("PIP_CONFIG_FILE", "/dev/null"), ("UV_NO_CONFIG", "1"), ("UV_PYTHON_DOWNLOADS", "never")];
        if let Some(url) = &self.options.index_url {
            // On a command line everybody could read its password.
            variables.extend([("PIP_INDEX_URL", &**url), ("UV_DEFAULT_INDEX", &**url)]);
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What is told of a step that failed: the end of what it wrote, without the index's password.
    fn told(&self, argv: &[&str], exit: &Exit) -> String {
        let what = argv.iter().take(4).copied().collect::<Vec<_>>().join(" ");
        let how = match (&exit.error, exit.return_code) {
            (Some(error), _) => error.clone(),
            (None, code) => format!("exit code {}", code.unwrap_or_default()),
        };
        let mut written = String::new();
        for stream in [&exit.stdout, &exit.stderr] {
            let text = String::from_utf8_lossy(&stream.bytes);
            // A line that is cut may hold a part of what is left out below.
            let whole = if stream.truncated { text.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { &*text };
            written.push_str(whole.trim_end());
            written.push('\n');
            let end = stream.end.as_ref().map(|end| String::from_utf8_lossy(&end.bytes)).unwrap_or_default();
            written.push_str(end.split_once('\n').map_or("", |(_, whole)| whole).trim_end());
            written.push('\n');
        }
        let url = self.options.index_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        if let Some(password) = url.as_ref().and_then(url::Url::password) {
            written = written.replace(password, "***");
        }
        let written = written.trim();
        let mut from = written.len().saturating_sub(TAIL_BYTES);
        while !written.is_char_boundary(from) {
            from += 1;
        }
        format!("its environment cannot be made: {what} …: {how}: {}", &written[from..])
    }
}
