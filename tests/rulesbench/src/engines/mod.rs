//! The engines, each from the rules' own texts and the raw bytes of an event to the ids of the rules that
//! match it.

#[cfg(feature = "rivals")]
mod a_tree;
mod cel;
mod closures;
mod floor;
mod petrel;
pub(crate) mod prepared;
#[cfg(feature = "rivals")]
mod quamina;
#[cfg(feature = "rivals")]
mod wirefilter;

use anyhow::{Result, bail};

use crate::rule::{Rule, fields_read};
use crate::schema::{Corpus, Field};

/// Appends the ids of the rules that an event matches.
pub(crate) type Matcher = Box<dyn FnMut(&[u8], &mut Vec<u32>) -> Result<()>>;

/// Everything that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Engine {
    Petrel,
    /// Petrel's own programs, one after the other.
    PetrelScan,
    /// Reading alone: the whole document validated, the rules' fields decoded.
    Floor,
    Closures,
    Quamina,
    Wirefilter,
    ATree,
    Cel,
    EventRuler,
    /// Petrel on the rules of the set that an index can help.
    PetrelIndexable,
    /// Petrel's programs of the others, one after the other.
    PetrelRest,
    /// Petrel without a rule: validation alone.
    PetrelNothing,
}

/// What an engine is to a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Own,
    /// Others wrote it.
    Rival,
    Scan,
    Floor,
    /// A part of Petrel's own work, for one bar.
    Part,
}

impl Engine {
    /// In the order in which they take their turns, and of the report.
    pub(crate) const ALL: [Engine; 12] = [
        Self::Petrel,
        Self::PetrelScan,
        Self::Floor,
        Self::Closures,
        Self::Quamina,
        Self::Wirefilter,
        Self::ATree,
        Self::Cel,
        Self::EventRuler,
        Self::PetrelIndexable,
        Self::PetrelRest,
        Self::PetrelNothing,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Petrel => "petrel",
            Self::PetrelScan => "petrel-scan",
            Self::Floor => "floor",
            Self::Closures => "closures",
            Self::Quamina => "quamina",
            Self::Wirefilter => "wirefilter",
            Self::ATree => "a-tree",
            Self::Cel => "cel",
            Self::EventRuler => "event-ruler",
            Self::PetrelIndexable => "petrel-indexable",
            Self::PetrelRest => "petrel-rest",
            Self::PetrelNothing => "petrel-nothing",
        }
    }

    /// For tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Petrel => "**petrel**",
            Self::PetrelScan => "petrel without its index",
            Self::Floor => "floor (validate, decode fields)",
            Self::Closures => "closure scan",
            Self::Quamina => "quamina 0.7.0",
            Self::Wirefilter => "wirefilter-engine 0.6.1",
            Self::ATree => "a-tree 0.6.1",
            Self::Cel => "cel 0.15",
            Self::EventRuler => "Event Ruler 2.0.1",
            Self::PetrelIndexable => "petrel, indexable rules only",
            Self::PetrelRest => "petrel scan of the other rules",
            Self::PetrelNothing => "petrel without rules",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::Petrel => Role::Own,
            Self::PetrelScan | Self::PetrelIndexable | Self::PetrelRest | Self::PetrelNothing => Role::Part,
            Self::Floor => Role::Floor,
            Self::Closures => Role::Scan,
            Self::Quamina | Self::Wirefilter | Self::ATree | Self::Cel | Self::EventRuler => Role::Rival,
        }
    }

    /// Whether it was compiled into this program.
    pub(crate) fn is_built_in(self) -> bool {
        cfg!(feature = "rivals") || !matches!(self, Self::Quamina | Self::Wirefilter | Self::ATree)
    }

    /// The rules of a set that this engine is given.
    pub(crate) fn part(self, rules: Vec<Rule>) -> Vec<(u32, Rule)> {
        let all = (0..).zip(rules);
        match self {
            Self::PetrelIndexable => all.filter(|(_, rule)| !is_rest(rule)).collect(),
            Self::PetrelRest => all.filter(|(_, rule)| is_rest(rule)).collect(),
            Self::PetrelNothing => Vec::new(),
            _ => all.collect(),
        }
    }
}

