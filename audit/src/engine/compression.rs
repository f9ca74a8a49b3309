//! ClickHouse's compressed blocks, in which a client may send (`decompress=1`) and ask for (`compress=1`)
//! bodies: 16 bytes CityHash128 of what follows, method, 4 bytes compressed size (its 9 bytes
//! included), 4 bytes original size, data.

use cityhash_rs::cityhash_102_128;

const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
const METHOD_NONE: u8 = 0x02;
const METHOD_LZ4: u8 = 0x82;
/// Original size of the blocks that we write.
const BLOCK_BYTES: usize = 1 << 20;

/// Why a body is no sequence of blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockError {
    #[error("the compressed body ends within a block")]
    Cut,
    #[error("a block's checksum is wrong")]
    Checksum,
    #[error("compression method {0:#04x} is not supported: use LZ4 or none")]
    Method(u8),
    #[error("a block does not hold what its header says: {0}")]
    Damaged(String),
    #[error("the body is over the limit of {0} bytes")]
    TooLarge(usize),
}

/// Reads all blocks; `bytes_max` limits the sum of the original sizes.
pub(super) fn decompress(mut input: &[u8], bytes_max: usize) -> Result<Vec<u8>, BlockError> {
    let mut output = Vec::new();
    while !input.is_empty() {
        let header = input.get(CHECKSUM_BYTES..CHECKSUM_BYTES + HEADER_BYTES).ok_or(BlockError::Cut)?;
        let method = header[0];
        let (compressed, original) = (size_at(header, 1), size_at(header, 5));
        let end = CHECKSUM_BYTES.saturating_add(compressed);
        let checked = input.get(CHECKSUM_BYTES..end).ok_or(BlockError::Cut)?;
        if checksum(checked) != input[..CHECKSUM_BYTES] {
            return Err(BlockError::Checksum);
        }
        let data = checked.get(HEADER_BYTES..).ok_or(BlockError::Cut)?;
        if output.len().saturating_add(original) > bytes_max {
            return Err(BlockError::TooLarge(bytes_max));
        }
        match method {
            METHOD_NONE if data.len() == original => output.extend_from_slice(data),
            METHOD_NONE => return Err(BlockError::Damaged("sizes differ".into())),
            METHOD_LZ4 => {
                let from = output.len();
                output.resize(from + original, 0);
                let written = lz4_flex::block::decompress_into(data, &mut output[from..])
                    .map_err(|e| BlockError::Damaged(e.to_string()))?;
                if written != original {
                    return Err(BlockError::Damaged("sizes differ".into()));
                }
            }
            other => return Err(BlockError::Method(other)),
        }
        input = &input[end..];
    }
    Ok(output)
}

/// Writes blocks of LZ4.
pub(super) fn compress(input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for chunk in input.chunks(BLOCK_BYTES) {
        let data = lz4_flex::block::compress(chunk);
        let mut block = Vec::with_capacity(HEADER_BYTES + data.len());
        block.push(METHOD_LZ4);
        // Both are at most a little over BLOCK_BYTES.
        block.extend_from_slice(&((HEADER_BYTES + data.len()) as u32).to_le_bytes());
        block.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
        block.extend_from_slice(&data);
        output.extend_from_slice(&checksum(&block));
        output.extend_from_slice(&block);
    }
    output
}

/// ClickHouse writes the two halves of the hash the other way round than the number has them.
fn checksum(block: &[u8]) -> [u8; CHECKSUM_BYTES] {
    cityhash_102_128(block).rotate_right(64).to_le_bytes()
}

fn size_at(header: &[u8], at: usize) -> usize {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_back() {
        for bytes in [vec![], vec![7; 3], (0..3 * BLOCK_BYTES + 5).map(|i| (i % 251) as u8).collect()] {
            assert_eq!(decompress(&compress(&bytes), 4 * BLOCK_BYTES).as_deref(), Ok(bytes.as_slice()));
        }
    }

    #[test]
    fn damage_is_told() {
        let block = compress(b"hello hello hello hello");
        let mut flipped = block.clone();
        flipped[30] ^= 1;
        assert_eq!(decompress(&flipped, 100), Err(BlockError::Checksum));
        assert_eq!(decompress(&block[..20], 100), Err(BlockError::Cut));
        assert_eq!(decompress(&block[..block.len() - 1], 100), Err(BlockError::Cut));
        assert_eq!(decompress(&block, 10), Err(BlockError::TooLarge(10)));
    }
}
