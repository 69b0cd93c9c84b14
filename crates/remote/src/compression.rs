//! zstd for single blobs. What a server sends may claim to be small and be endless: no more is unpacked than wanted.

use std::io::Read as _;

/// Blobs below this many bytes are not worth it.
// Below that, the frame of zstd and the work cost more than the bytes saved.
const MIN_BYTES: usize = 1024;

/// The level: fast, as the network is seldom slower than that.
pub(crate) const LEVEL: i32 = 1;

/// A blob compressed; `None` if that does not pay.
pub(crate) fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < MIN_BYTES {
        return None;
    }
    // What does not shrink goes plain: the server would unpack it for nothing.
    zstd::stream::encode_all(bytes, LEVEL).ok().filter(|packed| packed.len() < bytes.len())
}

/// The blob; `None` if it is malformed or has another size.
pub(crate) fn unpacked(packed: &[u8], size: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(packed).ok()?;
    // One byte more, to find out that there are more.
    // `saturating_add`, since the size comes from a server or a description and may be the largest number.
    decoder.take(size.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == size).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_come_back_and_others_do_not() {
        let bytes = b"abc".repeat(10_000);
        let packed = packed(&bytes).unwrap();
        assert_eq!(unpacked(&packed, bytes.len() as u64).as_deref(), Some(&bytes[..]));
        for size in [0, 1, bytes.len() as u64 - 1, bytes.len() as u64 + 1, u64::MAX] {
            assert_eq!(unpacked(&packed, size), None, "{size}");
        }
        assert_eq!(unpacked(&packed[..packed.len() - 1], bytes.len() as u64), None);
        assert_eq!(unpacked(b"no zstd", 3), None);
        assert_eq!(super::packed(b"small"), None);
    }
}
