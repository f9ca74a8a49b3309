//! Secrets among the environment variables that this process was started with.
#![allow(unsafe_code)] // The kernel shows that memory as it is, and nobody else writes to it.

use std::ffi::CString;

use crate::config::is_option;

/// Variables with secrets that are no options: of clients, and of the engine.
const SECRETS_OF_OTHERS: [&str; 2] = ["PETREL_API_TOKEN", "PETREL_CLICKHOUSE_PASSWORD"];

/// Takes the options of Petrel out of the environment, for any of them may hold a secret (`kafka.properties` a password,
/// `clickhouse.url` another one), and the secrets of others; and overwrites them where `/proc/<pid>/environ` shows them: to
/// children, to who may look into processes by root's rights (CAP_PERFMON passes Landlock by), and to nobody who needs
/// them, for they were read. To be called once they were, and before there are other threads.
pub(crate) fn conceal_secrets() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| may_be_secret(name)) {
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

fn may_be_secret(name: &str) -> bool {
    is_option(name) || SECRETS_OF_OTHERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_hold_a_secret_is_concealed() {
        for secret in [
            "PETREL_TOKEN",
            "PETREL_API_TOKEN",
            "PETREL_CLICKHOUSE__PASSWORD",
            "PETREL_CLICKHOUSE_PASSWORD",
            "PETREL_SECRETS__MASTER_KEY",
            "PETREL_secrets__master_key",
            "PETREL_KAFKA__PROPERTIES",
            "PETREL_CLICKHOUSE__URL",
        ] {
            assert!(may_be_secret(secret), "{secret}");
        }
        for other in ["PETREL_CONFIG", "PETREL_CHDB_LIB", "PETREL_CLICKHOUSE_PARENT", "TOKEN", "PATH"] {
            assert!(!may_be_secret(other), "{other}");
        }
    }
}
