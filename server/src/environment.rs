//! Secrets among the environment variables that this process was started with.
#![allow(unsafe_code)] // The kernel shows that memory as it is, and nobody else writes to it.

use std::ffi::CString;

/// What the names of options with secrets contain.
const SECRET_WORDS: [&str; 4] = ["TOKEN", "PASSWORD", "SECRET", "KEY"];

/// Takes secrets of Petrel out of the environment, and overwrites them where `/proc/<pid>/environ` shows them: to
/// children, to who may look into processes by root's rights (CAP_PERFMON passes Landlock by), and to nobody who needs
/// them, for they were read. To be called once they were, and before there are other threads.
pub(crate) fn conceal_secrets() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| is_secret(name)) {
        let Ok(c_name) = CString::new(name.as_str()) else { continue };
        // SAFETY: there is one thread, so that nobody changes the environment or reads it meanwhile. `getenv` gives the
        // beginning of a value that ends in NUL and is this process's to write to; its length stays.
        unsafe {
            let value = libc::getenv(c_name.as_ptr());
            if !value.is_null() {
                std::ptr::write_bytes(value, 0, libc::strlen(value));
            }
            std::env::remove_var(&name);
        }
    }
}

fn is_secret(name: &str) -> bool {
    name.starts_with("PETREL_") && SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for secret in [
            "PETREL_TOKEN",
            "PETREL_API_TOKEN",
            "PETREL_CLICKHOUSE__PASSWORD",
            "PETREL_CLICKHOUSE_PASSWORD",
            "PETREL_SECRETS__MASTER_KEY",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for other in ["PETREL_LISTEN", "TOKEN", "PATH"] {
            assert!(!is_secret(other), "{other}");
        }
    }
}
