//! Packs on disk and on the wire.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use petrel_catalog::{PackFile, PackSource, config_file};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use walkdir::WalkDir;

/// File that makes a folder a pack.
const MANIFEST: &str = "pack.yaml";
/// Largest file that is read, in bytes; the catalog's own limit on a whole pack is lower.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A pack as it travels to the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackUpload {
    label: String,
    files: Vec<FileUpload>,
    #[serde(default)]
    special: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileUpload {
    path: String,
    /// Content in base64.
    content: String,
    executable: bool,
}

impl From<&PackSource> for PackUpload {
    fn from(source: &PackSource) -> Self {
        let file = |f: &PackFile| FileUpload {
            path: f.path.clone(),
            content: STANDARD.encode(&f.bytes),
            executable: f.executable,
        };
        Self {
            label: source.label.clone(),
            files: source.files.iter().map(file).collect(),
            special: source.special.clone(),
        }
    }
}

impl PackUpload {
    /// The pack that was sent.
    ///
    /// # Errors
    /// If a file's content is no base64.
    pub fn into_source(self) -> anyhow::Result<PackSource> {
        let file = |f: FileUpload| {
            let bytes = STANDARD.decode(&f.content).with_context(|| format!("content of {} is no base64", f.path))?;
            Ok(PackFile { path: f.path, bytes, executable: f.executable })
        };
        let files = self.files.into_iter().map(file).collect::<anyhow::Result<_>>()?;
        Ok(PackSource { label: self.label, files, special: self.special })
    }
}

/// Gives packs what stands for them in a folder, in a file that is called as the pack; another pack keeps what it has.
/// Answers with those files, too, that are for none of these packs.
///
/// # Errors
/// A folder or file that cannot be read, that is no `<pack>.yaml`, or that holds nothing for any of these packs: what
/// somebody has written there would have no effect.
pub fn with_config(
    mut sources: Vec<PackSource>,
    folder: Option<&Path>,
) -> anyhow::Result<(Vec<PackSource>, Vec<PathBuf>)> {
    let Some(folder) = folder else { return Ok((sources, Vec::new())) };
    let files = config_files(folder)?;
    let mut used = Vec::new();
    for source in &mut sources {
        if let Some((name, path)) = files.iter().find(|(name, _)| *name == source.name()) {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            source.files.push(PackFile { bytes, ..config_file(&Map::new()) });
            used.push(name);
        }
    }
    if used.is_empty() {
        let names: Vec<String> = sources.iter().map(|source| format!("{}.yaml", source.name())).collect();
        bail!("{} holds nothing for these packs: {}", folder.display(), names.join(", "));
    }
    let unused = files.iter().filter(|(name, _)| !used.contains(&name)).map(|(_, path)| path.clone());
    Ok((sources, unused.collect()))
}

