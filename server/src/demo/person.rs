//! Who is called: you, if you want to decide yourself; else somebody who decides as the command line says.

use anyhow::Context as _;

use super::narrator::Narrator;

/// Reads one of several words from standard input, however often it takes.
///
/// # Errors
/// If the input ends before.
pub fn ask<'w>(narrator: &Narrator, question: &str, words: &[&'w str]) -> anyhow::Result<&'w str> {
    loop {
        narrator.say(&format!("{question} [{}]", words.join(", ")));
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).context("standard input cannot be read")?;
        anyhow::ensure!(read > 0, "nobody has answered: {question}");
        if let Some(word) = words.iter().copied().find(|word| *word == line.trim()) {
            return Ok(word);
        }
    }
}
