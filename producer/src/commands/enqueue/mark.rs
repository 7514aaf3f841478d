//! What an input is recognised by: the digest of its beginning, up to an offset.

use sha2::{Digest, Sha256};

/// Bytes of a mark's digest.
const MARK_BYTES: usize = 16;

/// The digest of the input's beginning up to an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) digest: [u8; MARK_BYTES],
}

impl Mark {
    pub(super) fn new(offset: u64, hash: &Sha256) -> Self {
        let mut digest = [0; MARK_BYTES];
        digest.copy_from_slice(&hash.clone().finalize()[..MARK_BYTES]);
        Self { offset, digest }
    }
}
