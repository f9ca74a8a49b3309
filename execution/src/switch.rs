//! Kill switches: what people have switched off starts nothing until they switch it on, or for as long as they said.

use crate::code;

/// A switch that an execution's start depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// That of everything.
    Everything,
    /// That of its action's pack.
    ActionPack,
    /// That of the pack of the rule that asked for it.
    RulePack,
    /// That of its action.
    Action,
    /// That of the rule that asked for it.
    Rule,
}

/// What a switch that is off says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchedOff {
    /// Who switched it off.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when, in milliseconds since the epoch; none where somebody has to switch it on.
    pub until_ms: Option<i64>,
    /// Whether what would start meanwhile ends instead of waiting.
    pub drops: bool,
}

impl Switch {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 5] = [Self::Everything, Self::ActionPack, Self::RulePack, Self::Action, Self::Rule];

    /// Stable code of what waits for it, or ended because of it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Everything => code::EVERYTHING_OFF,
            Self::ActionPack => code::PACK_OFF,
            Self::RulePack => code::RULE_PACK_OFF,
            Self::Action => code::ACTION_OFF,
            Self::Rule => code::RULE_OFF,
        }
    }

    /// What it switches for executions of an action that a rule has asked for, if one did, as its key has it; none where
    /// nothing of the kind asked for them.
    pub fn scope(self, action: &str, rule: Option<&str>) -> Option<String> {
        let pack = |reference: &str| reference.split('.').next().unwrap_or_default().to_owned();
        Some(match self {
            Self::Everything => EVERYTHING.to_owned(),
            Self::ActionPack => format!("pack/{}", pack(action)),
            Self::RulePack => format!("pack/{}", pack(rule?)),
            Self::Action => format!("action/{action}"),
            Self::Rule => format!("rule/{}", rule?),
        })
    }

    /// The first switch that keeps executions of an action, and of the rule that has asked for them, if one did, from
    /// starting; its scope, and what it says. `off` tells what the switch of a scope says, if it is off.
    pub fn first_off(
        action: &str,
        rule: Option<&str>,
        off: impl Fn(&str) -> Option<SwitchedOff>,
    ) -> Option<(Self, String, SwitchedOff)> {
        Self::ALL.into_iter().find_map(|switch| {
            let scope = switch.scope(action, rule)?;
            let off = off(&scope)?;
            Some((switch, scope, off))
        })
    }
}

/// The scope of the switch of everything; the others are `pack/NAME`, `action/PACK.NAME` and `rule/PACK.NAME`.
pub const EVERYTHING: &str = "everything";
