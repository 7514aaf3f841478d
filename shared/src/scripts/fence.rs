//! `fence_mint` and `fence_write`: a value that only the latest token may write. Used by [`crate::lock::Guarded`].

use crate::connection::link::Link;
use crate::random;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    FENCE_MINT, "fence_mint", [parts::NUMBERS, parts::CLOCK],
    keys [guarded],
    args [nonce step],
    status Minted
);

script!(
    FENCE_WRITE, "fence_write", [parts::NUMBERS],
    keys [guarded],
    args [nonce fence value],
    status WriteStatus
);

keywords! {
    enum Minted {
        Minted = "minted",
        Corrupt = "corrupt_state",
    }
}

/// How far a token goes at most beyond a previous one that is ahead of the clock: far enough that two mints hardly
/// meet, and near enough that 10,000 mints a second for a year do not use up the numbers.
const STEP_MAX: u32 = 1 << 16;

/// Mints a token for the value at `key`; `None` if what is there cannot be a guarded value.
pub(crate) async fn mint(link: &mut Link, key: &str) -> Result<Option<u64>, ScriptError> {
    let mut reply =
        FENCE_MINT.call().key(key.to_owned()).arg(random::in_range(1..=STEP_MAX)).run(link).await?;
    match status(&mut reply)? {
        Minted::Minted => Ok(Some(reply.number("token")?)),
        Minted::Corrupt => Ok(None),
    }
}

keywords! {
    /// What became of a guarded write.
    pub(crate) enum WriteStatus {
        /// The value is in place.
        Written = "written",
        /// A newer token was minted.
        Fenced = "fenced",
        /// The server does not know the token's mint.
        Unminted = "unminted",
        /// What is there cannot be a guarded value.
        Corrupt = "corrupt_state",
    }
}

/// Writes the value at `key` under the token `fence`.
pub(crate) async fn write(
    link: &mut Link,
    key: &str,
    fence: u64,
    value: &[u8],
) -> Result<WriteStatus, ScriptError> {
    let mut reply = FENCE_WRITE.call().key(key.to_owned()).arg(fence).arg(value).run(link).await?;
    status(&mut reply)
}
