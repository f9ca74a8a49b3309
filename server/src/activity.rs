//! What happens, live in the terminal: events that matched, actions that run, and a line of rates.
#![expect(clippy::disallowed_methods, reason = "rates that are shown")]

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use petrel_bus::{Bus, Clock, Record, StageStats, Troubles};
use petrel_schemas::{AuditRecord, ExecutionChanged, Topics};

use crate::cli::output;
use crate::follow::Follows;
use crate::stop::Stop;

/// How often the line of rates is drawn anew.
const REDRAW: Duration = Duration::from_millis(500);
/// Longest text of a line.
const TEXT_CHARS_MAX: usize = 100;

/// Shows what is written to `petrel.audit` from now on. Without a terminal there are only lines.
pub fn show(
    bus: Arc<dyn Bus>,
    topics: &Topics,
    clock: &Arc<dyn Clock>,
    stop: &Stop,
    stages: Vec<(String, Arc<StageStats>)>,
) {
    let bar = ProgressBar::with_draw_target(None, target());
    // The template is constant and valid.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let from_ms = clock.now_ms();
    let lines = bar.clone();
    let each = move |_, record: Record<'_>| {
        if record.timestamp_ms >= from_ms
            && let Some(line) = record.value.and_then(|v| AuditRecord::decode(v).ok()).and_then(|r| describe(&r))
        {
            say(&lines, &line);
        }
    };
    // What cannot be shown keeps nothing from working.
    let follows = Follows { bus, clock: clock.clone(), stop: stop.clone(), troubles: Troubles::default() };
    follows.follow("activity", topics.audit(), each, || {});
    let (clock, stop) = (clock.clone(), stop.clone());
    let redraw = move || {
        let mut rate = Rate::default();
        while !stop.is_set() {
            bar.set_message(rate.line(&stages));
            bar.tick();
            clock.sleep(REDRAW);
        }
        bar.finish_and_clear();
    };
    if let Err(error) = std::thread::Builder::new().name("activity-rates".into()).spawn(redraw) {
        tracing::warn!(%error, "no thread for the line of rates");
    }
}

fn target() -> ProgressDrawTarget {
    if std::io::stdout().is_terminal() { ProgressDrawTarget::stdout() } else { ProgressDrawTarget::hidden() }
}

/// Above the line of rates on a terminal; a hidden bar would swallow it.
fn say(bar: &ProgressBar, line: &str) {
    if bar.is_hidden() { output::line(line) } else { bar.println(line) }
}

/// One line for what a person wants to see; nothing for the rest.
fn describe(record: &AuditRecord) -> Option<String> {
    match record {
        AuditRecord::EventAudited(e) if e.rules_matched > 0 => {
            Some(format!("event    {} {} {}", e.trigger, e.event_id, short(&e.payload)))
        }
        AuditRecord::RuleMatched(m) => Some(format!("rule     {} → {} {}", m.rule, m.action, m.execution_id)),
        AuditRecord::CriteriaFailed(f) => Some(format!("error    {}: {}: {}", f.rule, f.code, short(&f.detail))),
        AuditRecord::ExecutionChanged(e) => Some(execution(e)),
        AuditRecord::OutputCaptured(o) if !o.content.trim().is_empty() => {
            Some(format!("{:8} {} {}", o.stream, o.execution_id, short(o.content.trim())))
        }
        AuditRecord::RevisionApplied(r) => Some(format!("catalog  revision {} ({})", r.revision, r.packs.join(", "))),
        AuditRecord::SecretChanged(s) => Some(format!("secret   {} {}, version {}", s.name, s.change, s.version)),
        AuditRecord::WorkflowMoved(m) => {
            let tasks: Vec<String> = m.tasks.iter().map(|t| format!("{} {}", t.task, t.status)).collect();
            Some(format!("workflow {} {}", m.execution_id, short(&tasks.join(", "))))
        }
        _ => None,
    }
}

fn execution(e: &ExecutionChanged) -> String {
    let error = e.error.as_deref().map(|e| format!(": {}", short(e))).unwrap_or_default();
    format!("action   {} {} {}{error}", e.action, e.execution_id, e.status)
}

fn short(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS_MAX).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() { format!("{line}…") } else { line }
}

#[derive(Default)]
struct Rate {
    last: Option<(Instant, u64)>,
}

impl Rate {
    fn line(&mut self, stages: &[(String, Arc<StageStats>)]) -> String {
        let records = |prefix: &str| -> u64 {
            let of = stages.iter().filter(|(name, _)| name.starts_with(prefix));
            of.map(|(_, stats)| stats.records.load(Ordering::Relaxed)).sum()
        };
        let (events, now) = (records("match"), Instant::now());
        let per_s = self.last.map_or(0.0, |(then, before)| {
            events.saturating_sub(before) as f64 / now.duration_since(then).as_secs_f64().max(0.001)
        });
        self.last = Some((now, events));
        let problems: Vec<String> = stages.iter().flat_map(|(_, stats)| stats.problems()).collect();
        let problem = problems.first().map(|p| format!("  !  {}", short(p))).unwrap_or_default();
        format!(
            "{events} events in ({per_s:.0}/s)  {} requests and reports owned  Ctrl-C ends{problem}",
            records("owner")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_wild_texts_stay_on_their_line() {
        assert_eq!(short("a\nb\u{1b}c"), "a b c");
        assert_eq!(short(&"x".repeat(200)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
