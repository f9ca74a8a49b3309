//! The grammar of JSON, building CEL values.

use std::borrow::Cow;
use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};

use super::scan::{Number, ScanError, Scanner};
use super::{CelVal, Doubles, Keep, Shape};
use crate::limits::JSON_DEPTH_MAX;

/// Stands for "build everything below".
static ALL: std::sync::LazyLock<Keep> = std::sync::LazyLock::new(|| Keep { all: true, ..Keep::default() });

struct Builder<'e, 'v> {
    scan: Scanner<'e>,
    depth: usize,
    string: fn(Cow<'e, str>) -> CelString<'v>,
}

/// Takes one document and nothing behind it.
pub(crate) fn document<'e, 'v>(
    text: &'e str,
    shape: &Shape,
    string: fn(Cow<'e, str>) -> CelString<'v>,
) -> Result<CelVal<'v>, ScanError> {
    let mut builder = Builder { scan: Scanner::new(text), depth: 0, string };
    let doubles = (!shape.doubles.is_empty()).then_some(&shape.doubles);
    let value = builder.value(&shape.keep, doubles)?;
    match builder.scan.peek() {
        None => Ok(value),
        Some(_) => builder.scan.error("something behind the document"),
    }
}

impl<'e, 'v> Builder<'e, 'v> {
    fn value(&mut self, keep: &Keep, doubles: Option<&Doubles>) -> Result<CelVal<'v>, ScanError> {
        match self.scan.peek() {
            Some(b'{') => self.object(keep, doubles),
            Some(b'[') => self.array(keep, doubles),
            Some(b'"') => Ok(Box::new((self.string)(self.scan.string()?))),
            Some(b't') => self.scan.literal("true").map(|()| Box::new(CelBool::from(true)) as CelVal<'v>),
            Some(b'f') => self.scan.literal("false").map(|()| Box::new(CelBool::from(false)) as CelVal<'v>),
            Some(b'n') => self.scan.literal("null").map(|()| Box::new(CelNull) as CelVal<'v>),
            Some(b'-' | b'0'..=b'9') => Ok(number(self.scan.number()?, doubles.is_some_and(|d| d.here))),
            Some(_) => self.scan.error("expected a value"),
            None => self.scan.error("the document ends too early"),
        }
    }

    fn object(&mut self, keep: &Keep, doubles: Option<&Doubles>) -> Result<CelVal<'v>, ScanError> {
        self.enter()?;
        let mut map: HashMap<CelMapKey<'v>, CelVal<'v>> = HashMap::new();
        if self.empty(b'}') {
            return Ok(Box::new(CelMap::from(map)));
        }
        loop {
            let key = self.key()?;
            let member = if keep.all { Some(&*ALL) } else { keep.fields.get(&*key) };
            match member {
                Some(member) => {
                    let value = self.value(member, doubles.and_then(|d| d.field(&key)))?;
                    map.insert(CelMapKey::String((self.string)(key)), value);
                }
                None => self.skip()?,
            }
            if self.ends(b'}', "expected , or }")? {
                return Ok(Box::new(CelMap::from(map)));
            }
        }
    }

    fn array(&mut self, keep: &Keep, doubles: Option<&Doubles>) -> Result<CelVal<'v>, ScanError> {
        self.enter()?;
        let mut list: Vec<CelVal<'v>> = Vec::new();
        if self.empty(b']') {
            return Ok(Box::new(CelList::from(list)));
        }
        let items = doubles.and_then(|d| d.items.as_deref());
        loop {
            // Without `all`, rules only select members here, which is an error on any list.
            if keep.all {
                list.push(self.value(&ALL, items)?)
            } else {
                self.skip()?
            }
            if self.ends(b']', "expected , or ]")? {
                return Ok(Box::new(CelList::from(list)));
            }
        }
    }

    /// Validates a value without building it.
    fn skip(&mut self) -> Result<(), ScanError> {
        match self.scan.peek() {
            Some(b'{') => {
                self.enter()?;
                if self.empty(b'}') {
                    return Ok(());
                }
                loop {
                    self.skip_key()?;
                    self.skip()?;
                    if self.ends(b'}', "expected , or }")? {
                        return Ok(());
                    }
                }
            }
            Some(b'[') => {
                self.enter()?;
                if self.empty(b']') {
                    return Ok(());
                }
                loop {
                    self.skip()?;
                    if self.ends(b']', "expected , or ]")? {
                        return Ok(());
                    }
                }
            }
            Some(b'"') => self.scan.skip_string(),
            // Scalars build nothing worth avoiding.
            _ => self.value(&ALL, None).map(drop),
        }
    }

    /// Takes an opening bracket.
    fn enter(&mut self) -> Result<(), ScanError> {
        if self.depth == JSON_DEPTH_MAX {
            return self.scan.error("nested too deeply");
        }
        self.depth += 1;
        self.scan.bump();
        Ok(())
    }

    /// Whether the closing bracket follows at once; takes it.
    fn empty(&mut self, close: u8) -> bool {
        let empty = self.scan.peek() == Some(close);
        if empty {
            self.scan.bump();
            self.depth -= 1;
        }
        empty
    }

    /// Takes the comma or the closing bracket behind an element; whether it was the bracket.
    fn ends(&mut self, close: u8, expected: &'static str) -> Result<bool, ScanError> {
        let found = self.scan.peek();
        if found != Some(close) && found != Some(b',') {
            return self.scan.error(expected);
        }
        self.scan.bump();
        if found == Some(close) {
            self.depth -= 1;
        }
        Ok(found == Some(close))
    }

    fn key(&mut self) -> Result<Cow<'e, str>, ScanError> {
        if self.scan.peek() != Some(b'"') {
            return self.scan.error("expected a key");
        }
        let key = self.scan.string()?;
        self.colon()?;
        Ok(key)
    }

    fn skip_key(&mut self) -> Result<(), ScanError> {
        if self.scan.peek() != Some(b'"') {
            return self.scan.error("expected a key");
        }
        self.scan.skip_string()?;
        self.colon()
    }

    fn colon(&mut self) -> Result<(), ScanError> {
        if self.scan.peek() != Some(b':') {
            return self.scan.error("expected :");
        }
        self.scan.bump();
        Ok(())
    }
}

fn number<'v>(number: Number, double: bool) -> CelVal<'v> {
    match number {
        // The nearest double, as for a number that is written with a fraction.
        Number::Int(int) if double => Box::new(CelDouble::from(int as f64)),
        Number::Uint(uint) if double => Box::new(CelDouble::from(uint as f64)),
        Number::Int(int) => Box::new(CelInt::from(int)),
        Number::Uint(uint) => Box::new(CelUInt::from(uint)),
        Number::Double(double) => Box::new(CelDouble::from(double)),
    }
}
