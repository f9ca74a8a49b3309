//! The grammar of whole texts: data, print statements, blocks.

use super::expressions::{Shape, TupleRules};
use super::lexer::Kind;
use super::parser::{Mistake, Parsed, Parser};
use crate::expression::python::quoted;

impl Parser<'_> {
    /// A whole text.
    pub fn template(&mut self) -> Parsed {
        self.body(None)
    }

    /// Everything up to a tag that ends it, or to the text's end.
    fn body(&mut self, ends: Option<&'static [&'static str]>) -> Parsed {
        loop {
            match self.current.kind {
                Kind::End => return Ok(()),
                Kind::PrintBegin => {
                    self.begin_expression();
                    self.advance()?;
                    self.tuple(TupleRules::PLAIN)?;
                    self.expect(Kind::PrintEnd)?;
                }
                Kind::BlockBegin => {
                    self.begin_expression();
                    self.advance()?;
                    if ends.is_some_and(|ends| ends.iter().any(|end| self.is_name(end))) {
                        return Ok(());
                    }
                    self.deeper(Self::statement)?;
                    self.expect(Kind::BlockEnd)?;
                }
                _ => {
                    self.advance()?;
                }
            }
        }
    }

    /// The body of a block, from the end of its tag; the current token is the name of the tag that ended it.
    fn block_body(&mut self, ends: &'static [&'static str]) -> Parsed {
        self.skip_operator(":")?;
        self.expect(Kind::BlockEnd)?;
        self.ends.push(ends);
        let body = self.body(Some(ends));
        if body.is_ok() && self.current.kind == Kind::End {
            return Err(self.unknown_tag(None));
        }
        self.ends.pop();
        body
    }

    /// The same, for a block that one tag ends; that tag's name is passed.
    fn last_body(&mut self, ends: &'static [&'static str]) -> Parsed {
        self.block_body(ends)?;
        self.advance().map(drop)
    }

    fn statement(&mut self) -> Parsed {
        if self.current.kind != Kind::Name {
            return Err(Mistake("tag name expected".to_owned()));
        }
        let tag = self.current.text;
        self.tags.push(tag);
        match tag {
            "for" => self.for_loop(),
            "if" => self.condition(),
            "set" => self.assignment(),
            "with" => self.with_block(),
            "block" => self.named_block(),
            "macro" => self.macro_block(),
            "call" => self.call_block(),
            "filter" => self.filter_block(),
            "autoescape" => {
                self.advance()?;
                self.expression()?;
                self.last_body(&["endautoescape"])
            }
            "print" => self.print(),
            "extends" | "include" | "import" | "from" => {
                Err(Mistake(format!("'{tag}' is not supported: there are no other templates")))
            }
            _ => {
                self.tags.pop();
                Err(self.unknown_tag(Some(tag)))
            }
        }?;
        self.tags.pop();
        Ok(())
    }

    /// A tag that nobody knows here, or none where the text ended.
    fn unknown_tag(&self, name: Option<&str>) -> Mistake {
        let mut message = match name {
            None => "Unexpected end of template.".to_owned(),
            Some(name) => format!("Encountered unknown tag {}.", quoted(name)),
        };
        if let Some(looking) = self.ends.last() {
            let looking = looking.iter().map(|end| quoted(end)).collect::<Vec<_>>().join(" or ");
            let is_expected = name.is_some_and(|name| self.ends.iter().any(|ends| ends.contains(&name)));
            message += &if is_expected {
                format!(
                    " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for \
                     {looking}."
                )
            } else {
                format!(" Jinja was looking for the following tags: {looking}.")
            };
        }
        if let Some(tag) = self.tags.last() {
            message += &format!(" The innermost block that needs to be closed is {}.", quoted(tag));
        }
        Mistake(message)
    }

    fn for_loop(&mut self) -> Parsed {
        self.advance()?;
        self.target(TupleRules::PLAIN)?;
        self.expect_name("in")?;
        self.tuple(TupleRules { with_condition: false, ..TupleRules::PLAIN })?;
        if self.skip_name("if")? {
            self.expression()?;
        }
        self.skip_name("recursive")?;
        self.block_body(&["endfor", "else"])?;
        if self.advance()?.text == "else" {
            self.last_body(&["endfor"])?;
        }
        Ok(())
    }

    fn condition(&mut self) -> Parsed {
        self.advance()?;
        loop {
            self.tuple(TupleRules { with_condition: false, ..TupleRules::PLAIN })?;
            self.block_body(&["elif", "else", "endif"])?;
            match self.advance()?.text {
                "elif" => {}
                "else" => return self.last_body(&["endif"]),
                _ => return Ok(()),
            }
        }
    }

    fn assignment(&mut self) -> Parsed {
        self.advance()?;
        self.target(TupleRules { with_namespace: true, ..TupleRules::PLAIN })?;
        if self.skip_operator("=")? {
            return self.tuple(TupleRules::PLAIN).map(drop);
        }
        self.filters(false)?;
        self.last_body(&["endset"])
    }

    fn with_block(&mut self) -> Parsed {
        self.advance()?;
        let mut first = true;
        while self.current.kind != Kind::BlockEnd {
            if !std::mem::take(&mut first) {
                self.expect_operator(",")?;
            }
            self.target(TupleRules::PLAIN)?;
            self.expect_operator("=")?;
            self.expression()?;
        }
        self.last_body(&["endwith"])
    }

    fn named_block(&mut self) -> Parsed {
        self.advance()?;
        let name = self.expect(Kind::Name)?.text;
        self.skip_name("scoped")?;
        self.skip_name("required")?;
        if self.is_operator("-") {
            return Err(Mistake(
                "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore \
                 instead."
                    .to_owned(),
            ));
        }
        self.last_body(&["endblock"])?;
        self.skip_name(name).map(drop)
    }

    fn signature(&mut self) -> Parsed {
        self.expect_operator("(")?;
        let (mut first, mut defaults) = (true, false);
        while !self.is_operator(")") {
            if !std::mem::take(&mut first) {
                self.expect_operator(",")?;
            }
            self.name_target()?;
            if self.skip_operator("=")? {
                self.expression()?;
                defaults = true;
            } else if defaults {
                return Err(Mistake("non-default argument follows default argument".to_owned()));
            }
        }
        self.expect_operator(")")
    }

    fn macro_block(&mut self) -> Parsed {
        self.advance()?;
        self.name_target()?;
        self.signature()?;
        self.last_body(&["endmacro"])
    }

    fn call_block(&mut self) -> Parsed {
        self.advance()?;
        if self.is_operator("(") {
            self.signature()?;
        }
        if self.expression()? != Shape::Call {
            return Err(Mistake("expected call".to_owned()));
        }
        self.last_body(&["endcall"])
    }

    fn filter_block(&mut self) -> Parsed {
        self.advance()?;
        self.filters(true)?;
        self.last_body(&["endfilter"])
    }

    fn print(&mut self) -> Parsed {
        self.advance()?;
        let mut first = true;
        while self.current.kind != Kind::BlockEnd {
            if !std::mem::take(&mut first) {
                self.expect_operator(",")?;
            }
            self.expression()?;
        }
        Ok(())
    }
}
