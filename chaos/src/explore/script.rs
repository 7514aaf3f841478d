//! How a command names the script that it runs.

use tollgate::gate::Words;

/// The text of the script that a command brings.
pub(super) fn text(command: &Words) -> Option<&Vec<u8>> {
    command.get(1).filter(|_| matches!(&command[0][..], b"EVAL" | b"EVAL_RO"))
}

/// The hash of the script that a command calls.
pub(super) fn hash(command: &Words) -> Option<&Vec<u8>> {
    command.get(1).filter(|_| matches!(&command[0][..], b"EVALSHA" | b"EVALSHA_RO"))
}

/// The hash by which the server knows a script.
pub(super) fn hash_of(text: &[u8]) -> Vec<u8> {
    redis::Script::new(&String::from_utf8_lossy(text)).get_hash().as_bytes().to_vec()
}
