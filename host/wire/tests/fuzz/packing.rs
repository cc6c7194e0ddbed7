//! Packed messages, as a peer makes them that means well, or not.

use bytes::Bytes;

/// As a peer sends it that packs.
pub(crate) fn pack(message: &[u8]) -> Bytes {
    zstd::bulk::compress(message, 1).unwrap().into()
}

/// What a message says, packed or not; one that cannot be unpacked is what it is.
pub(crate) fn plain(message: &Bytes) -> Bytes {
    const BYTES_MAX: u64 = 4 * 1024 * 1024;
    if !message.starts_with(b"\x28\xb5\x2f\xfd") {
        return message.clone();
    }
    let size = zstd::zstd_safe::get_frame_content_size(message).ok();
    let size = size.flatten().filter(|size| *size <= BYTES_MAX);
    let unpacked = size.and_then(|size| {
        let size = usize::try_from(size).ok()?;
        zstd::bulk::decompress(message, size).ok()
    });
    unpacked.map_or_else(|| message.clone(), Bytes::from)
}
