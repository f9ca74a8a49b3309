//! Base 64, with the standard alphabet.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::eval::Cx;
use crate::fault::Fault;
use crate::functions::Function;
use crate::functions::call::{Answer, global, invalid};
use crate::value::Value;

/// `base64.encode` and `base64.decode`.
pub(super) const TABLE: &[Function] = &[global("base64.decode", &[1], decode), global("base64.encode", &[1], encode)];

/// Bits behind the last byte are ignored, as Go does.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
pub(super) const PADDED: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, LENIENT.with_decode_padding_mode(DecodePaddingMode::RequireCanonical));
const UNPADDED: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, LENIENT.with_decode_padding_mode(DecodePaddingMode::RequireNone));

/// `base64.encode(bytes)`: padded.
fn encode<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "base64.encode";
    let [Value::Bytes(bytes)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    cx.charge_length(bytes.len())?;
    let length = base64::encoded_len(bytes.len(), true).ok_or(Fault::MemoryExceeded)?;
    let mut encoded = cx.vec::<u8>(length)?;
    encoded.resize(length, 0);
    // The room is what the library asked for, and its letters are ASCII.
    let written = PADDED.encode_slice(bytes, &mut encoded).map_err(|_| invalid(NAME, "too long"))?;
    str::from_utf8(&encoded.into_bump_slice()[..written]).map(Value::String).map_err(|_| invalid(NAME, "no text"))
}

/// `base64.decode(text)`: with all of its padding or without any; line breaks are skipped.
fn decode<'a>(cx: &mut Cx<'a>, arguments: &[Value<'a>]) -> Answer<'a> {
    const NAME: &str = "base64.decode";
    let [Value::String(text)] = arguments else { return Err(Fault::overload(NAME, arguments)) };
    cx.charge_length(text.len())?;
    let mut letters = text.as_bytes();
    if memchr::memchr2(b'\r', b'\n', letters).is_some() {
        let mut kept = cx.vec::<u8>(letters.len())?;
        kept.extend(letters.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')));
        letters = kept.into_bump_slice();
    }
    let length = base64::decoded_len_estimate(letters.len());
    let mut decoded = cx.vec::<u8>(length)?;
    decoded.resize(length, 0);
    let written = PADDED.decode_slice(letters, &mut decoded).or_else(|_| UNPADDED.decode_slice(letters, &mut decoded));
    let written = written.map_err(|_| invalid(NAME, "the text is no base 64"))?;
    Ok(Value::Bytes(&decoded.into_bump_slice()[..written]))
}
