//! `windows:` of a policy: the times in which attempts may begin, by the clock of a time zone.

use petrel_execution::windows::{DAY_MINUTES, SPANS_MAX, Span, Windows, time_zone};

use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape, wrong_type};
use crate::yaml::{Data, Node};

const WINDOWS: Shape =
    Shape { what: "\"windows\"", known: &["time_zone", "open", "closed", "on_closed"], later: &["schedule", "cron"] };
const SPAN: Shape = Shape { what: "a window", known: &["days", "from", "to"], later: &["every", "cron"] };

/// The days of the week, in the order of their numbers from 1 on.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What stands behind `from` or `to`.
#[derive(Clone, Copy)]
enum When {
    /// Minutes from midnight, on each of the days.
    Minute(u16),
    /// Once.
    At(jiff::civil::DateTime),
}

/// Reads them; the name of their policy is put in later.
pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Windows> {
    let (_, node) = fields.entry("windows")?;
    let fields = Fields::open(node, &WINDOWS, report)?;
    let zone = fields.need_text("time_zone", report);
    if let Some(Err(why)) = zone.as_ref().map(|zone| time_zone(&zone.value).map_err(|why| (zone.place.at, why))) {
        report.add(why.0, Code::BadValue, why.1);
    }
    let (open, closed) = (spans(&fields, "open", report), spans(&fields, "closed", report));
    if fields.entry("open").is_none() && fields.entry("closed").is_none() {
        report.add(fields.at(), Code::Missing, "\"windows\" needs \"open\" or \"closed\"");
    }
    let drops = fields.word("on_closed", &[("wait", false), ("drop", true)], false, report);
    Some(Windows { policy: String::new(), time_zone: zone?.value, open, closed, drops })
}

fn spans(fields: &Fields<'_>, key: &str, report: &mut Report<'_>) -> Vec<Span> {
    let Some(node) = fields.get(key, report) else { return Vec::new() };
    let Data::List(items) = &node.data else {
        wrong_type(node, key, "a list of windows", report);
        return Vec::new();
    };
    if items.is_empty() || items.len() > SPANS_MAX {
        report.add(node.at, Code::TooLarge, format!("{key:?} must have from 1 to {SPANS_MAX} entries"));
    }
    items.iter().filter_map(|item| span(item, report)).collect()
}

fn span(node: &Node, report: &mut Report<'_>) -> Option<Span> {
    let fields = Fields::open(node, &SPAN, report)?;
    let from = fields.need_text("from", report).and_then(|text| when(&text, report));
    let to = fields.need_text("to", report);
    let end = to.as_ref().and_then(|text| when(text, report));
    let days = days(&fields, report);
    let (from, to, end) = (from?, to?, end?);
    match (from, end) {
        (When::Minute(from_minute), When::Minute(to_minute)) if from_minute < DAY_MINUTES => {
            Some(Span::Weekly { days: days?, from_minute, to_minute })
        }
        (When::Minute(_), When::Minute(_)) => {
            report.add(fields.at(), Code::BadValue, "a window begins before 24:00");
            None
        }
        (When::At(_), When::At(_)) if fields.entry("days").is_some() => {
            report.add(fields.at(), Code::BadValue, "a window that is once has no \"days\"");
            None
        }
        (When::At(from), When::At(end)) if from < end => Some(Span::Once { from, to: end }),
        (When::At(_), When::At(_)) => {
            report.add(to.place.at, Code::BadValue, "a window that is once ends behind its begin");
            None
        }
        _ => {
            let message = "\"from\" and \"to\" are both times of a day, as 08:00, or both dates, as 2026-12-24";
            report.add(to.place.at, Code::BadValue, message);
            None
        }
    }
}

fn when(text: &Located<String>, report: &mut Report<'_>) -> Option<When> {
    let read = minute(&text.value).map(When::Minute).or_else(|| at(&text.value).map(When::At));
    if read.is_none() {
        let message =
            format!("{:?} is no time: write 08:00, or 2026-12-24, or 2026-12-24T18:00, without an offset", text.value);
        report.add(text.place.at, Code::BadValue, message);
    }
    read
}

/// `HH:MM`, to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| if text.len() == 2 { text.parse::<u16>().ok() } else { None };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}

/// A date, or a date and a time.
fn at(text: &str) -> Option<jiff::civil::DateTime> {
    // With an offset it would not be what a clock on the wall shows.
    if text.len() > 19 || text.ends_with('Z') {
        return None;
    }
    text.parse().ok()
}

/// Numbers of the days; all of them where none are named.
fn days(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Vec<i8>> {
    let Some((_, node)) = fields.entry("days") else { return Some((1..=7).collect()) };
    let mut days = Vec::new();
    for word in fields.texts("days", report) {
        match range(&word.value) {
            Some(range) => days.extend(range),
            None => {
                let message = format!("{:?} is no day: write mon, tue, wed, thu, fri, sat, sun or mon-fri", word.value);
                report.add(word.place.at, Code::BadValue, message);
                return None;
            }
        }
    }
    if days.is_empty() {
        report.add(node.at, Code::BadValue, "\"days\" names none; leave it out for every day");
        return None;
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

/// `mon`, or `fri-mon`.
fn range(text: &str) -> Option<Vec<i8>> {
    let number = |name: &str| DAYS.iter().position(|day| *day == name).and_then(|at| i8::try_from(at).ok());
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from)?, number(to)?);
    let many = (to - from).rem_euclid(7);
    Some((0..=many).map(|step| (from + step) % 7 + 1).collect())
}
