//! Secrets and files that are there from the beginning.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use petrel_executor::{EachFile, NoSecret, Opening, PackContent, SecretSource};
use petrel_secrets::SecretValue;

/// Secrets that are there from the beginning.
pub struct Known {
    pub values: Vec<(&'static str, &'static str)>,
    /// How many more times nobody knows what there is.
    pub unread: AtomicU64,
    /// Whether nobody is answered.
    pub hangs: AtomicBool,
}

impl Known {
    fn find(&self, key: &str) -> Result<SecretValue, NoSecret> {
        let found = self.values.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| SecretValue::new((*value).to_owned()).unwrap()).ok_or(NoSecret::Missing(key.to_owned()))
    }
}

impl SecretSource for Known {
    fn open<'s>(&'s self, keys: &'s [String], _: i64) -> Opening<'s> {
        Box::pin(async {
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let one_less = |left: u64| left.checked_sub(1);
            match self.unread.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
                Ok(_) => Err(NoSecret::Unread),
                Err(_) => keys.iter().map(|key| self.find(key)).collect(),
            }
        })
    }
}

/// A pack with one file of code.
pub struct EmptyPack;

/// Tells what it is given in every way that there is.
const TELLS: &[u8] = br#"
import os, sys

def run(line, token):
    told = {"token": token, token: [os.environ["KEY"]]}
    print(told, os.environ["KEY"])
    print(token, file=sys.stderr)
    if line == "returns": return told
    if line == "fails": return False, told
    if line == "exits": sys.exit(token)
    raise ValueError(token + " and " + os.environ["KEY"])
"#;

impl PackContent for EmptyPack {
    fn name(&self) -> String {
        "revision/demo".to_owned()
    }

    fn hash(&self) -> Result<String, String> {
        Ok("abc".to_owned())
    }

    fn files(&self, each: &mut EachFile<'_>) -> Result<(), String> {
        each("actions/x.yaml", b"name: x", false)?;
        each("actions/tells.py", TELLS, false)
    }
}
