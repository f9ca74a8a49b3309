//! Rows of files of JSON lines, compressed or not.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Bytes of a file once it is unpacked.
const UNPACKED_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The files of a folder and below it.
pub(crate) fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            files.extend(find(&path)?);
        } else if name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The rows of a file.
pub(crate) fn rows(path: &Path) -> Result<Vec<Value>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = if path.extension().is_some_and(|extension| extension == "gz") { unpacked(&bytes)? } else { bytes };
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    let row = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}, row {} is no JSON", path.display(), number + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(row).collect()
}

/// The content of a gzip file of one member (RFC 1952).
fn unpacked(bytes: &[u8]) -> Result<Vec<u8>> {
    ensure!(bytes.len() > 18 && bytes.starts_with(&[0x1f, 0x8b, 8]), "no gzip file");
    let flags = bytes[3];
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
    }
    // A name and a comment, each up to a zero.
    for flag in [8, 16] {
        if flags & flag != 0 {
            let rest = bytes.get(at..).context("the header ends too early")?;
            at += rest.iter().position(|byte| *byte == 0).context("the header ends too early")? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    let packed = bytes.get(at..bytes.len() - 8).context("the header ends too early")?;
    match miniz_oxide::inflate::decompress_to_vec_with_limit(packed, UNPACKED_BYTES_MAX) {
        Ok(unpacked) => Ok(unpacked),
        Err(error) => bail!("cannot unpack: {error}"),
    }
}
