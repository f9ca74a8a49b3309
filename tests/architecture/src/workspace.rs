//! The crates of the workspace and what they declare, as `cargo metadata` tells it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Why a crate depends on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[dependencies]`
    Normal,
    /// `[dev-dependencies]`
    Dev,
    /// `[build-dependencies]`
    Build,
}

/// One declared dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package's name, whatever it is renamed to.
    pub name: String,
    /// The table that it stands in.
    pub kind: Kind,
}

/// One member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// The package's name, for example `petrel-rules`.
    pub name: String,
    /// Its folder, from the workspace's root, for example `bus/kafka`.
    pub dir: PathBuf,
    /// `package.metadata.petrel.level`, if it is there.
    pub level: Option<u64>,
    /// What its Cargo.toml declares, for all platforms and features.
    pub dependencies: Vec<Dependency>,
}

/// The workspace's root folder.
pub fn root() -> &'static Path {
    // Two folders above this crate, which is `tests/architecture`.
    const MANIFEST_DIR: &str = env!("CARGO_MANIFEST_DIR");
    Path::new(MANIFEST_DIR).ancestors().nth(2).unwrap_or(Path::new(MANIFEST_DIR))
}

/// All members of the workspace.
pub fn workspace() -> Result<Vec<Crate>> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("cargo metadata failed")?;
    metadata.workspace_packages().into_iter().map(read).collect()
}

fn read(package: &Package) -> Result<Crate> {
    let dir = package.manifest_path.parent().context("a manifest without a folder")?.as_std_path();
    let dir = dir.strip_prefix(root()).context("a member outside the workspace")?.to_owned();
    let dependencies = package.dependencies.iter().map(|dependency| Dependency {
        name: dependency.name.clone(),
        kind: match dependency.kind {
            DependencyKind::Development => Kind::Dev,
            DependencyKind::Build => Kind::Build,
            _ => Kind::Normal,
        },
    });
    Ok(Crate {
        name: package.name.to_string(),
        dir,
        level: package.metadata["petrel"]["level"].as_u64(),
        dependencies: dependencies.collect(),
    })
}
