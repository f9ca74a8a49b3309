//! What a schema tells the compiler of criteria about an event's fields.

use petrel_cel::Type;
use petrel_cel::compile::{EventTypes, Field};

use super::TriggerSchema;

impl TriggerSchema {
    /// Whether the schema names any field, so that criteria can be checked against it.
    pub(crate) fn lists_fields(&self) -> bool {
        !self.properties.is_empty()
    }

    /// The types of what stands at a path, as every event that is let through has them, whatever else of the
    /// schema is checked; nothing if any type is.
    pub(crate) fn checked_types(&self, steps: &[&str]) -> Option<Vec<Type>> {
        let mut schema = self;
        for step in steps {
            schema = schema.properties.iter().find(|(name, _)| &**name == *step).map(|(_, below)| below)?;
        }
        Some(schema.types.as_ref()?.iter().flat_map(|name| types_of(name)).collect())
    }

    /// The schema of what stands at a path, or what is known without one.
    fn at(&self, steps: &[&str]) -> Result<&Self, Field> {
        let Some((first, rest)) = steps.split_first() else { return Ok(self) };
        let is_object = |types: &Vec<String>| types.iter().any(|t| t == "object");
        if !self.types.as_ref().is_none_or(is_object) {
            return Err(Field::Never);
        }
        if let Some((_, below)) = self.properties.iter().find(|(name, _)| &**name == *first) {
            return below.at(rest);
        }
        match &self.other_properties {
            _ if self.required.iter().any(|name| &**name == *first) => Err(Field::Open),
            Some(below) => below.at(rest),
            None if self.closed => Err(Field::Never),
            // Without a list of names, any name is as good as another.
            None if self.properties.is_empty() => Err(Field::Open),
            None => Err(Field::Unlisted),
        }
    }
}

impl EventTypes for TriggerSchema {
    fn field(&self, steps: &[&str]) -> Field {
        match self.at(steps) {
            Ok(Self { types: Some(types), .. }) => Field::Of(types.iter().flat_map(|name| types_of(name)).collect()),
            Ok(_) => Field::Open,
            Err(field) => field,
        }
    }

    fn names(&self, steps: &[&str]) -> Vec<String> {
        self.at(steps).map_or_else(
            |_| Vec::new(),
            |schema| {
                let required = schema.required.iter();
                let mut names: Vec<String> = schema
                    .properties
                    .iter()
                    .map(|(name, _)| name)
                    .chain(required)
                    .map(|name| name.to_string())
                    .collect();
                names.sort();
                names.dedup();
                names
            },
        )
    }
}

/// The types that values of a JSON schema's type have here.
fn types_of(name: &str) -> Vec<Type> {
    match name {
        "null" => vec![Type::Null],
        "boolean" => vec![Type::Bool],
        // 5.0 is an integer to JSON schema.
        "integer" => vec![Type::Int, Type::Uint, Type::Double],
        "number" => vec![Type::Double],
        "string" => vec![Type::String],
        "array" => vec![Type::List],
        _ => vec![Type::Map],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_known_as_far_as_the_schema_tells() {
        let schema = TriggerSchema::compile(&json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "host": {"type": "string"},
                "pct": {"type": "number"},
                "n": {"type": ["integer", "null"]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "closed": {"properties": {"a": {}}, "additionalProperties": false},
                "open": {"type": "object"},
            },
        }));
        let cases: [(&[&str], Field); 12] = [
            (&["host"], Field::Of(vec![Type::String])),
            (&["pct"], Field::Of(vec![Type::Double])),
            (&["n"], Field::Of(vec![Type::Int, Type::Uint, Type::Double, Type::Null])),
            (&["labels", "team"], Field::Of(vec![Type::String])),
            (&["labels", "team", "x"], Field::Never),
            (&["host", "x"], Field::Never),
            (&["closed", "a"], Field::Open),
            (&["closed", "b"], Field::Never),
            (&["open", "x"], Field::Open),
            (&["id"], Field::Open),
            (&["hots"], Field::Unlisted),
            (&[], Field::Of(vec![Type::Map])),
        ];
        for (steps, expected) in cases {
            assert_eq!(schema.field(steps), expected, "{steps:?}");
        }
        assert_eq!(schema.names(&[]), ["closed", "host", "id", "labels", "n", "open", "pct"]);
        assert!(schema.lists_fields() && !TriggerSchema::none().lists_fields());
    }
}
