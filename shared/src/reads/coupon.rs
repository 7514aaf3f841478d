//! The code that a redemption owns: the n-th redemption of a campaign with codes has code n, for ever, whatever was
//! reversed before it or since.
//!
//! Relies on the journal, where the line of a redemption says which number it was. Reading only.

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::Code;
use crate::protocol::codes_name::CodesName;
use crate::protocol::keys::Keys;
use crate::protocol::kinds::{Event, JobRequest};
use crate::reads::journal::{self, JournalDamage};

/// The coupon code of the redemption decided at `seq`; `None` if that line is no redemption, or its campaign
/// hands out no codes.
///
/// # Errors
/// The outer error is Redis's; the inner one names a journal entry that is not ours.
pub async fn at(
    link: &mut Link,
    keys: &Keys,
    seq: u64,
) -> Result<Result<Option<String>, JournalDamage>, Failure> {
    let line = match journal::line_at(link, keys, seq).await? {
        Ok(line) => line,
        Err(damage) => return Ok(Err(damage)),
    };
    let Some(line) = line else { return Ok(Ok(None)) };
    let (Event::Job(JobRequest::Redeem(redeem)), Code::Redeemed, Some(number)) =
        (&line.event, line.code, line.after("code_number").or(line.after("issued")))
    else {
        return Ok(Ok(None));
    };
    let name: Option<String> =
        link.query(redis::cmd("HGET").arg(keys.campaign(&redeem.campaign)).arg("codes")).await?;
    let Some(codes) = name.as_deref().and_then(CodesName::parse) else {
        return Ok(Ok(None));
    };
    Ok(Ok(link.query(redis::cmd("HGET").arg(keys.codes(&codes)).arg(number)).await?))
}