/// Whether a rule is one of those that a regex1 or unindexable5 set is named after.
pub(crate) fn is_rest(rule: &Rule) -> bool {
    rule.is_unindexable() || rule.is_only_regex()
}

/// Rules in the form that an engine is built from: its own language, or the neutral one for those that are
/// built by hand.
pub(crate) enum Input {
    Texts(Vec<(u32, String)>),
    Rules(Vec<(u32, Rule)>),
}

/// Renders rules for an engine. Errors say what it cannot express.
pub(crate) fn render(engine: Engine, rules: Vec<(u32, Rule)>, fields: &[Field]) -> Result<Input> {
    #[cfg(feature = "rivals")]
    let one_text = |render: fn(&Rule, &[Field]) -> Option<String>| -> Result<Input> {
        let texts = rules.iter().map(|(id, rule)| Some((*id, render(rule, fields)?)));
        let Some(texts) = texts.collect::<Option<Vec<_>>>() else { bail!("cannot express the family") };
        Ok(Input::Texts(texts))
    };
    match engine {
        Engine::Floor | Engine::Closures => Ok(Input::Rules(rules)),
        Engine::Petrel
        | Engine::PetrelScan
        | Engine::PetrelIndexable
        | Engine::PetrelRest
        | Engine::PetrelNothing
        | Engine::Cel => {
            let texts = rules.iter().map(|(id, rule)| (*id, crate::render::cel(rule, fields)));
            Ok(Input::Texts(texts.collect()))
        }
        #[cfg(feature = "rivals")]
        Engine::ATree => one_text(crate::render::a_tree),
        #[cfg(feature = "rivals")]
        Engine::Wirefilter => one_text(crate::render::wirefilter),
        #[cfg(feature = "rivals")]
        Engine::Quamina => {
            let mut texts = Vec::new();
            for (id, rule) in &rules {
                let Some(patterns) = crate::render::quamina(rule, fields) else { bail!("cannot express the family") };
                texts.extend(patterns.into_iter().map(|pattern| (*id, pattern)));
            }
            Ok(Input::Texts(texts))
        }
        _ => bail!("is not built in: feature rivals"),
    }
}

/// Builds an engine. `read` are the fields that the rules of the whole set read.
pub(crate) fn build(engine: Engine, input: &Input, corpus: Corpus, read: &[bool]) -> Result<Matcher> {
    let fields = corpus.fields();
    match (engine, input) {
        (Engine::Floor, Input::Rules(_)) => Ok(floor::matcher(fields, read)),
        (Engine::Closures, Input::Rules(rules)) => closures::build(rules, fields, read),
        (Engine::Cel, Input::Texts(texts)) => cel::build(texts),
        (Engine::Petrel | Engine::PetrelIndexable | Engine::PetrelNothing, Input::Texts(texts)) => {
            petrel::build(texts, petrel::Way::Indexed)
        }
        (Engine::PetrelScan | Engine::PetrelRest, Input::Texts(texts)) => petrel::build(texts, petrel::Way::Scan),
        #[cfg(feature = "rivals")]
        (Engine::ATree, Input::Texts(texts)) => a_tree::build(texts, fields, read),
        #[cfg(feature = "rivals")]
        (Engine::Wirefilter, Input::Texts(texts)) => wirefilter::build(texts, fields, read),
        #[cfg(feature = "rivals")]
        (Engine::Quamina, Input::Texts(texts)) => quamina::build(texts),
        _ => bail!("is not built in: feature rivals"),
    }
}

/// The fields that an engine's rules read.
pub(crate) fn read_by(rules: &[Rule], corpus: Corpus) -> Vec<bool> {
    fields_read(rules, corpus.fields().len())
}

#[cfg(test)]
mod tests;
