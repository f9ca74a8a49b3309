//! The archive of a pack's files: what a blob of the catalog holds, and what `petrel pack apply` sends.
//!
//! Format, version 1: the eight bytes `PTRLPCK1`, then one zstd frame of the *canonical bytes*: for each
//! file, in ascending order of the paths' bytes,
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | length of the path, big-endian |
//! | … | path, UTF-8, `/` between its parts |
//! | 1 | 1 if executable, else 0 |
//! | 4 | length of the content, big-endian |
//! | … | content |
//!
//! The hash of a pack is taken over the canonical bytes, so that it does not change with the compressor.
//! There is no entry for a folder, a link or an owner: an archive can hold nothing but regular files.

use std::io::Read;

use sha2::{Digest, Sha256};

use crate::limits::{BLOB_BYTES_MAX, PACK_BYTES_MAX, PACK_FILES_MAX, PATH_BYTES_MAX};
use crate::pack::{PackFile, check_path};

const MAGIC: &[u8; 8] = b"PTRLPCK1";
const ZSTD_LEVEL: i32 = 12;
/// Largest window that a frame may ask memory for: 2^25 bytes, above what [`PACK_BYTES_MAX`] needs.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// Why files cannot be packed, or bytes are no archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The compressed pack does not fit a message.
    #[error("the pack has {bytes} bytes when compressed, more than the limit of {max} bytes (blob_bytes_max)")]
    BlobTooLarge {
        /// Compressed size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Uncompressed, the files are over `pack_bytes_max`, or there are over `pack_files_max` of them.
    #[error("the archive holds more than {bytes_max} bytes or {files_max} files")]
    ContentTooLarge {
        /// Limit of the bytes.
        bytes_max: usize,
        /// Limit of the files.
        files_max: usize,
    },
    /// Not an archive, or one of a version that this release does not know.
    #[error("not a pack archive that this release can read")]
    Unknown,
    /// The bytes end early, or the frame is damaged.
    #[error("the pack archive is damaged: {0}")]
    Damaged(String),
    /// A path that leaves its pack.
    #[error("path {path:?} in the archive is refused: {reason}")]
    BadPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Paths must ascend; equal ones would hide a file.
    #[error("the archive's paths are not in ascending order at {path:?}")]
    Unsorted {
        /// The first path that is out of order.
        path: String,
    },
}

/// Packs files.
///
/// # Errors
/// [`ArchiveError::BlobTooLarge`], [`ArchiveError::ContentTooLarge`], [`ArchiveError::BadPath`], and
/// [`ArchiveError::Unsorted`] for a path that stands twice.
pub fn pack(files: &[PackFile]) -> Result<Vec<u8>, ArchiveError> {
    let canonical = canonical_bytes(files)?;
    // Compressing into memory fails only where memory does.
    let frame = zstd::bulk::compress(&canonical, ZSTD_LEVEL).map_err(|e| ArchiveError::Damaged(e.to_string()))?;
    let mut archive = Vec::with_capacity(MAGIC.len() + frame.len());
    archive.extend_from_slice(MAGIC);
    archive.extend_from_slice(&frame);
    if archive.len() > BLOB_BYTES_MAX {
        return Err(ArchiveError::BlobTooLarge { bytes: archive.len(), max: BLOB_BYTES_MAX });
    }
    Ok(archive)
}

/// Unpacks an archive; the files are sorted by path.
///
/// # Errors
/// Any [`ArchiveError`]; memory stays within the limits whatever the bytes are.
pub fn unpack(archive: &[u8]) -> Result<Vec<PackFile>, ArchiveError> {
    if archive.len() > BLOB_BYTES_MAX {
        return Err(ArchiveError::BlobTooLarge { bytes: archive.len(), max: BLOB_BYTES_MAX });
    }
    let frame = archive.strip_prefix(MAGIC).ok_or(ArchiveError::Unknown)?;
    let damaged = |e: std::io::Error| ArchiveError::Damaged(e.to_string());
    let limit = canonical_bytes_max() as u64;
    let mut canonical = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::with_buffer(frame).map_err(damaged)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
    decoder.take(limit + 1).read_to_end(&mut canonical).map_err(damaged)?;
    if canonical.len() as u64 > limit {
        return Err(too_large());
    }
    read_canonical(&canonical)
}

