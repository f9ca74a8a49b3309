//! Random rules: mostly well typed, over the fields that random events have.

use crate::constructs::{Construct, Dialect};
use crate::node::Node;
use crate::rng::Rng;
use crate::words::*;

/// A variable of a macro around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Map,
}

/// Makes rules.
pub struct Rules<'r> {
    rng: &'r mut Rng,
    dialect: Dialect,
    locals: Vec<(String, Kind)>,
}

/// A random rule.
pub fn rule(rng: &mut Rng, dialect: Dialect) -> Node {
    let depth = 1 + rng.below(4);
    Rules { rng, dialect, locals: Vec::new() }.bool(depth)
}

impl Rules<'_> {
    fn bool(&mut self, depth: usize) -> Node {
        let Some(below) = depth.checked_sub(1) else { return self.leaf() };
        match self.rng.below(100) {
            0..26 => self.leaf(),
            26..28 => self.wide(),
            28..30 if self.dialect.has(Construct::Bindings) => self.binding(below),
            28..30 => self.leaf(),
            30..42 => Node::bool("!(§)", vec![self.operand(below)]),
            42..58 => Node::bool("(§ && §)", vec![self.operand(below), self.operand(below)]),
            58..74 => Node::bool("(§ || §)", vec![self.operand(below), self.operand(below)]),
            74..84 => Node::bool("(§ ? § : §)", vec![self.operand(below), self.bool(below), self.bool(below)]),
            84..88 => {
                let operator = *self.rng.pick(&["==", "!="]);
                Node::bool(&format!("(§ {operator} §)"), vec![self.bool(below), self.bool(below)])
            }
            _ => self.macro_call(below),
        }
    }

    /// More operands than a cover tells apart.
    fn wide(&mut self) -> Node {
        let (operator, most) =
            *self.rng.pick(&[(" && ", 8), (" && ", 20), (" || ", 8), (" || ", 20), (" || ", 20), (" || ", 90)]);
        let operands: Vec<Node> = (0..3 + self.rng.below(most)).map(|_| self.leaf()).collect();
        Node::bool(&format!("({})", vec!["§"; operands.len()].join(operator)), operands)
    }

    /// A name for a value, which may hide another one.
    fn binding(&mut self, depth: usize) -> Node {
        let (value, kind) = match self.rng.below(3) {
            0 => (self.number(1), Kind::Number),
            1 => (self.string(1), Kind::Text),
            _ => (self.path_of(MAP_PATHS, Node::other), Kind::Map),
        };
        let variable = self.variable();
        self.locals.push((variable.clone(), kind));
        let node = Node::bool(&format!("cel.bind({variable}, §, §)"), vec![value, self.bool(depth)]);
        self.locals.pop();
        node
    }

    /// A variable's name: a new one, or now and then one that hides another.
    fn variable(&mut self) -> String {
        if self.dialect.has(Construct::Bindings) && self.rng.chance(15) {
            let known = self.locals.iter().map(|(name, _)| name.as_str()).chain(["trigger", "now"]);
            return (*self.rng.pick(&known.collect::<Vec<_>>())).to_owned();
        }
        format!("v{}", self.locals.len())
    }

    /// An operand of a logical operator, which is not always a bool.
    fn operand(&mut self, depth: usize) -> Node {
        if self.dialect.has(Construct::NoBools) && self.rng.chance(3) { self.any(0) } else { self.bool(depth) }
    }

    fn leaf(&mut self) -> Node {
        match self.rng.below(27) {
            0..4 => self.number_comparison(),
            4..7 => {
                let operator = *self.rng.pick(&["==", "==", "!=", "<", ">="]);
                Node::bool(&format!("(§ {operator} §)"), vec![self.string(1), self.string(0)])
            }
            7..10 => {
                let function = *self.rng.pick(&["startsWith", "endsWith", "contains"]);
                Node::bool(&format!("§.{function}(§)"), vec![self.string(0), self.string(0)])
            }
            10 if self.dialect.has(Construct::Patterns) => {
                let re2 = self.dialect.has(Construct::PatternsOfRe2) && self.rng.chance(25);
                let pattern = *self.rng.pick(if re2 { RE2_PATTERNS } else { PATTERNS });
                Node::bool(&format!("§.matches({pattern})"), vec![self.string(0)])
            }
            11..15 => self.membership(),
            15..18 => self.presence(),
            18 => self.path_of(BOOL_PATHS, Node::bool),
            19 => Node::bool("(§ == null)", vec![self.any_path()]),
            20 => Node::bool("(§ != null)", vec![self.any_path()]),
            21 if self.dialect.has(Construct::Types) => {
                let of = *self.rng.pick(TYPES);
                Node::bool(&format!("(type(§) == {of})"), vec![self.any_path()])
            }
            22 => {
                let operator = *self.rng.pick(&["==", "!=", ">", "<="]);
                let length = self.rng.below(4);
                Node::bool(&format!("(size(§) {operator} {length})"), vec![self.sized()])
            }
            23 if self.dialect.has(Construct::DeepEquality) => {
                let operator = *self.rng.pick(&["==", "!="]);
                let left = self.any(1);
                let right = if self.rng.chance(15) { left.clone() } else { self.any(1) };
                Node::bool(&format!("(§ {operator} §)"), vec![left, right])
            }
            24 if self.dialect.has(Construct::Optionals) => self.optional(),
            25 => self.rare(),
            26 if self.dialect.has(Construct::Extensions) => self.extension(),
            _ => self.number_comparison(),
        }
    }

    fn number_comparison(&mut self) -> Node {
        let across = self.dialect.has(Construct::OrderAcrossNumbers);
        let operator =
            if across && self.rng.chance(60) { *self.rng.pick(ORDERS) } else { *self.rng.pick(&["==", "!="]) };
        Node::bool(&format!("(§ {operator} §)"), vec![self.number(1), self.number(0)])
    }

    fn membership(&mut self) -> Node {
        match self.rng.below(8) {
            6 => self.in_many(),
            7 if self.dialect.has(Construct::InAnything) => {
                let odd = |rules: &mut Self| Node::other(rules.rng.word(ODD_CONSTANTS), Vec::new());
                let constants = vec![self.number_constant(), odd(self), self.string_constant(), odd(self)];
                Node::bool("(§ in [§, §, §, §])", [vec![self.any(0)], constants].concat())
            }
            0 => Node::bool("(§ in [§, §])", vec![self.number(0), self.number(0), self.number(0)]),
            1 => Node::bool("(§ in [§, §, §])", vec![self.string(0), self.string(0), self.string(0), self.string(0)]),
            2 => Node::bool(
                "(§ in §)",
                vec![self.string_constant(), self.path_of(&["tags", "labels", "d"], Node::other)],
            ),
            3 if !self.dialect.has(Construct::InAnything) => {
                Node::bool("(§ in §)", vec![self.number_constant(), self.path_of(&["nums"], Node::other)])
            }
            3 => Node::bool("(§ in §)", vec![self.number(0), self.path_of(&["nums"], Node::other)]),
            4 => Node::bool("(§ in kv.frozen)", vec![self.string(0)]),
            _ if self.dialect.has(Construct::InAnything) => Node::bool("(§ in §)", vec![self.any(0), self.any(0)]),
            _ => Node::bool("(§ in [])", vec![self.any_path()]),
        }
    }

    /// In so many constants that they become a set.
    fn in_many(&mut self) -> Node {
        let count = 8 + self.rng.below(14);
        let (of, constant): (Node, fn(&mut Self) -> Node) = match self.rng.below(3) {
            0 => (self.number(0), |rules| Node::other(rules.rng.word(&NUMBERS[..SMALL_NUMBERS]), Vec::new())),
            1 => (self.number(0), Self::number_constant),
            _ => (self.string(0), Self::string_constant),
        };
        let elements: Vec<Node> = (0..count).map(|_| constant(self)).collect();
        Node::bool(&format!("(§ in [{}])", vec!["§"; count].join(", ")), [vec![of], elements].concat())
    }

    fn presence(&mut self) -> Node {
        let paths: &[&str] = if self.dialect.has(Construct::PresenceInScalars) {
            &["n", "zzz", "d.x", "d.zzz", "zzz.a", "s.a", "tags.a", "labels.k", "deep.er.x", "deep.zzz.x"]
        } else {
            &["n", "s", "zzz", "b", "tags", "d"]
        };
        let path = *self.rng.pick(paths);
        if let Some((variable, _)) = self.locals.iter().rfind(|(_, kind)| *kind == Kind::Map)
            && self.dialect.has(Construct::PresenceInScalars)
            && self.rng.chance(50)
        {
            return Node::bool(&format!("has({variable}.k)"), Vec::new());
        }
        Node::bool(&format!("has(trigger.{path})"), Vec::new())
    }

    fn rare(&mut self) -> Node {
        if self.dialect.has(Construct::Time) && self.rng.chance(30) {
            return Node::bool(self.rng.word(OF_TIME), Vec::new());
        }
        let of = if self.rng.chance(40) { OF_THE_EVENT } else { OF_LITTLE };
        Node::bool(self.rng.word(of), Vec::new())
    }

    fn extension(&mut self) -> Node {
        match self.rng.below(11) {
            0 => Node::bool("(§.lowerAscii() == §)", vec![self.string(0), self.string_constant()]),
            1 => {
                Node::bool("(§.indexOf(§) >= §)", vec![self.string(0), self.string_constant(), self.number_constant()])
            }
            2 => Node::bool("§.split(\"-\").exists(p, p == §)", vec![self.string(0), self.string_constant()]),
            3 => Node::bool("(§.join(\",\") != §)", vec![self.path_of(&["tags"], Node::other), self.string(0)]),
            4 => Node::bool("(math.greatest(§, §) == §)", vec![self.number(0), self.number(0), self.number(0)]),
            5 => Node::bool("sets.contains(§, [§])", vec![self.path_of(LIST_PATHS, Node::other), self.any(0)]),
            6 => Node::bool("sets.intersects(§, [§, §])", vec![self.any_path(), self.string(0), self.number(0)]),
            7 => Node::bool("§.glob(\"db-*\")", vec![self.string(0)]),
            8 => Node::bool("cidr(\"10.0.0.0/8\").containsIP(§)", vec![self.path_of(&["at", "s"], Node::other)]),
            9 => Node::bool("semver(§).isLessThan(semver(\"1.2.3\"))", vec![self.string(0)]),
            _ => Node::bool("(§.substring(1, 3) == §)", vec![self.string(0), self.string_constant()]),
        }
    }

    fn optional(&mut self) -> Node {
        let path =
            *self.rng.pick(&["?n", "?zzz", "?d.?x", "?d.?zzz", "?s.?a", "?deep.?er.?x", "d.?x", "zzz.?a", "?d.x"]);
        match self.rng.below(8) {
            0 => Node::bool(&format!("trigger.{path}.hasValue()"), Vec::new()),
            1 => Node::bool(&format!("(trigger.{path}.orValue(§) == §)"), vec![self.number(0), self.number(0)]),
            2 => Node::bool(&format!("(trigger.{path} == optional.of(§))"), vec![self.number(0)]),
            3 => Node::bool(&format!("trigger.{path}.or(§[?\"k\"]).hasValue()"), vec![self.any_path()]),
            4 => Node::bool("has(trigger.?d.x)", Vec::new()),
            5 => Node::bool(&format!("([?trigger.{path}, §].size() > 1)"), vec![self.any(0)]),
            6 => Node::bool("(trigger.?nums[?0].orValue(§) == §)", vec![self.number(0), self.number(0)]),
            _ => Node::bool(
                &format!("(trigger.{path}.optMap(o, o == §).orValue(§))"),
                vec![self.number(0), self.bool(0)],
            ),
        }
    }

    /// A macro over a list, a map or, rarely, something else.
    fn macro_call(&mut self, depth: usize) -> Node {
        let (range, kind) = self.range();
        let outside = self.number(0);
        let variable = self.variable();
        self.locals.push((variable.clone(), kind));
        let two = self.dialect.has(Construct::TwoVariables) && self.rng.chance(20);
        let names = if two { format!("i, {variable}") } else { variable };
        let node = match self.rng.below(10) {
            0..4 => Node::bool(&format!("§.exists({names}, §)"), vec![range, self.bool(depth)]),
            4..7 => Node::bool(&format!("§.all({names}, §)"), vec![range, self.bool(depth)]),
            7 if !two => Node::bool(&format!("§.exists_one({names}, §)"), vec![range, self.bool(depth)]),
            8 if !two => {
                let length = self.rng.below(3);
                Node::bool(&format!("(size(§.filter({names}, §)) > {length})"), vec![range, self.bool(depth)])
            }
            9 if !two => Node::bool(&format!("(§ in §.map({names}, §))"), vec![outside, range, self.number(1)]),
            7 => Node::bool(&format!("§.existsOne({names}, §)"), vec![range, self.bool(depth)]),
            8 => {
                let values = vec![range, self.bool(depth), self.number(1)];
                Node::bool(&format!("(§.transformList({names}, §, §) == [1])"), values)
            }
            _ => {
                let values = vec![range, self.number(1)];
                Node::bool(&format!("§.transformMap({names}, §).exists(k, w, w == 1)"), values)
            }
        };
        self.locals.pop();
        node
    }

    fn range(&mut self) -> (Node, Kind) {
        if self.dialect.has(Construct::MacrosOverAnything) && self.rng.chance(15) {
            let kind = *self.rng.pick(&[Kind::Number, Kind::Text, Kind::Map]);
            return (self.any_path(), kind);
        }
        if let Some((variable, _)) = self.locals.iter().rfind(|(_, kind)| *kind == Kind::Map)
            && self.rng.chance(40)
        {
            return (Node::other(&format!("{variable}[\"in\"]"), Vec::new()), Kind::Number);
        }
        match self.rng.below(5) {
            0 => (self.path_of(&["tags"], Node::other), Kind::Text),
            1 => (self.path_of(&["nums"], Node::other), Kind::Number),
            2 => (self.path_of(&["items"], Node::other), Kind::Map),
            3 => (Node::other("[§, §]", vec![self.number(0), self.number(0)]), Kind::Number),
            _ => (self.path_of(&["labels", "d"], Node::other), Kind::Text),
        }
    }

    fn number(&mut self, depth: usize) -> Node {
        if let Some(local) = self.local(Kind::Number) {
            return local;
        }
        if depth > 0 && self.dialect.has(Construct::Arithmetic) && self.rng.chance(25) {
            return self.arithmetic(depth - 1);
        }
        match self.rng.below(20) {
            0..10 => self.mostly(NUMBER_PATHS),
            10..17 => self.number_constant(),
            17 if self.dialect.has(Construct::NotANumber) => Node::other(self.rng.word(NO_NUMBERS), Vec::new()),
            18 if self.dialect.has(Construct::Indexing) => {
                let index = *self.rng.pick(&["0", "1", "5", "0.0", "1u", "-1", "trigger.n"]);
                Node::other(
                    &format!("§[{index}]"),
                    vec![self.path_of(&["nums", "nums", "tags", "labels"], Node::other)],
                )
            }
            _ => Node::other("1", Vec::new()),
        }
    }

    fn number_constant(&mut self) -> Node {
        let of = if self.rng.chance(70) { &NUMBERS[..SMALL_NUMBERS] } else { &NUMBERS[..] };
        Node::other(self.rng.word(of), Vec::new())
    }

    fn arithmetic(&mut self, depth: usize) -> Node {
        if self.dialect.has(Construct::Conversions) && self.rng.chance(25) {
            let function = *self.rng.pick(&["int", "uint", "double"]);
            let inner = if self.rng.chance(80) { self.number(depth) } else { self.string(0) };
            return Node::other(&format!("{function}(§)"), vec![inner]);
        }
        match self.rng.below(8) {
            0 => Node::other("-(§)", vec![self.number(depth)]),
            1 => Node::other("size(§)", vec![self.sized()]),
            2 => Node::other("(§ ? § : §)", vec![self.bool(0), self.number(depth), self.number(depth)]),
            3 | 4 => {
                let any = self.dialect.has(Construct::SumsOfContainers);
                let right = if any { self.number(depth) } else { self.number_constant() };
                Node::other("(§ + §)", vec![self.number(depth), right])
            }
            _ => {
                let operator = *self.rng.pick(&["-", "*", "/", "%"]);
                Node::other(&format!("(§ {operator} §)"), vec![self.number(depth), self.number(depth)])
            }
        }
    }

    fn string(&mut self, depth: usize) -> Node {
        if let Some(local) = self.local(Kind::Text) {
            return local;
        }
        match self.rng.below(10) {
            0..5 => self.mostly(STRING_PATHS),
            5 if depth > 0 && self.dialect.has(Construct::Arithmetic) => {
                Node::other("(§ + §)", vec![self.string(0), self.string_constant()])
            }
            6 if depth > 0 && self.dialect.has(Construct::Conversions) => {
                if !self.dialect.has(Construct::TextsOfDoubles) {
                    return Node::other("string(size(§))", vec![self.sized()]);
                }
                let paths: &[&str] = &["s", "n", "b", "big", "host"];
                Node::other("string(§)", vec![self.path_of(paths, Node::other)])
            }
            _ => self.string_constant(),
        }
    }

    fn string_constant(&mut self) -> Node {
        Node::other(self.rng.word(STRINGS), Vec::new())
    }

    fn sized(&mut self) -> Node {
        match self.rng.below(3) {
            0 => self.mostly(LIST_PATHS),
            1 => self.mostly(MAP_PATHS),
            _ => self.string(0),
        }
    }

    fn any(&mut self, depth: usize) -> Node {
        match self.rng.below(if depth == 0 { 6 } else { 9 }) {
            0 => self.number(0),
            1 => self.string(0),
            2 => Node::other("null", Vec::new()),
            3..6 => self.any_path(),
            6 => Node::other("[§, §]", vec![self.any(depth - 1), self.any(depth - 1)]),
            7 => Node::other("[§]", vec![self.any(depth - 1)]),
            _ => Node::other("{§: §}", vec![self.string_constant(), self.any(depth - 1)]),
        }
    }

    fn any_path(&mut self) -> Node {
        let paths = *self.rng.pick(&[NUMBER_PATHS, STRING_PATHS, BOOL_PATHS, LIST_PATHS, MAP_PATHS, OTHER_PATHS]);
        self.path_of(paths, Node::other)
    }

    /// One of these paths, or now and then another one.
    fn mostly(&mut self, paths: &[&str]) -> Node {
        if self.rng.chance(93) { self.path_of(paths, Node::other) } else { self.any_path() }
    }

    fn path_of(&mut self, paths: &[&str], node: fn(&str, Vec<Node>) -> Node) -> Node {
        let path = *self.rng.pick(paths);
        let mut text = "trigger".to_owned();
        for step in path.split('.') {
            let is_name = step.bytes().all(|b| b.is_ascii_alphanumeric());
            if is_name && !self.rng.chance(10) {
                text.push('.');
                text.push_str(step);
            } else {
                text += &format!("[\"{step}\"]");
            }
        }
        node(&text, Vec::new())
    }

    /// A value of a variable of a macro around, if there is one of that kind.
    fn local(&mut self, kind: Kind) -> Option<Node> {
        let fits = |of: Kind| of == kind || of == Kind::Map;
        let (name, of) = self.locals.iter().rfind(|(_, of)| fits(*of))?;
        let field = if kind == Kind::Number { "v" } else { "k" };
        let text = if *of == Kind::Map { format!("{name}.{field}") } else { name.clone() };
        self.rng.chance(60).then(|| Node::other(&text, Vec::new()))
    }
}
