//! The crate `a-tree`, fed by the floor.

use a_tree::{ATree, AttributeDefinition};
use anyhow::{Context, Result, anyhow};

use super::Matcher;
use super::floor::{Fields, Floor};
use crate::schema::{Field, Kind};

pub(super) fn build(texts: &[(u32, String)], fields: &[Field], read: &[bool]) -> Result<Matcher> {
    let names: Vec<String> = fields.iter().map(Field::flat).collect();
    let definitions: Vec<AttributeDefinition> =
        fields.iter().zip(&names).map(|(field, name)| definition(field.kind, name)).collect();
    let mut tree = ATree::<u32>::new(&definitions).map_err(|error| anyhow!("{error}"))?;
    for (id, text) in texts {
        tree.insert(id, text).map_err(|error| anyhow!("{text}: {error}"))?;
    }
    let floor = Floor::new(fields, read);
    Ok(Box::new(move |event, found| floor.read(event, |fields| search(&tree, &floor, &names, fields, found))?))
}

fn definition(kind: Kind, name: &str) -> AttributeDefinition {
    match kind {
        Kind::Text => AttributeDefinition::string(name),
        Kind::Float => AttributeDefinition::float(name),
        Kind::Int => AttributeDefinition::integer(name),
        Kind::Tags => AttributeDefinition::string_list(name),
    }
}

fn search(tree: &ATree<u32>, floor: &Floor, names: &[String], fields: &Fields<'_>, found: &mut Vec<u32>) -> Result<()> {
    let mut event = tree.make_event();
    for (field, kind) in &floor.wanted {
        let (name, number) = (&names[*field], fields.numbers[*field]);
        match kind {
            Kind::Text => match fields.texts[*field].text() {
                Some(text) => event.with_string(name, text),
                None => continue,
            },
            Kind::Float | Kind::Int if number.is_nan() => continue,
            Kind::Float => event.with_float(name, (number * 100.0).round() as i64, 2),
            Kind::Int => event.with_integer(name, number as i64),
            Kind::Tags => event.with_string_list(name, fields.tags),
        }
        .map_err(|error| anyhow!("{error}"))?;
    }
    let event = event.build().map_err(|error| anyhow!("{error}"))?;
    let report = tree.search(&event).map_err(|error| anyhow!("{error}")).context("a search")?;
    found.extend(report.matches().iter().map(|id| **id));
    Ok(())
}
