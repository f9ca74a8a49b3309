//! Where things lie in the work tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// The folder of the engine library below target/dev/clickhouse, as npm lays it out.
const ENGINE_LIBRARY: &str = "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";

/// The folder of the workspace's Cargo.toml.
pub fn workspace_root() -> &'static Path {
    // Two folders above this crate, which is `tests/support`.
    const MANIFEST_DIR: &str = env!("CARGO_MANIFEST_DIR");
    Path::new(MANIFEST_DIR).ancestors().nth(2).unwrap_or(Path::new(MANIFEST_DIR))
}

/// Where `cargo xtask deps` puts what it fetches: target/dev.
pub fn dev_dir() -> PathBuf {
    workspace_root().join("target/dev")
}

/// Kafka's jars. The file `.stamp` in it says that they are complete.
pub fn kafka_libs_dir() -> PathBuf {
    dev_dir().join("kafka/libs")
}

/// A folder on the work tree's own disk, for data that is large or whose speed is measured (the
/// system's temporary directory may be memory). Created if need be.
pub fn scratch_dir() -> Result<PathBuf> {
    let dir = dev_dir().join("run");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// Where the ClickHouse engine library is expected, whether it is there or not.
pub fn engine_library_file() -> PathBuf {
    match std::env::var_os("PETREL_CHDB_LIB") {
        Some(path) => PathBuf::from(path),
        None => dev_dir().join("clickhouse").join(ENGINE_LIBRARY),
    }
}

/// The ClickHouse engine library; an error says how to get it.
pub fn engine_library() -> Result<PathBuf> {
    let file = engine_library_file();
    ensure!(file.is_file(), "no ClickHouse engine library at {}; run: cargo xtask deps --clickhouse", file.display());
    Ok(file)
}

/// The `petrel` binary that was built with the running test's profile (`PETREL_BIN` overrides).
///
/// Cargo does not build another package's binary for a test: `cargo xtask test` builds it first.
pub fn petrel_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PETREL_BIN") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "PETREL_BIN names {}, which is no file", path.display());
        return Ok(path);
    }
    let test = std::env::current_exe().context("cannot find the running test's own file")?;
    match binary_beside(&test) {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => bail!("no petrel at {}; run: cargo build -p petrel-server", path.display()),
        None => bail!("{} does not lie in a target directory", test.display()),
    }
}

/// `target/debug/deps/e2e-1234` and `target/debug/xtask` both lead to `target/debug/petrel`.
fn binary_beside(executable: &Path) -> Option<PathBuf> {
    let dir = executable.parent()?;
    let profile = if dir.file_name()? == "deps" { dir.parent()? } else { dir };
    Some(profile.join(format!("petrel{}", std::env::consts::EXE_SUFFIX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        let manifest = std::fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn the_binary_lies_in_the_profile_of_the_test() {
        for (test, expected) in [("t/debug/deps/e2e-12ab", "t/debug/petrel"), ("t/release/bench", "t/release/petrel")] {
            assert_eq!(binary_beside(Path::new(test)), Some(PathBuf::from(expected)), "{test}");
        }
    }
}
