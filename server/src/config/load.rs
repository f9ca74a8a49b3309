//! Merging the file, the environment and the flags, and checking the result.

use std::path::{Path, PathBuf};

use petrel_audit::Table;
use petrel_execution::cpu_milli;
use petrel_executor::runner::AddressGuard;
use serde_json::{Map, Value};

use super::Config;

const DAY_MS: i64 = 24 * 3_600_000;

/// Beginning of the environment variables that set options: `PETREL_KAFKA__BOOTSTRAP` is
/// `kafka.bootstrap`, `PETREL_LISTEN` is `listen`.
const ENV_PREFIX: &str = "PETREL_";
/// Between the parts of an option's path in an environment variable.
const ENV_SEPARATOR: &str = "__";
/// Variables with that prefix that are no options: the clients' and the tests' own.
const ENV_OTHERS: [&str; 7] = [
    "PETREL_API",
    "PETREL_API_TOKEN",
    "PETREL_CHDB_LIB",
    "PETREL_CONFIG",
    "PETREL_CLICKHOUSE_PASSWORD",
    "PETREL_CLICKHOUSE_PARENT",
    "PETREL_BIN",
];
/// Prefixes of variables that belong to tests and to running actions.
const ENV_OTHER_PREFIXES: [&str; 6] =
    ["PETREL_TEST_", "PETREL_E2E_", "PETREL_EXECUTION_", "PETREL_ATTEMPT", "PETREL_ACTION", "PETREL_BENCH_"];

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no YAML mapping.
    #[error("{path}: {detail}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        detail: String,
    },
    /// An option is unknown or has a wrong value.
    #[error("configuration: {path}: {detail}")]
    Option {
        /// Dotted path of the option.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

/// Reads the file (if one is given), then `environment` (name, value), then `flags` (dotted path, value).
///
/// # Errors
/// The first thing that is wrong, see [`ConfigError`].
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[(&str, Value)],
) -> Result<Config, ConfigError> {
    let mut merged = match file {
        Some(path) => from_file(path)?,
        None => Map::new(),
    };
    for (name, value) in environment {
        if let Some(path) = option_path(&name) {
            set(&mut merged, &path, scalar(&value));
        }
    }
    for (path, value) in flags {
        set(&mut merged, path, value.clone());
    }
    let mut config: Config = serde_path_to_error::deserialize(Value::Object(merged))
        .map_err(|e| option_error(&e.path().to_string(), e.inner().to_string()))?;
    config.file = file.map(Path::to_owned);
    read_secrets(&mut config)?;
    check(&config)?;
    Ok(config)
}

fn from_file(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let syntax = |detail: String| ConfigError::Syntax { path: path.to_owned(), detail };
    match serde_saphyr::from_str::<Option<Value>>(&text).map_err(|e| syntax(e.to_string()))? {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(syntax("the configuration is a mapping of options".into())),
    }
}

/// Whether an environment variable sets an option, be it one that there is or not.
pub(crate) fn is_option(name: &str) -> bool {
    option_path(name).is_some()
}

/// Dotted path of the option that a variable sets, if it is one.
fn option_path(name: &str) -> Option<String> {
    let rest = name.strip_prefix(ENV_PREFIX)?;
    let other = ENV_OTHERS.contains(&name) || ENV_OTHER_PREFIXES.iter().any(|p| name.starts_with(p));
    (!other).then(|| rest.to_lowercase().replace(ENV_SEPARATOR, "."))
}

/// A value as YAML would read it: numbers, booleans and lists keep their type.
fn scalar(text: &str) -> Value {
    match serde_saphyr::from_str::<Value>(text) {
        Ok(value) if !value.is_null() => value,
        _ => Value::String(text.to_owned()),
    }
}

