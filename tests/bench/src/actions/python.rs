//! The runner `python`, with an interpreter for each call and with what it imports kept imported.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use petrel_execution::runner::{RunnerCall, RunnerSpec};
use petrel_execution::worker::Why;
use petrel_executor::live::Live;
use petrel_executor::runner::{ProcessAttempt, Processes, PythonOptions, PythonRunner};
use serde_json::{Value, json};

use super::attempt::{TIMEOUT_MS, call, lease, spec};
use super::starts::{COLD_FEWER, OUTPUT_BYTES_MAX, Rig, WARM_UP, ms};
use super::table::Table;

/// An action that imports much, all of it CPython's own, compiles many patterns as it is imported, and tells when it is called and in which process.
const CODE: &str = "import asyncio, concurrent.futures, decimal, difflib, doctest, email.mime.multipart, ftplib, http.cookiejar\n\
    import http.server, imaplib, logging.config, multiprocessing.managers, pydoc, smtplib, sqlite3, ssl, statistics\n\
    import tarfile, unittest.mock, urllib.request, wsgiref.simple_server, xml.dom.minidom, xml.sax.expatreader\n\
    import xmlrpc.server, zipfile, os, re, time\n\
    PATTERNS = [re.compile(r'^(?P<host>[a-z0-9.-]+) +%d: (?P<what>up|down)( for (\\d+) s)?$' % n) for n in range(1500)]\n\
    IMPORTED_BY = os.getpid()\n\
    def act():\n    return [time.time_ns(), IMPORTED_BY != os.getpid()]\n";
/// What a call takes that begins with an interpreter is at least that, in milliseconds: else there is nothing to save.
const COLD_MS_MIN: f64 = 150.0;
/// And what it takes where all is imported, at most, of what that takes: 15 ms of 150. Machines differ, and one machine
/// from day to day; the ratio of one run does not.
const WARM_PART_MAX: f64 = 0.1;
/// How long it may take until code is kept imported.
const WARM_WAIT: Duration = Duration::from_secs(60);

impl Rig {
    pub(super) async fn pythons(&self, starts: usize, table: &mut Table) -> Result<()> {
        let actions = self.folder.path().join("actions");
        std::fs::create_dir_all(&actions)?;
        std::fs::write(actions.join("act.py"), CODE)?;
        let spec = spec("python", &json!({ "file": "act.py", "function": "act", "python": interpreter()? }))?;
        let runner = |zygotes_max| {
            let folder = self.folder.path().join("python");
            PythonRunner::new(PythonOptions { zygotes_max, ..PythonOptions::new(folder) })
        };
        let (mut taken, cold) = (Vec::new(), runner(0));
        for at in 0..starts.div_ceil(COLD_FEWER) + 1 {
            let (took, is_fork) = self.python(&cold, &spec).await?;
            ensure!(!is_fork, "a call is a fork that should not be one");
            // The first one finds nothing in the memory of the system.
            taken.extend((at > 0).then_some(took));
        }
        let cold = table.times("python, an interpreter for each call", taken, |p50| {
            Some((format!("for the next row at least {COLD_MS_MIN} ms; StackStorm's: 220 ms"), p50 >= COLD_MS_MIN))
        });
        let (warm, began) = (runner(8), Instant::now());
        while !self.python(&warm, &spec).await?.1 {
            ensure!(began.elapsed() < WARM_WAIT, "no call is ever a fork");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut taken = Vec::with_capacity(starts);
        for at in 0..starts + WARM_UP {
            let (took, is_fork) = self.python(&warm, &spec).await?;
            ensure!(is_fork, "a call is no fork");
            taken.extend((at >= WARM_UP).then_some(took));
        }
        table.times("python, kept imported", taken, |p50| {
            let most = cold * WARM_PART_MAX;
            let note = format!("of {cold:.0} ms (at most {most:.1} ms, a tenth)");
            Some((note, p50 <= most && cold >= COLD_MS_MIN))
        });
        Ok(())
    }

    /// How long it took until the function was called, and whether in a fork of what had imported it.
    async fn python(&self, runner: &PythonRunner, spec: &RunnerSpec) -> Result<(f64, bool)> {
        let called = SystemTime::now();
        let RunnerCall::Python(call) = call(spec)? else { bail!("no call") };
        let (_director, held) = lease();
        let attempt = ProcessAttempt {
            variables: BTreeMap::new(),
            timeout_ms: TIMEOUT_MS,
            output_bytes_max: OUTPUT_BYTES_MAX,
            lead_bytes: 0,
            live: Live::default(),
        };
        let processes = Processes { supervisor: &self.supervisor, options: &self.options, work: &self.work };
        let exit = runner.run(*call, self.folder.path(), processes, attempt, held, || {}).await;
        ensure!(exit.why == Why::Succeeded, "python: {exit:?}");
        let Some(Value::Array(told)) = exit.result else { bail!("python: no result") };
        let began = told.first().and_then(Value::as_u64).context("no time")?;
        let is_fork = told.get(1).and_then(Value::as_bool).context("no fork")?;
        Ok((ms(called, UNIX_EPOCH + Duration::from_nanos(began))?, is_fork))
    }
}

/// The interpreter itself, where `python3` only leads to one.
fn interpreter() -> Result<String> {
    let told = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output()?;
    ensure!(told.status.success(), "there is no python3");
    Ok(String::from_utf8(told.stdout)?.trim().to_owned())
}