/// Hash of a pack's content: 32 hexadecimal digits, the first half of SHA-256 over the canonical bytes.
///
/// # Errors
/// As [`pack`], but for the compressed size.
pub fn content_hash(files: &[PackFile]) -> Result<String, ArchiveError> {
    Ok(hash_hex(&[&canonical_bytes(files)?]))
}

/// The first 128 bits of SHA-256 over length-prefixed parts, in hexadecimal.
pub(crate) fn hash_hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|b| format!("{b:02x}")).collect()
}

fn too_large() -> ArchiveError {
    ArchiveError::ContentTooLarge { bytes_max: PACK_BYTES_MAX, files_max: PACK_FILES_MAX }
}

/// Content, and for each file a path and nine bytes.
const fn canonical_bytes_max() -> usize {
    PACK_BYTES_MAX + PACK_FILES_MAX * (PATH_BYTES_MAX + 9)
}

fn check_entry(path: &str, previous: Option<&str>) -> Result<(), ArchiveError> {
    check_path(path).map_err(|(_, reason)| ArchiveError::BadPath { path: path.to_owned(), reason })?;
    if previous.is_some_and(|previous| previous >= path) {
        return Err(ArchiveError::Unsorted { path: path.to_owned() });
    }
    Ok(())
}

fn canonical_bytes(files: &[PackFile]) -> Result<Vec<u8>, ArchiveError> {
    let content: usize = files.iter().map(|file| file.bytes.len()).sum();
    if content > PACK_BYTES_MAX || files.len() > PACK_FILES_MAX {
        return Err(too_large());
    }
    let mut sorted: Vec<&PackFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut bytes = Vec::with_capacity(content + files.len() * 64);
    let mut previous = None;
    for file in sorted {
        check_entry(&file.path, previous)?;
        previous = Some(file.path.as_str());
        // Both lengths are below the limits checked above.
        bytes.extend_from_slice(&(file.path.len() as u32).to_be_bytes());
        bytes.extend_from_slice(file.path.as_bytes());
        bytes.push(u8::from(file.executable));
        bytes.extend_from_slice(&(file.bytes.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&file.bytes);
    }
    Ok(bytes)
}

fn read_canonical(mut rest: &[u8]) -> Result<Vec<PackFile>, ArchiveError> {
    let mut files: Vec<PackFile> = Vec::new();
    while !rest.is_empty() {
        if files.len() == PACK_FILES_MAX {
            return Err(too_large());
        }
        let path = take_prefixed(&mut rest)?;
        let path = std::str::from_utf8(path).map_err(|_| ArchiveError::Damaged("a path is not UTF-8".to_owned()))?;
        check_entry(path, files.last().map(|file| file.path.as_str()))?;
        let executable = match take(&mut rest, 1)? {
            [0] => false,
            [1] => true,
            _ => return Err(ArchiveError::Damaged("an executable bit is neither 0 nor 1".to_owned())),
        };
        let bytes = take_prefixed(&mut rest)?.to_vec();
        files.push(PackFile { path: path.to_owned(), bytes, executable });
    }
    Ok(files)
}

fn take_prefixed<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], ArchiveError> {
    let length = take(rest, 4)?.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    take(rest, length)
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Result<&'b [u8], ArchiveError> {
    match rest.split_at_checked(length) {
        Some((taken, left)) => {
            *rest = left;
            Ok(taken)
        }
        None => Err(ArchiveError::Damaged("it ends within a file".to_owned())),
    }
}

#[cfg(test)]
mod tests;
