//! A pack's folder with Python code, and calls of it as a worker makes them.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use petrel_execution::code;
use petrel_execution::runner::{CheckValue, PackFiles, PythonCall, Rendering, RunnerCall, RunnerSpec, SchemaMistake};
use petrel_execution::worker::{Exit, Holding, Why};
use petrel_executor::live::Live;
use petrel_executor::runner::{ProcessAttempt, Processes, PythonOptions, PythonRunner, RunnerOptions, WorkDirectories};
use petrel_executor::supervise::Supervisor;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::actions::{LIMIT, holding, options};

/// The interpreter itself, where `python3` of this machine only leads to one.
pub fn interpreter() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let told = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let told = told.expect("the tests of the runner python need python3");
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    })
}

/// What an action that is confined has to read for it.
pub fn prefix() -> &'static Path {
    Path::new(interpreter()).parent().and_then(Path::parent).expect("an interpreter stands in a folder")
}

/// An interpreter that does this before anything else.
pub fn wrapper(path: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{text}\nexec {} \"$@\"\n", interpreter())).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a worker has.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub supervisor: Supervisor,
    pub options: RunnerOptions,
    pub work: WorkDirectories,
    pub python: PythonRunner,
    pub attempt: ProcessAttempt,
}

pub struct Files(PathBuf);

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        self.0.join(path).is_file().then_some(false)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }

    fn schema(&self, _: &Value) -> Result<std::sync::Arc<dyn CheckValue>, SchemaMistake> {
        Ok(std::sync::Arc::new(Objects))
    }
}

/// The schema of objects.
#[derive(Debug)]
struct Objects;

impl CheckValue for Objects {
    fn problems(&self, value: &Value) -> Vec<String> {
        if value.is_object() { Vec::new() } else { vec![": no object".to_owned()] }
    }
}

impl Bench {
    /// With this text as `actions/act.py`.
    pub fn new(text: &str) -> Self {
        Self::with(text, |_| {})
    }

    /// The same with other settings, and with code that is kept imported.
    pub fn warm(text: &str, set: impl FnOnce(&mut PythonOptions)) -> Self {
        Self::with(text, |options| {
            options.zygotes_max = 8;
            set(options);
        })
    }

    /// With other settings.
    pub fn with(text: &str, set: impl FnOnce(&mut PythonOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("pack/actions")).unwrap();
        std::fs::write(dir.path().join("pack/actions/act.py"), text).unwrap();
        let mut python = PythonOptions::new(dir.path().join("python"));
        python.zygotes_max = 0;
        set(&mut python);
        let options = options();
        Self {
            supervisor: Supervisor::new(options.supervisor.clone()),
            work: WorkDirectories::open(dir.path().join("work")).unwrap(),
            python: PythonRunner::new(python),
            attempt: ProcessAttempt {
                variables: [].into(),
                timeout_ms: 30_000,
                output_bytes_max: 64 << 10,
                lead_bytes: 0,
                live: Live::default(),
            },
            options,
            dir,
        }
    }

    pub fn pack(&self) -> PathBuf {
        self.dir.path().join("pack")
    }

    pub fn processes(&self) -> Processes<'_> {
        Processes { supervisor: &self.supervisor, options: &self.options, work: &self.work }
    }

    pub fn call(&self, keys: Value, parameters: Value) -> PythonCall {
        let mut all =
            Map::from_iter([("file".to_owned(), json!("act.py")), ("python".to_owned(), interpreter().into())]);
        all.extend(keys.as_object().unwrap().clone());
        let spec = RunnerSpec::parse("python", &all, &Files(self.pack())).unwrap_or_else(|e| panic!("{e:?}"));
        let rendering = Rendering { parameters: &parameters, secrets: &json!({}), execution_id: "e", attempt: 1 };
        let Ok(RunnerCall::Python(call)) = spec.render(rendering) else { panic!("not rendered") };
        *call
    }

    /// Runs it with a lease that lasts.
    pub async fn run(&self, keys: Value, parameters: Value) -> Exit {
        let (_director, held) = watch::channel(holding(60_000));
        self.run_held(keys, parameters, held).await
    }

    /// The function of that name without parameters.
    pub async fn function(&self, name: &str) -> Exit {
        self.run(json!({ "function": name }), json!({})).await
    }

    pub async fn run_held(&self, keys: Value, parameters: Value, held: watch::Receiver<Holding>) -> Exit {
        let call = self.call(keys, parameters);
        self.run_call(call, held, || {}).await
    }

    pub async fn run_call(
        &self,
        call: PythonCall,
        held: watch::Receiver<Holding>,
        started: impl FnOnce() + Send,
    ) -> Exit {
        let pack = self.pack();
        let run = self.python.run(call, &pack, self.processes(), self.attempt.clone(), held, started);
        tokio::time::timeout(LIMIT, run).await.expect("the call hangs")
    }
}

/// What it returned, where it has succeeded.
pub fn returned(exit: &Exit) -> Value {
    assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
    exit.result.clone().unwrap_or_default()
}

/// The code of a failure, and its sentence.
pub fn failure(exit: &Exit) -> (&'static str, String) {
    let code = match exit.why {
        Why::Failed { code, .. } | Why::NotStarted(code) => code,
        Why::Exited if exit.return_code.is_some_and(|code| code != 0) => code::EXIT_CODE,
        Why::Exited if exit.return_code.is_none() => code::SIGNAL,
        _ => panic!("it did not fail: {exit:?}"),
    };
    (code, exit.error.clone().unwrap_or_default())
}

/// Puts a wheel of a module into a folder, as an index would give it.
pub fn wheel(folder: &Path, name: &str, version: &str, text: &str) {
    let program = r#"
import base64, hashlib, sys, zipfile
folder, name, version, text = sys.argv[1:]
info = "%s-%s.dist-info" % (name, version)
files = {
    name + ".py": text,
    info + "/METADATA": "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version),
    info + "/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
digest = lambda b: base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b"=").decode()
record = "".join("%s,sha256=%s,%d\n" % (p, digest(t.encode()), len(t.encode())) for p, t in files.items())
files[info + "/RECORD"] = record + info + "/RECORD,,\n"
with zipfile.ZipFile("%s/%s-%s-py3-none-any.whl" % (folder, name, version), "w") as out:
    for path, content in files.items():
        out.writestr(path, content)
"#;
    std::fs::create_dir_all(folder).unwrap();
    let made = Command::new(interpreter()).args(["-c", program]).arg(folder).args([name, version, text]).status();
    assert!(made.unwrap().success());
}
