//! How expressions name secrets: `secret.<space>.<name>`. The space is that of a pack, or one of two others.

use std::fmt;

/// Space of secrets that every pack may use.
pub const SHARED_SPACE: &str = "shared";
/// Space of what was given to a single execution; it is nobody else's.
pub const EXECUTION_SPACE: &str = "execution";

/// Longest part of a name, in bytes; as of all names in packs.
const PART_BYTES_MAX: usize = 64;

/// The name of a secret, `space.name`. It travels in a secret's stead, as the text `${secret.space.name}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef(String);

impl SecretRef {
    /// Reads `space.name`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_part = |part: &str| {
            (1..=PART_BYTES_MAX).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let (space, name) = text.split_once('.')?;
        (is_part(space) && is_part(name)).then(|| Self(text.to_owned()))
    }

    /// Reads `${secret.space.name}`, white space within the braces allowed.
    pub fn of_text(text: &str) -> Option<Self> {
        let inside = text.strip_prefix("${")?.strip_suffix('}')?;
        Self::parse(inside.trim().strip_prefix("secret.")?)
    }

    /// What was given to an execution for one of its parameters.
    pub fn of_execution(parameter: &str) -> Option<Self> {
        Self::parse(&format!("{EXECUTION_SPACE}.{parameter}"))
    }

    /// `space.name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pack that it belongs to, or another space.
    pub fn space(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// What it is called there.
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, name)| name)
    }

    /// Whether it is an execution's own.
    pub fn is_of_execution(&self) -> bool {
        self.space() == EXECUTION_SPACE
    }

    /// Whether the files of a pack may name it.
    pub fn may_be_named_in(&self, pack: &str) -> bool {
        self.space() == SHARED_SPACE || (self.space() == pack && !self.is_of_execution())
    }

    /// Key of its record on `petrel.secrets`, for that execution.
    pub fn key(&self, execution_id: &str) -> String {
        match self.is_of_execution() {
            true => format!("{EXECUTION_SPACE}/{execution_id}/{}", self.name()),
            false => self.0.clone(),
        }
    }

    /// The execution of such a key, if it is an execution's own.
    pub fn execution_of_key(key: &str) -> Option<&str> {
        let (execution, _) = key.strip_prefix(EXECUTION_SPACE)?.strip_prefix('/')?.split_once('/')?;
        Some(execution)
    }

    /// The text that stands for the secret in parameters.
    pub fn text(&self) -> String {
        format!("${{secret.{}}}", self.0)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_one_expression_of_three_names() {
        let token = SecretRef::parse("disk.api_token").unwrap();
        assert_eq!((token.space(), token.name(), &*token.text()), ("disk", "api_token", "${secret.disk.api_token}"));
        for text in ["${secret.disk.api_token}", "${ secret.disk.api_token }"] {
            assert_eq!(SecretRef::of_text(text), Some(token.clone()), "{text}");
        }
        let others =
            ["disk.api_token", "$${secret.disk.api_token}", "x ${secret.disk.a}", "${secret.disk.a} ${secret.b.c}"];
        for text in others.iter().chain(&["${secret.disk}", "${secret.disk.a.b}", "${secret.Disk.a}", "${secret..a}"]) {
            assert_eq!(SecretRef::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn packs_have_their_own_and_what_is_shared() {
        let may = |name: &str, pack: &str| SecretRef::parse(name).unwrap().may_be_named_in(pack);
        assert!(may("disk.a", "disk") && may("shared.a", "disk"));
        assert!(!may("disk.a", "other") && !may("execution.a", "disk") && !may("execution.a", "execution"));
    }

    #[test]
    fn an_executions_own_secret_is_kept_under_its_id() {
        let own = SecretRef::of_execution("token").unwrap();
        assert_eq!(
            (&*own.text(), own.key("be42.1")),
            ("${secret.execution.token}", "execution/be42.1/token".to_owned())
        );
        assert_eq!(SecretRef::execution_of_key("execution/be42.1/token"), Some("be42.1"));
        assert_eq!(SecretRef::execution_of_key("execution.token"), None);
        assert_eq!(SecretRef::parse("disk.a").unwrap().key("be42"), "disk.a");
    }
}