fn set(map: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            map.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = map.entry(head.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

fn read_secrets(config: &mut Config) -> Result<(), ConfigError> {
    if let Some(path) = &config.token_file {
        config.token = Some(secret(path)?);
    }
    if let Some(path) = &config.clickhouse.password_file {
        config.clickhouse.password = Some(secret(path)?);
    }
    for (name, path) in &config.kafka.property_files {
        config.kafka.properties.insert(name.clone(), secret(path)?);
    }
    Ok(())
}

fn secret(path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let wrong = |path: &str, detail: &str| Err(option_error(path, detail.to_owned()));
    if !config.listen.ip().is_loopback() && config.token.is_none() {
        return wrong("listen", "an address beyond loopback needs a token (`token_file` or PETREL_TOKEN)");
    }
    if config.token.as_ref().is_some_and(|t| t.len() < 16) {
        return wrong("token", "a token has at least 16 characters");
    }
    if config.topic_prefix.is_empty() || !config.topic_prefix.ends_with('.') {
        return wrong("topic_prefix", "the prefix ends in a dot");
    }
    let positive = [
        ("partitions", config.partitions as usize),
        ("task_partitions", config.task_partitions as usize),
        ("rules.threads", config.rules.threads),
        ("executor.threads", config.executor.threads),
        ("executor.lost_leases_max", config.executor.lost_leases_max as usize),
        ("audit.batch_rows_max", config.audit.batch_rows_max),
        ("api.output_bytes_max", config.api.output_bytes_max),
        ("api.output_execution_bytes_max", config.api.output_execution_bytes_max),
        ("api.output_readers_max", config.api.output_readers_max),
        ("catalog_revisions_max", config.catalog_revisions_max),
        ("local.topic_partitions", config.local.topic_partitions as usize),
        ("local.log_bytes_max", usize::try_from(config.local.log_bytes_max).unwrap_or(usize::MAX)),
    ];
    for (path, value) in positive {
        if value == 0 {
            return wrong(path, "must be at least 1");
        }
    }
    let named = |pool: &String| {
        !pool.is_empty() && pool.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if !config.pools.iter().all(named) {
        return wrong("pools", "a pool's name consists of a-z, 0-9 and _");
    }
    if let Some(pool) = config.pool_labels.keys().find(|pool| !config.pools.contains(pool)) {
        return wrong("pool_labels", &format!("{pool} is none of `pools`"));
    }
    if let Some(pool) = config.pool_sizes.keys().find(|pool| !config.pools.contains(pool)) {
        return wrong("pool_sizes", &format!("{pool} is none of `pools`"));
    }
    if config.pool_sizes.values().any(|size| cpu_milli(size.cpus).is_none() || size.memory_bytes == 0) {
        return wrong("pool_sizes", "a worker has `memory_bytes` of at least 1, and `cpus` from 0.01 to 4096");
    }
    if config.worker.cpus != 0.0 && cpu_milli(config.worker.cpus).is_none() {
        return wrong("worker.cpus", "must be from 0.01 to 4096, or 0 for those of the machine");
    }
    if !config.pools.contains(&config.worker.pool) {
        return wrong("worker.pool", "must be one of `pools`");
    }
    if config.delete_retention_ms < 60_000 {
        return wrong("delete_retention_ms", "must be at least 60000");
    }
    if config.secrets.execution_keep_ms < 60_000 {
        return wrong("secrets.execution_keep_ms", "must be at least 60000");
    }
    if config.secrets.master_key.is_some() && config.secrets.master_key_file.is_some() {
        return wrong("secrets.master_key_file", "stands beside `secrets.master_key`, and there is one master key");
    }
    if config.objects.retention_ms < 60_000 {
        return wrong("objects.retention_ms", "must be at least 60000");
    }
    if config.catalog_revision_keep_ms < 0 {
        return wrong("catalog_revision_keep_ms", "must not be negative");
    }
    if config.executor.lease_ms < 1_000 {
        return wrong("executor.lease_ms", "must be at least 1000");
    }
    let executor = &config.executor;
    if executor.schedule_to_start_ms < executor.lease_ms || executor.schedule_to_start_ms > config.retention_ms {
        return wrong("executor.schedule_to_start_ms", "must be from executor.lease_ms to retention_ms");
    }
    if executor.no_room_ms < 0 || executor.no_room_ms > executor.schedule_to_start_ms {
        return wrong("executor.no_room_ms", "must be from 0 to executor.schedule_to_start_ms");
    }
    if executor.frozen_after_ms < 0 {
        return wrong("executor.frozen_after_ms", "must not be negative");
    }
    if executor.container.socket.as_ref().is_some_and(|socket| !socket.is_absolute()) {
        return wrong("executor.container.socket", "must be an absolute path");
    }
    for (path, ranges) in [("executor.http.deny", &executor.http.deny), ("executor.http.allow", &executor.http.allow)] {
        AddressGuard::new(ranges, &[]).map_err(|e| option_error(path, e.to_string()))?;
    }
    if config.executor.python.environment_days_max == 0 {
        return wrong("executor.python.environment_days_max", "must be at least 1");
    }
    for table in Table::ALL {
        let days = config.audit.keep_days.of(*table);
        // Rows of a topic that is read anew must not be over their time already.
        if days > 0 && i64::from(days) * DAY_MS <= config.retention_ms {
            let path = format!("audit.keep_days.{}", table.name());
            return wrong(&path, "must be 0 (for ever) or more days than retention_ms has");
        }
    }
    if config.worker.decline_ms < 0 {
        return wrong("worker.decline_ms", "must not be negative");
    }
    if config.api.event_bytes_max >= config.record_bytes_max {
        return wrong("api.event_bytes_max", "must be smaller than record_bytes_max");
    }
    Ok(())
}

fn option_error(path: &str, detail: String) -> ConfigError {
    ConfigError::Option { path: path.to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn from(file: &str, env: &[(&str, &str)], flags: &[(&str, Value)]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("petrel.yaml");
        std::fs::write(&path, file).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(Some(&path), env, flags).map_err(|e| e.to_string())
    }

    #[test]
    fn no_action_is_given_where_results_are_or_the_key_of_the_store() {
        let file = "objects: { folder: /srv/objects, s3: { secret_access_key_file: /run/secrets/s3 } }\n";
        let kept = from(file, &[], &[]).unwrap().kept_from_actions();
        for path in ["/srv/objects", "/run/secrets/s3"] {
            assert!(kept.iter().any(|kept| kept == Path::new(path)), "{path}: {kept:?}");
        }
    }

    #[test]
    fn later_sources_win() {
        let config = from(
            "kafka: {bootstrap: 'file:1', replication: 3}\npartitions: 4\n",
            &[("PETREL_KAFKA__BOOTSTRAP", "env:1"), ("PETREL_PARTITIONS", "5"), ("OTHER", "x"), ("PETREL_API", "y")],
            &[("partitions", json!(6))],
        )
        .unwrap();
        assert_eq!(config.kafka.bootstrap.as_deref(), Some("env:1"));
        assert_eq!((config.kafka.replication, config.partitions), (3, 6));
    }

    #[test]
    fn mistakes_name_their_option() {
        let cases = [
            ("kafka: {bootstrp: x}", "configuration: kafka.bootstrp: unknown field `bootstrp`"),
            ("partitions: many", "configuration: partitions: invalid type"),
            ("partitions: 0", "configuration: partitions: must be at least 1"),
            ("listen: 0.0.0.0:80", "configuration: listen: an address beyond loopback needs a token"),
            ("token: short", "configuration: token: a token has at least 16 characters"),
            ("topic_prefix: x", "configuration: topic_prefix: the prefix ends in a dot"),
            (
                "audit: {keep_days: {events: 7}}",
                "configuration: audit.keep_days.events: must be 0 (for ever) or more days",
            ),
            ("audit: {own_ttl: [event]}", "configuration: audit.own_ttl[0]: unknown variant `event`"),
            ("- a", "the configuration is a mapping"),
            ("a: [", "petrel.yaml"),
        ];
        for (file, wanted) in cases {
            let error = from(file, &[], &[]).unwrap_err();
            assert!(error.contains(wanted), "{file}: {error}");
        }
        let error = from("", &[("PETREL_RULES__THREDS", "1")], &[]).unwrap_err();
        assert!(error.contains("rules.threds: unknown field"), "{error}");
    }

    #[test]
    fn secrets_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let file = format!(
            "token_file: {0}\nkafka: {{property_files: {{sasl.password: {0}}}}}\nlisten: 0.0.0.0:1\n",
            path.display()
        );
        let config = from(&file, &[], &[]).unwrap();
        assert_eq!(config.token.as_deref(), Some("0123456789abcdef"));
        assert_eq!(config.kafka.properties["sasl.password"], "0123456789abcdef");
    }

    #[test]
    fn what_has_secrets_in_it_is_kept_from_actions() {
        let text = "data_dir: /d\nkafka: { properties: { ssl.key.location: /k/key, ssl.ca.location: /k/ca, sasl.password: key } }\n\
                    objects: { folder: /o, s3: { secret_access_key_file: /k/s3 } }\nsecrets: { master_key_file: /k/master }\n";
        let config = from(text, &[], &[]).unwrap();
        let mut kept = config.kept_from_actions();
        let file = config.file.unwrap();
        kept.retain(|path| *path != file);
        kept.sort();
        assert_eq!(kept, ["/d", "/k/key", "/k/master", "/k/s3", "/o"].map(PathBuf::from));
        assert_eq!(Config::default().kept_from_actions().len(), 1);
    }

    #[test]
    fn ranges_of_addresses_are_checked() {
        let config =
            from("executor: { http: { deny: [private, 203.0.113.7], allow: [10.1.0.0/16] } }\n", &[], &[]).unwrap();
        let refuses = |address: &str| config.executor.http.guard().unwrap().refuses(address.parse().unwrap());
        let refused = ["10.2.0.1", "10.1.0.1", "203.0.113.7", "127.0.0.1"].map(refuses);
        assert_eq!(refused, [true, false, true, false]);
        let wrong = from("executor: { http: { allow: [10.0.0.0/40] } }\n", &[], &[]).unwrap_err();
        assert!(wrong.contains("executor.http.allow") && wrong.contains("\"10.0.0.0/40\" is no range"), "{wrong}");
    }

    #[test]
    fn petrels_own_services_are_known() {
        let own = |text: &str| from(text, &[], &[]).unwrap().own_services();
        let api = || ("127.0.0.1".to_owned(), 7373);
        assert_eq!(own(""), [api()]);
        let clickhouse = |url: &str| own(&format!("clickhouse: {{ url: \"{url}\" }}\n"));
        assert_eq!(clickhouse("http://clickhouse:8123"), [("clickhouse".to_owned(), 8123), api()]);
        assert_eq!(clickhouse("https://[fd00::1]/"), [("fd00::1".to_owned(), 443), api()]);
    }

    /// The document names every option with its default.
    #[test]
    fn every_option_is_documented() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md");
        let document = std::fs::read_to_string(document).unwrap();
        let defaults = serde_json::to_value(Config::default()).unwrap();
        let mut missing = Vec::new();
        walk("", &defaults, &mut |path, value| {
            let shown = match value {
                Value::Null => "–".to_owned(),
                Value::String(s) => format!("`{s}`"),
                other => format!("`{other}`"),
            };
            let row = format!("| `{path}` | {shown} |");
            if !document.contains(&row) {
                missing.push(row);
            }
        });
        assert!(missing.is_empty(), "docs/CONFIGURATION.md lacks:\n{}", missing.join("\n"));
    }

    fn walk(path: &str, value: &Value, each: &mut dyn FnMut(&str, &Value)) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, inner) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&path, inner, each);
                }
            }
            other => each(path, other),
        }
    }
}
