//! The grammar of expressions.

use super::lexer::Kind;
use super::parser::{Mistake, Parsed, Parser};
use crate::expression::python::quoted;

/// As much of an expression as the grammar asks for: what may be assigned to, and what is a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Name,
    Namespace,
    Const,
    /// A tuple, and whether all of it may be assigned to.
    Tuple(bool),
    Call,
    /// Anything else, by the name that messages have for it.
    Other(&'static str),
}

impl Shape {
    pub fn can_assign(&self) -> bool {
        matches!(self, Shape::Name | Shape::Namespace | Shape::Tuple(true))
    }

    fn name(&self) -> &'static str {
        match self {
            Shape::Name => "name",
            Shape::Namespace => "nsref",
            Shape::Const => "const",
            Shape::Tuple(_) => "tuple",
            Shape::Call => "call",
            Shape::Other(name) => name,
        }
    }
}

/// How a tuple is written where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct TupleRules {
    /// Names and literals alone.
    pub simplified: bool,
    /// `a if b` may stand in it.
    pub with_condition: bool,
    /// It stands in brackets of its own, and may be empty.
    pub bracketed: bool,
    /// `name.attribute` may stand in a simplified one.
    pub with_namespace: bool,
}

impl TupleRules {
    pub const PLAIN: TupleRules =
        TupleRules { simplified: false, with_condition: true, bracketed: false, with_namespace: false };
}

/// Binary operators from those that bind least; `~` stands between the third and the fourth.
const COMPARISONS: [&str; 6] = ["==", "!=", ">", ">=", "<", "<="];

