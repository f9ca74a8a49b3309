//! The crate `wirefilter-engine`, fed by the floor.

use anyhow::{Context, Result, anyhow};
use wirefilter::{ExecutionContext, Filter, Scheme, Type};

use super::Matcher;
use super::floor::{Fields, Floor};
use crate::rule::Rule;
use crate::schema::{Corpus, Field, Kind};
use crate::single::Decide;

pub(super) fn build(texts: &[(u32, String)], fields: &[Field], read: &[bool]) -> Result<Matcher> {
    let names: Vec<Names> = fields.iter().map(Names::new).collect();
    // One a process: the filters borrow from it as long as they live.
    let scheme: &'static Scheme = Box::leak(Box::new(scheme(fields, &names)?));
    let filter = |(id, text): &(u32, String)| -> Result<(u32, Filter<'static>)> {
        Ok((*id, scheme.parse(text).map_err(|error| anyhow!("{text}: {error}"))?.compile()))
    };
    let filters = texts.iter().map(filter).collect::<Result<Vec<_>>>()?;
    let floor = Floor::new(fields, read);
    Ok(Box::new(move |event, found| {
        floor.read(event, |fields| run(scheme, &filters, &floor.wanted, &names, fields, found))?
    }))
}

/// A field, and whether it is there.
struct Names {
    value: String,
    has: String,
}

impl Names {
    fn new(field: &Field) -> Self {
        Self { value: field.flat(), has: format!("has_{}", field.flat()) }
    }
}

fn scheme(fields: &[Field], names: &[Names]) -> Result<Scheme> {
    let mut scheme = Scheme::new();
    for (field, names) in fields.iter().zip(names) {
        let kind = if matches!(field.kind, Kind::Float | Kind::Int) { Type::Int } else { Type::Bytes };
        scheme.add_field(names.value.clone(), kind).map_err(|error| anyhow!("{error}"))?;
        scheme.add_field(names.has.clone(), Type::Bool).map_err(|error| anyhow!("{error}"))?;
    }
    Ok(scheme)
}

fn run(
    scheme: &'static Scheme,
    filters: &[(u32, Filter<'static>)],
    wanted: &[(usize, Kind)],
    names: &[Names],
    fields: &Fields<'_>,
    found: &mut Vec<u32>,
) -> Result<()> {
    let tags = joined(fields.tags);
    let context = context(scheme, wanted, names, fields, &tags)?;
    for (id, filter) in filters {
        if filter.execute(&context).map_err(|error| anyhow!("{error}"))? {
            found.push(*id);
        }
    }
    Ok(())
}

/// `|a|b|`
fn joined(tags: &[&str]) -> String {
    if tags.is_empty() { String::new() } else { format!("|{}|", tags.join("|")) }
}

/// The caller drops it before `fields` and `tags`.
fn context(
    scheme: &'static Scheme,
    wanted: &[(usize, Kind)],
    names: &[Names],
    fields: &Fields<'_>,
    tags: &str,
) -> Result<ExecutionContext<'static>> {
    let mut context = ExecutionContext::new(scheme);
    for (field, kind) in wanted {
        let names = &names[*field];
        let set = match kind {
            Kind::Text => {
                let text = fields.texts[*field].text();
                let set = context.set_field_value(&names.value, long_lived::text(text.unwrap_or_default()));
                set.and_then(|()| context.set_field_value(&names.has, text.is_some()))
            }
            Kind::Float => context.set_field_value(&names.value, (fields.numbers[*field] * 100.0).round() as i32),
            Kind::Int => context.set_field_value(&names.value, fields.numbers[*field] as i32),
            Kind::Tags => context.set_field_value(&names.value, long_lived::text(tags)),
        };
        set.map_err(|error| anyhow!("{error}"))?;
    }
    Ok(context)
}

/// One rule, and the contexts of some events prepared.
pub(super) fn with_prepared(
    rule: &Rule,
    events: &[&[u8]],
    run: &mut dyn FnMut(Decide<'_>) -> Result<()>,
) -> Result<()> {
    let fields = Corpus::Ops.fields();
    let names: Vec<Names> = fields.iter().map(Names::new).collect();
    let scheme: &'static Scheme = Box::leak(Box::new(scheme(fields, &names)?));
    let text = crate::render::wirefilter(rule, fields).context("cannot be expressed")?;
    let filter = scheme.parse(&text).map_err(|error| anyhow!("{text}: {error}"))?.compile();
    let floor = Floor::new(fields, &vec![true; fields.len()]);
    nested(
        &floor,
        events,
        &mut Vec::new(),
        &mut |contexts| {
            run(&mut || {
                let mut matches = 0;
                for context in contexts {
                    matches += usize::from(filter.execute(context).map_err(|error| anyhow!("{error}"))?);
                }
                Ok(matches)
            })
        },
        &|fields, tags| context(scheme, &floor.wanted, &names, fields, tags),
    )
}

/// Reads one event after the other, each within the reading of the one before it, so that all of them are
/// there while `run` has their contexts.
fn nested(
    floor: &Floor,
    events: &[&[u8]],
    contexts: &mut Vec<ExecutionContext<'static>>,
    run: &mut dyn FnMut(&[ExecutionContext<'static>]) -> Result<()>,
    make: &dyn Fn(&Fields<'_>, &str) -> Result<ExecutionContext<'static>>,
) -> Result<()> {
    let Some((first, rest)) = events.split_first() else { return run(contexts) };
    floor.read(first, |fields| {
        let tags = joined(fields.tags);
        contexts.push(make(fields, &tags)?);
        let done = nested(floor, rest, contexts, run, make);
        contexts.pop();
        done
    })?
}

/// `Filter<'s>` only takes an `ExecutionContext<'s>`, so an event's values would have to outlive the
/// compiled filters. No filter keeps anything of a context, and here the context is dropped before the
/// event that it borrows from. Without this the crate could not be measured without a copy of each value,
/// which would not be its fault.
#[allow(unsafe_code)]
mod long_lived {
    pub(super) fn text(text: &str) -> &'static str {
        // SAFETY: the only caller puts it into a context that lives shorter than `text`.
        unsafe { std::mem::transmute(text) }
    }
}
