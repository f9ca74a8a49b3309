use super::*;
use crate::event::ParsedEvent;
use crate::json::Shape;
use crate::kv::Kv;

/// A generator of random criteria; the same seed gives the same ones.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn expression(&mut self, depth: usize) -> String {
        const LEAVES: [&str; 30] = [
            "trigger.i",
            "trigger.d",
            "trigger.u",
            "trigger.s",
            "trigger.b",
            "trigger.n",
            "trigger.l",
            "trigger.m",
            "trigger.m.k",
            "trigger.m['k']",
            "trigger.absent",
            "trigger",
            "kv.list",
            "kv",
            "now",
            "1",
            "-1",
            "0",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551615u",
            "1.5",
            "0.0",
            "''",
            "'a'",
            "b'x'",
            "true",
            "null",
            "[]",
            "{}",
        ];
        if depth == 0 {
            return self.pick(&LEAVES).to_owned();
        }
        let (a, b) = (self.expression(depth - 1), self.expression(depth - 1));
        match self.below(16) {
            0..=4 => {
                format!("({a}) {} ({b})", self.pick(&["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"]))
            }
            5..=7 => format!("({a}) {} ({b})", self.pick(&["&&", "||"])),
            8 => format!("{}({a})", self.pick(&["!", "-"])),
            9 => format!("({a}) ? ({b}) : ({a})"),
            10 => format!("({a})[{b}]"),
            11 => format!(
                "({a}).{}",
                self.pick(&["k", "i", "size()", "getHours()", "getFullYear()", "getDayOfYear('UTC')"])
            ),
            12 => format!("({a}).{}(x, {b})", self.pick(&["all", "exists", "exists_one", "map", "filter"])),
            13 => format!("has(({a}).k)"),
            14 => format!(
                "{}({a})",
                self.pick(&[
                    "int",
                    "uint",
                    "double",
                    "string",
                    "bool",
                    "bytes",
                    "timestamp",
                    "duration",
                    "type",
                    "dyn",
                    "size"
                ])
            ),
            _ => {
                format!("[{a}, {b}] == [({b}).{}('a')]", self.pick(&["contains", "startsWith", "endsWith", "matches"]))
            }
        }
    }
}

/// Random criteria compile, end, never hit what must not happen, and give the same answer twice, with
/// and without the quick decision.
#[test]
fn random_criteria_are_decided() {
    let event =
        br#"{"i":1,"d":1.5,"u":18446744073709551615,"s":"ab","b":true,"n":null,"l":[1,"a",[2.0]],"m":{"k":"a","i":2}}"#;
    let event = ParsedEvent::parse(event, &Shape::everything()).unwrap();
    let kv = Kv::new([("list", r#"[1.0, "ab", null]"#)]).unwrap();
    let scope = Scope::rule(&event, 1_795_000_000_000, &kv);
    let mut random = Random(42);
    let criteria: Vec<String> = (0..6000).map(|i| random.expression(1 + i % 4)).collect();
    let compiled: Vec<_> = on_parser_thread(|| {
        let compile = |text: &String| compile(text, Names::Rule).unwrap_or_else(|e| panic!("{text}: {}", e[0].message));
        criteria.iter().map(compile).collect()
    });
    let mut decided = [0; 4];
    for (text, expr) in criteria.iter().zip(&compiled) {
        let verdict = expr.is_true(&scope);
        assert_eq!(verdict, expr.is_true(&scope), "{text}");
        let mut slots = Slots::default();
        if let Some(quick) = Quick::compile(expr, &mut slots).and_then(|q| q.decide(&slots.read(&scope))) {
            assert_eq!(verdict, Ok(quick), "{text}");
        }
        let kind = match verdict {
            Ok(value) => usize::from(value),
            Err(Failure::Missing(_)) => 2,
            Err(Failure::Error(error)) => {
                assert_ne!(error.code, "internal", "{text}: {error}");
                3
            }
        };
        decided[kind] += 1;
    }
    assert!(decided.iter().all(|n| *n > 100), "{decided:?}");
}

/// Whatever the bytes, compiling ends with an expression or with mistakes inside of the text.
#[test]
fn random_text_compiles_or_has_mistakes() {
    const PIECES: [&str; 28] = [
        "trigger", ".", "a", "(", ")", "[", "]", "{", "}", "'", "\"", "\\", "é", "\n", " ", "&&", "||", "!", "-", "1",
        ".5", "?", ":", ",", "in", "has", "r\"", "\u{0}",
    ];
    let mut random = Random(7);
    let texts: Vec<String> =
        (0..3000).map(|i| (0..1 + i % 40).map(|_| random.pick(&PIECES)).collect::<String>()).collect();
    on_parser_thread(|| {
        for text in &texts {
            if let Err(mistakes) = compile(text, Names::Rule) {
                assert!(!mistakes.is_empty() && mistakes.iter().all(|m| !m.message.is_empty()), "{text:?}");
                let lines = u32::try_from(text.split('\n').count()).unwrap();
                assert!(mistakes.iter().all(|m| position(text, m.offset).0 <= lines), "{text:?}");
            }
        }
    });
}