/// The files of a folder of configurations, by the names of packs.
fn config_files(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = relative(folder, &path);
        match name.strip_suffix(".yaml") {
            _ if is_hidden(&name) || name.to_ascii_uppercase().starts_with("README") => {}
            Some(pack) if path.is_file() => files.push((pack.to_owned(), path)),
            _ => bail!(
                "{}: a folder of configurations holds a file <pack>.yaml for each pack, and no folders",
                path.display()
            ),
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the packs at these paths: each is a pack's folder, or a folder of such folders.
///
/// # Errors
/// If a path holds no pack or cannot be read. What is wrong inside a pack is the catalog's to say.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<PackSource>> {
    let mut sources = Vec::new();
    for path in paths {
        let folders = pack_folders(path)?;
        if folders.is_empty() {
            bail!("{} holds no pack: neither it nor a folder in it has a {MANIFEST}", path.display());
        }
        for folder in folders {
            let source = read_pack(&folder).with_context(|| format!("cannot read the pack {}", folder.display()))?;
            let values = config_file(&Map::new()).path;
            if source.files.iter().any(|file| file.path == values) {
                let (path, name) = (folder.join(values), source.name());
                bail!(
                    "{}: what a pack is given is no part of it; put it into another folder as {name}.yaml, and name that \
                     with --config, or use `petrel config set {name} --file`",
                    path.display()
                );
            }
            sources.push(source);
        }
    }
    Ok(sources)
}

fn pack_folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.join(MANIFEST).exists() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        if folder.join(MANIFEST).exists() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

fn read_pack(folder: &Path) -> anyhow::Result<PackSource> {
    let mut source = PackSource { label: folder.display().to_string(), files: Vec::new(), special: Vec::new() };
    for entry in WalkDir::new(folder).sort_by_file_name().follow_links(false) {
        let entry = entry?;
        let path = relative(folder, entry.path());
        if path.is_empty() || is_hidden(&path) {
            continue;
        }
        if entry.file_type().is_file() {
            source.files.push(read_file(entry.path(), path)?);
        } else if !entry.file_type().is_dir() {
            source.special.push(path);
        }
    }
    Ok(source)
}

fn read_file(file: &Path, path: String) -> anyhow::Result<PackFile> {
    let metadata = std::fs::metadata(file)?;
    if metadata.len() > FILE_BYTES_MAX {
        bail!("{path} has {} bytes, over the limit of {FILE_BYTES_MAX}", metadata.len());
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {path}"))?;
    Ok(PackFile { path, bytes, executable: is_executable(&metadata) })
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

/// With `/` between its parts, on every system.
fn relative(folder: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<String> = inner.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/")
}

/// What editors and git leave behind is no part of a pack.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_packs_and_folders_of_packs() {
        let dir = tempfile::tempdir().unwrap();
        let pack = dir.path().join("disk");
        std::fs::create_dir_all(pack.join("actions")).unwrap();
        std::fs::create_dir_all(pack.join(".git")).unwrap();
        std::fs::write(pack.join("pack.yaml"), "name: disk\n").unwrap();
        std::fs::write(pack.join("actions/run.sh"), "#!/bin/sh\n").unwrap();
        std::fs::write(pack.join(".git/config"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", pack.join("actions/link")).unwrap();
        for path in [pack.clone(), dir.path().to_owned()] {
            let sources = read(&[path]).unwrap();
            assert_eq!(sources.len(), 1);
            let paths: Vec<&str> = sources[0].files.iter().map(|f| f.path.as_str()).collect();
            assert_eq!(paths, ["actions/run.sh", "pack.yaml"]);
            assert_eq!(sources[0].special, ["actions/link"]);
            assert_eq!(PackUpload::from(&sources[0]).into_source().unwrap(), sources[0]);
        }
        assert!(read(&[dir.path().join("none")]).is_err());
        assert!(read(&[pack.join("actions")]).unwrap_err().to_string().contains("holds no pack"));
    }

    /// A pack on disk.
    fn pack(root: &Path, name: &str) -> PathBuf {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("pack.yaml"), format!("name: {name}\nversion: 1.0.0\n")).unwrap();
        folder
    }

    #[test]
    fn a_folder_of_configurations_that_has_no_effect_is_a_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let (packs, values) = (dir.path().join("packs"), dir.path().join("values"));
        let (disk, chat) = (pack(&packs, "disk"), pack(&packs, "chat"));
        std::fs::create_dir(&values).unwrap();
        let given = |paths: &[PathBuf]| with_config(read(paths).unwrap(), Some(&values));
        let refused = |paths: &[PathBuf]| given(paths).unwrap_err().to_string();
        assert!(with_config(read(std::slice::from_ref(&disk)).unwrap(), Some(&dir.path().join("none"))).is_err());
        assert!(refused(std::slice::from_ref(&disk)).ends_with("holds nothing for these packs: disk.yaml"));
        std::fs::write(values.join("disk.yaml"), "a: 1\n").unwrap();
        std::fs::write(values.join("README.md"), "ours\n").unwrap();
        let (sources, unused) = given(&[chat.clone(), disk.clone()]).unwrap();
        let has_values = |source: &PackSource| source.files.iter().any(|file| file.path == "config.yaml");
        assert_eq!(sources.iter().map(has_values).collect::<Vec<_>>(), [false, true]);
        assert!(unused.is_empty());
        assert!(refused(std::slice::from_ref(&chat)).contains("chat.yaml"));
        std::fs::write(values.join("chatt.yaml"), "a: 1\n").unwrap();
        assert_eq!(given(&[chat.clone(), disk.clone()]).unwrap().1, [values.join("chatt.yaml")]);
        for wrong in ["chat.yml", "chat.json"] {
            std::fs::write(values.join(wrong), "a: 1\n").unwrap();
            assert!(refused(std::slice::from_ref(&disk)).contains("a file <pack>.yaml for each pack"));
            std::fs::remove_file(values.join(wrong)).unwrap();
        }
        // Nor are values part of a pack.
        std::fs::write(disk.join("config.yaml"), "a: 1\n").unwrap();
        let error = read(&[disk]).unwrap_err().to_string();
        assert!(
            error.contains("config.yaml: what a pack is given is no part of it") && error.contains("disk.yaml"),
            "{error}"
        );
    }
}