impl Parser<'_> {
    /// Any expression.
    pub fn expression(&mut self) -> Parsed<Shape> {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Parsed<Shape> {
        let mut shape = self.or()?;
        while self.skip_name("if")? {
            self.count_operator()?;
            self.or()?;
            if self.skip_name("else")? {
                self.expression()?;
            }
            shape = Shape::Other("condexpr");
        }
        Ok(shape)
    }

    fn or(&mut self) -> Parsed<Shape> {
        let mut shape = self.and()?;
        while self.skip_name("or")? {
            self.count_operator()?;
            self.and()?;
            shape = Shape::Other("or");
        }
        Ok(shape)
    }

    fn and(&mut self) -> Parsed<Shape> {
        let mut shape = self.not()?;
        while self.skip_name("and")? {
            self.count_operator()?;
            self.not()?;
            shape = Shape::Other("and");
        }
        Ok(shape)
    }

    fn not(&mut self) -> Parsed<Shape> {
        if self.skip_name("not")? {
            self.deeper(Self::not)?;
            return Ok(Shape::Other("not"));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Shape> {
        let mut shape = self.sum()?;
        loop {
            if self.current.kind == Kind::Operator && COMPARISONS.contains(&self.current.text) {
                self.advance()?;
            } else if self.is_name("not") && self.look()?.text == "in" {
                self.advance()?;
                self.advance()?;
            } else if !self.skip_name("in")? {
                return Ok(shape);
            }
            self.count_operator()?;
            self.sum()?;
            shape = Shape::Other("compare");
        }
    }

    fn sum(&mut self) -> Parsed<Shape> {
        self.chain(&["+", "-"], Self::concatenation)
    }

    fn concatenation(&mut self) -> Parsed<Shape> {
        self.chain(&["~"], Self::product)
    }

    fn product(&mut self) -> Parsed<Shape> {
        self.chain(&["*", "/", "//", "%"], Self::power)
    }

    fn power(&mut self) -> Parsed<Shape> {
        self.chain(&["**"], |parser| parser.unary(true))
    }

    /// Operands with these operators between them.
    fn chain(&mut self, operators: &[&str], operand: fn(&mut Self) -> Parsed<Shape>) -> Parsed<Shape> {
        let mut shape = operand(self)?;
        while self.current.kind == Kind::Operator && operators.contains(&self.current.text) {
            self.count_operator()?;
            self.advance()?;
            operand(self)?;
            shape = Shape::Other("binexpr");
        }
        Ok(shape)
    }

    fn unary(&mut self, with_filter: bool) -> Parsed<Shape> {
        let mut shape = if self.is_operator("-") || self.is_operator("+") {
            self.advance()?;
            self.deeper(|parser| parser.unary(false))?;
            Shape::Other("unaryexpr")
        } else {
            self.primary(false)?
        };
        shape = self.postfix(shape)?;
        if with_filter { self.filters_and_tests(shape) } else { Ok(shape) }
    }

    fn primary(&mut self, with_namespace: bool) -> Parsed<Shape> {
        match (self.current.kind, self.current.text) {
            (Kind::Name, name) => {
                self.advance()?;
                if matches!(name, "true" | "false" | "True" | "False" | "none" | "None") {
                    return Ok(Shape::Const);
                }
                if with_namespace && self.skip_operator(".")? {
                    self.expect(Kind::Name)?;
                    return Ok(Shape::Namespace);
                }
                Ok(Shape::Name)
            }
            (Kind::Text, _) => {
                while self.current.kind == Kind::Text {
                    self.advance()?;
                }
                Ok(Shape::Const)
            }
            (Kind::Integer | Kind::Float, _) => {
                self.advance()?;
                Ok(Shape::Const)
            }
            (Kind::Operator, "(") => {
                self.advance()?;
                let shape = self.tuple(TupleRules { bracketed: true, ..TupleRules::PLAIN })?;
                self.expect_operator(")")?;
                Ok(shape)
            }
            (Kind::Operator, "[") => {
                self.advance()?;
                self.items("]", |parser| parser.expression().map(drop))?;
                Ok(Shape::Other("list"))
            }
            (Kind::Operator, "{") => {
                self.advance()?;
                self.items("}", |parser| {
                    parser.expression()?;
                    parser.expect_operator(":")?;
                    parser.expression().map(drop)
                })?;
                Ok(Shape::Other("dict"))
            }
            _ => Err(Mistake(format!("unexpected {}", quoted(self.described())))),
        }
    }

    /// What stands between brackets; a comma may be last.
    fn items(&mut self, close: &str, item: impl Fn(&mut Self) -> Parsed) -> Parsed {
        let mut first = true;
        while !self.is_operator(close) {
            if !std::mem::take(&mut first) {
                self.expect_operator(",")?;
            }
            if self.is_operator(close) {
                break;
            }
            item(self)?;
        }
        self.expect_operator(close)
    }

    /// One expression, or several with commas between them.
    pub fn tuple(&mut self, rules: TupleRules) -> Parsed<Shape> {
        let mut only = None;
        let mut is_tuple = false;
        let mut all_assignable = true;
        loop {
            if only.is_some() {
                self.expect_operator(",")?;
            }
            let ends = matches!(self.current.kind, Kind::PrintEnd | Kind::BlockEnd) || self.is_operator(")");
            if ends {
                break;
            }
            let shape = match rules {
                TupleRules { simplified: true, with_namespace, .. } => {
                    self.deeper(|parser| parser.primary(with_namespace))?
                }
                TupleRules { with_condition: true, .. } => self.expression()?,
                _ => self.deeper(Self::or)?,
            };
            all_assignable &= shape.can_assign();
            only = Some(shape);
            if !self.is_operator(",") {
                break;
            }
            is_tuple = true;
        }
        match only {
            Some(shape) if !is_tuple => Ok(shape),
            None if !is_tuple && !rules.bracketed => {
                Err(Mistake(format!("Expected an expression, got {}", quoted(self.described()))))
            }
            _ => Ok(Shape::Tuple(all_assignable)),
        }
    }

    /// Something that is assigned to.
    pub fn target(&mut self, rules: TupleRules) -> Parsed {
        let shape = self.tuple(TupleRules { simplified: true, ..rules })?;
        if shape.can_assign() { Ok(()) } else { Err(Mistake(format!("can't assign to '{}'", shape.name()))) }
    }

    /// A name that is assigned to.
    pub fn name_target(&mut self) -> Parsed {
        let name = self.expect(Kind::Name)?.text;
        let constant = matches!(name, "true" | "false" | "True" | "False" | "none" | "None");
        if constant { Err(Mistake("can't assign to 'name'".to_owned())) } else { Ok(()) }
    }

    fn postfix(&mut self, mut shape: Shape) -> Parsed<Shape> {
        loop {
            if self.current.kind == Kind::Operator && matches!(self.current.text, "." | "[" | "(") {
                self.count_operator()?;
            }
            if self.is_operator(".") {
                self.advance()?;
                let kind = self.current.kind;
                self.advance()?;
                shape = match kind {
                    Kind::Name => Shape::Other("getattr"),
                    Kind::Integer => Shape::Other("getitem"),
                    _ => return Err(Mistake("expected name or number".to_owned())),
                };
            } else if self.is_operator("[") {
                self.advance()?;
                self.subscripts()?;
                shape = Shape::Other("getitem");
            } else if self.is_operator("(") {
                self.arguments()?;
                shape = Shape::Call;
            } else {
                return Ok(shape);
            }
        }
    }

    fn subscripts(&mut self) -> Parsed {
        let mut first = true;
        while !self.is_operator("]") {
            if !std::mem::take(&mut first) {
                self.expect_operator(",")?;
            }
            self.subscript()?;
        }
        self.expect_operator("]")
    }

    /// `a`, `a:b`, `a:b:c`, each part of a range as it may be left out.
    fn subscript(&mut self) -> Parsed {
        let ends = |parser: &Self| parser.is_operator("]") || parser.is_operator(",");
        if !self.skip_operator(":")? {
            self.expression()?;
            if !self.skip_operator(":")? {
                return Ok(());
            }
        }
        if !self.is_operator(":") && !ends(self) {
            self.expression()?;
        }
        if self.skip_operator(":")? && !ends(self) {
            self.expression()?;
        }
        Ok(())
    }

    /// The arguments of a call, with their brackets.
    pub fn arguments(&mut self) -> Parsed {
        const INVALID: &str = "invalid syntax for function call expression";
        let ensure = |valid: bool| if valid { Ok(()) } else { Err(Mistake(INVALID.to_owned())) };
        self.expect_operator("(")?;
        let (mut named, mut rest, mut named_rest, mut first) = (false, false, false, true);
        while !self.is_operator(")") {
            if !std::mem::take(&mut first) {
                self.expect_operator(",")?;
                if self.is_operator(")") {
                    break;
                }
            }
            if self.is_operator("*") {
                ensure(!rest && !named_rest)?;
                self.advance()?;
                rest = true;
            } else if self.is_operator("**") {
                ensure(!named_rest)?;
                self.advance()?;
                named_rest = true;
            } else if self.current.kind == Kind::Name && self.look()?.text == "=" {
                ensure(!named_rest)?;
                self.advance()?;
                self.advance()?;
                named = true;
            } else {
                ensure(!named && !rest && !named_rest)?;
            }
            self.expression()?;
        }
        self.expect_operator(")")
    }

    fn filters_and_tests(&mut self, mut shape: Shape) -> Parsed<Shape> {
        loop {
            if self.is_operator("|") || self.is_name("is") || self.is_operator("(") {
                self.count_operator()?;
            }
            if self.is_operator("|") {
                self.filters(false)?;
                shape = Shape::Other("filter");
            } else if self.is_name("is") {
                self.test()?;
                shape = Shape::Other("test");
            } else if self.is_operator("(") {
                self.arguments()?;
                shape = Shape::Call;
            } else {
                return Ok(shape);
            }
        }
    }

    /// Filters with their pipes; the first pipe may be left out where a statement says that one follows.
    pub fn filters(&mut self, mut inline: bool) -> Parsed {
        while inline || self.is_operator("|") {
            if !std::mem::take(&mut inline) {
                self.advance()?;
            }
            self.count_operator()?;
            self.dotted_name()?;
            if self.is_operator("(") {
                self.arguments()?;
            }
        }
        Ok(())
    }

    fn dotted_name(&mut self) -> Parsed {
        self.expect(Kind::Name)?;
        while self.skip_operator(".")? {
            self.expect(Kind::Name)?;
        }
        Ok(())
    }

    fn test(&mut self) -> Parsed {
        self.advance()?;
        self.skip_name("not")?;
        self.dotted_name()?;
        if self.is_operator("(") {
            return self.arguments();
        }
        let argument = match self.current.kind {
            Kind::Name => !["else", "or", "and"].contains(&self.current.text),
            Kind::Text | Kind::Integer | Kind::Float => true,
            Kind::Operator => matches!(self.current.text, "[" | "{"),
            _ => false,
        };
        if argument {
            if self.is_name("is") {
                return Err(Mistake("You cannot chain multiple tests with is".to_owned()));
            }
            let shape = self.deeper(|parser| parser.primary(false))?;
            self.postfix(shape)?;
        }
        Ok(())
    }
}
