//! Corpora and rule sets on disk, made when they are first asked for and kept.

use std::cell::OnceCell;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cell::Cell;
use crate::engines::is_rest;
use crate::oracle::Oracle;
use crate::rule::Rule;
use crate::schema::Corpus;
use crate::table::Table;
use crate::{choose, corpus, render};

/// Part of the folder's name: raise it when anything that is made changes.
const VERSION: u32 = 1;

/// What has been made so far.
pub(crate) struct Data {
    dir: PathBuf,
    /// A corpus in memory, for what is made of it.
    open: [OnceCell<(String, Table)>; 2],
}

/// The files of a cell.
pub(crate) struct Files {
    base: String,
}

impl Files {
    fn rules(&self) -> PathBuf {
        PathBuf::from(format!("{}.jsonl", self.base))
    }

    fn oracle(&self) -> PathBuf {
        PathBuf::from(format!("{}.oracle", self.base))
    }

    fn rest_oracle(&self) -> PathBuf {
        PathBuf::from(format!("{}.rest.oracle", self.base))
    }

    /// Lines of a rule's id, a tabulator and the rule in Event Ruler's language. Empty if there is a rule
    /// that it cannot express.
    pub(crate) fn ruler(&self) -> PathBuf {
        PathBuf::from(format!("{}.ruler.tsv", self.base))
    }
}

impl Data {
    /// In that folder, which is created.
    pub(crate) fn in_dir(dir: &Path) -> Result<Self> {
        let dir = dir.join(format!("v{VERSION}"));
        fs::create_dir_all(dir.join("rules")).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self { dir, open: [OnceCell::new(), OnceCell::new()] })
    }

    /// The lines of a corpus.
    pub(crate) fn events(&self, corpus: Corpus) -> Result<PathBuf> {
        let file = self.dir.join(format!("{corpus}.jsonl"));
        if !file.is_file() {
            eprintln!("making {corpus}: {} events", corpus::EVENTS);
            write_whole(&file, corpus::lines(corpus, corpus::EVENTS).as_bytes())?;
        }
        Ok(file)
    }

    pub(crate) fn files(&self, cell: Cell) -> Files {
        Files { base: format!("{}/rules/{cell}", self.dir.display()) }
    }

    /// Makes what a cell needs, unless it is there. The oracle is written last.
    pub(crate) fn prepare(&self, cell: Cell) -> Result<()> {
        self.events(cell.corpus)?;
        let files = self.files(cell);
        if files.oracle().is_file() {
            return Ok(());
        }
        let (lines, table) = self.open(cell.corpus)?;
        let started = Instant::now();
        let rules = choose::rules(table, cell.family, cell.rules);
        write_rules(&files, &rules, cell.corpus)?;
        write_whole(&files.rest_oracle(), &Oracle::new(table, &rules, is_rest).bytes())?;
        let oracle = Oracle::new(table, &rules, |_| true);
        oracle.check(cell.corpus, lines, &rules)?;
        write_whole(&files.oracle(), &oracle.bytes())?;
        let rate = oracle.of(table.rows).count as f64 / table.rows as f64;
        eprintln!("made {cell}: {rate:.3} matches per event, {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    fn open(&self, corpus: Corpus) -> Result<&(String, Table)> {
        let open = &self.open[corpus as usize];
        if open.get().is_none() {
            let file = self.events(corpus)?;
            let lines = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let table = Table::decode(corpus, &lines)?;
            let _ = open.set((lines, table));
        }
        open.get().context("the corpus is not open")
    }

    /// The rules of a cell that has been prepared.
    pub(crate) fn rules(&self, cell: Cell) -> Result<Vec<Rule>> {
        let file = self.files(cell).rules();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("a rule: {line}"))).collect()
    }

    /// What must come out of a cell, and of those of its rules that its family is named after.
    pub(crate) fn oracles(&self, cell: Cell) -> Result<(Oracle, Oracle)> {
        let files = self.files(cell);
        let read = |file: &Path| -> Result<Oracle> {
            Ok(Oracle::from_bytes(&fs::read(file).with_context(|| format!("cannot read {}", file.display()))?))
        };
        Ok((read(&files.oracle())?, read(&files.rest_oracle())?))
    }
}

fn write_rules(files: &Files, rules: &[Rule], corpus: Corpus) -> Result<()> {
    let mut lines = BufWriter::new(Vec::new());
    let mut patterns = String::new();
    let mut all_expressed = true;
    for (id, rule) in rules.iter().enumerate() {
        serde_json::to_writer(&mut lines, rule)?;
        lines.write_all(b"\n")?;
        match render::ruler(rule, corpus.fields()) {
            Some(pattern) if all_expressed => patterns.push_str(&format!("{id}\t{pattern}\n")),
            Some(_) => {}
            None => all_expressed = false,
        }
    }
    let lines = lines.into_inner().map_err(|error| error.into_error())?;
    write_whole(&files.rules(), &lines)?;
    write_whole(&files.ruler(), if all_expressed { patterns.as_bytes() } else { b"" })
}

/// A file is there with all of its content or not at all.
fn write_whole(file: &Path, content: &[u8]) -> Result<()> {
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, content).with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, file).with_context(|| format!("cannot rename {}", unfinished.display()))
}
