//! A Docker daemon of a test program's own, shared by its tests, and what is left in it. The end-to-end tests use it, too.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The only image that it has: busybox, linked statically.
pub const IMAGE: &str = "petrel-test:1";
/// What names the execution of a container, as docs/ACTIONS.md says.
const EXECUTION_LABEL: &str = "io.petrel.execution";
/// Looks, of a tenth of a second each, after which a start hangs.
const LOOKS_MAX: u32 = 600;
/// Programs that the image calls by name.
const PROGRAMS: &str = "sh sleep cat echo id printf dd head true false kill ls touch env setsid yes wc test sync";

/// The daemon; it ends with its last user, or with this process, however that ends.
pub struct Docker {
    dir: tempfile::TempDir,
    watched: Child,
    pub socket: PathBuf,
}

impl Docker {
    /// The daemon of this process.
    pub fn get() -> Arc<Self> {
        static SHARED: Mutex<Weak<Docker>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let docker = Arc::new(Self::start());
            *shared = Arc::downgrade(&docker);
            docker
        })
    }

    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display().to_string();
        let daemon = format!(
            "dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs --data-root {at}/data \
             --exec-root {at}/exec --pidfile {at}/pid --host unix://{at}/socket >{at}/log 2>&1"
        );
        // It says when the daemon answers, and ends when nobody holds the other end of the pipe any more.
        let host = format!("unix://{at}/socket");
        let watch = format!(
            "{daemon} </dev/null & d=$!; n={LOOKS_MAX}; until docker --host {host} version >/dev/null 2>&1; do n=$((n - 1)); \
             test $n -gt 0 && kill -0 $d || exit 1; sleep 0.1; done; echo ready; read _; kill $d; wait"
        );
        let mut sh = Command::new("sh");
        let mut watched = sh.args(["-c", &watch]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(watched.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        assert_eq!(said, "ready\n", "dockerd does not start; `cargo xtask deps --docker` installs it: {log}");
        let docker = Self { socket: dir.path().join("socket"), dir, watched };
        docker.import();
        docker
    }

    /// Makes the image.
    fn import(&self) {
        let root = self.dir.path().join("root");
        let script = format!(
            "set -e; mkdir -p {0}/bin {0}/etc {0}/tmp; cp \"$(command -v busybox)\" {0}/bin/busybox; for p in {PROGRAMS}; do \
             ln -s busybox {0}/bin/$p; done; echo root:x:0:0::/:/bin/sh > {0}/etc/passwd; tar c -C {0} . | \
             docker --host unix://{1} import - {IMAGE}",
            root.display(),
            self.socket.display()
        );
        let made = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    /// What the command line says.
    pub fn ask(&self, arguments: &[&str]) -> String {
        let mut docker = Command::new("docker");
        let Output { status, stdout, stderr } =
            docker.arg("--host").arg(format!("unix://{}", self.socket.display())).args(arguments).output().unwrap();
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).trim().to_owned()
    }

    /// Containers of that execution, those that do not run included.
    pub fn containers_of(&self, execution: &str) -> usize {
        self.labelled(&["--all"], &format!("{EXECUTION_LABEL}={execution}")).len()
    }

    /// All that Petrel has started there, those that do not run included.
    pub fn containers(&self) -> Vec<String> {
        self.labelled(&["--all"], EXECUTION_LABEL)
    }

    /// Ids of those that run.
    pub fn running(&self, execution: &str) -> Vec<String> {
        self.labelled(&[], &format!("{EXECUTION_LABEL}={execution}"))
    }

    fn labelled(&self, more: &[&str], label: &str) -> Vec<String> {
        let filter = format!("label={label}");
        let ids = self.ask(&[&["ps", "--quiet", "--filter", &filter], more].concat());
        ids.lines().map(str::to_owned).collect()
    }

    pub fn image_id(&self) -> String {
        self.ask(&["image", "inspect", "--format", "{{.Id}}", IMAGE])
    }

    pub fn data(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        drop(self.watched.stdin.take());
        let _ = self.watched.wait();
    }
}
