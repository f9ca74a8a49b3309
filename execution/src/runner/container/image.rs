//! What a container is made of, and whether that is fetched.

use super::super::keys::{Keys, Mistake};
use super::super::process::check_constant;

/// Longest reference of an image, in bytes.
const REFERENCE_BYTES_MAX: usize = 512;
/// Digits of a digest.
const DIGEST_DIGITS: usize = 64;

/// An image, as its action names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// All of it.
    pub reference: String,
    /// Registry and name; none where it is named by its own id.
    pub name: Option<String>,
    /// The tag, or the digest, for which it stands.
    pub version: String,
}

/// Whether an image is fetched from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Never: it is there, or the action fails.
    Never,
    /// If it is not there.
    Missing,
    /// Each time.
    Always,
}

impl Image {
    /// Reads a reference: `name`, `name:tag`, `name@sha256:…`, or `sha256:…` for the image's own id.
    pub(super) fn parse(reference: &str) -> Option<Self> {
        let image = |name: Option<&str>, version: &str| {
            Some(Self { reference: reference.to_owned(), name: name.map(str::to_owned), version: version.to_owned() })
        };
        if reference.len() > REFERENCE_BYTES_MAX {
            return None;
        }
        if is_digest(reference) {
            return image(None, reference);
        }
        if let Some((name, digest)) = reference.split_once('@') {
            // A tag before a digest says nothing, and what is fetched is the digest.
            let (name, _) = split_tag(name);
            return if is_name(name) && is_digest(digest) { image(Some(name), digest) } else { None };
        }
        let (name, tag) = split_tag(reference);
        let tag = tag.unwrap_or("latest");
        let is_tag = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let begins_well = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if is_name(name) && begins_well && tag.chars().all(is_tag) { image(Some(name), tag) } else { None }
    }
}

/// A tag stands behind the last colon, unless that belongs to a registry's port.
fn split_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:[]".contains(c);
    name.chars().all(allowed) && name.split('/').all(is_part)
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|d| d.len() == DIGEST_DIGITS && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Reads the keys `image` and `pull`.
pub(super) fn read(keys: &mut Keys<'_>) -> (Option<Image>, Pull) {
    let image = read_image(keys);
    let pull = match keys.get("pull").and_then(|pull| keys.text(pull, "/pull", "pull")) {
        Some("never") => Pull::Never,
        Some("missing") | None => Pull::Missing,
        Some("always") => Pull::Always,
        Some(other) => {
            keys.error("/pull", Mistake::BadValue, format!("{other:?} is no way to pull: never, missing, always"));
            Pull::Missing
        }
    };
    if pull == Pull::Always && image.as_ref().is_some_and(|image| image.name.is_none()) {
        let message = "an image that is named by its own id is in no registry: write its name, or \"pull: never\"";
        keys.error("/pull", Mistake::BadValue, message);
    }
    (image, pull)
}

fn read_image(keys: &mut Keys<'_>) -> Option<Image> {
    const AT: &str = "/image";
    let image = keys.need("image")?;
    let reference = keys.text(image, AT, "image")?;
    if !check_constant(keys, AT, "the image", reference) {
        return None;
    }
    let image = Image::parse(reference);
    if image.is_none() {
        let message = format!("{reference:?} is no image: write name, name:tag, or name@sha256: with 64 digits");
        keys.error(AT, Mistake::BadValue, message);
    }
    image
}
