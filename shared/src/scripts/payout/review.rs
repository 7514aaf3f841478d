//! Which open payouts a person has to look at: those that nobody but a person can decide, and those that are damaged.

use redis::Pipeline;

use super::open::{self, Damaged, Hold, Listed};
use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::amount::NUMBER_MAX;
use crate::protocol::keys::Keys;
use crate::scripts::error::ScriptError;

/// Open payouts at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForReview {
    /// How many payouts are open, damaged ones included.
    pub open: u64,
    /// How many of them a person has to decide, without those that are known to be damaged.
    pub count: u64,
    /// Those, as many as were asked for.
    pub holds: Vec<Hold>,
    /// Those that cannot be read.
    pub damaged: Vec<Damaged>,
    /// Whether no open payout was left out in the search for damaged ones.
    pub is_complete: bool,
}

/// Counts the open payouts, reads up to `limit` of those that wait for a person, and looks for damaged ones among
/// these and the `searched` that are due first: nobody can go on with a damaged one, so it comes to the front.
///
/// # Errors
/// As [`open::listed`].
pub async fn for_review(
    link: &mut Link,
    keys: &Keys,
    limit: usize,
    searched: usize,
) -> Result<ForReview, ScriptError> {
    /// Where `hold.lua` lists what needs review: no clock comes to it.
    const REVIEW_SCORE: u64 = NUMBER_MAX;
    let mut pipeline = Pipeline::new();
    pipeline.cmd("ZCARD").arg(keys.payouts());
    pipeline.cmd("ZCOUNT").arg(keys.payouts()).arg(REVIEW_SCORE).arg("+inf");
    let due = pipeline.cmd("ZRANGE").arg(keys.payouts()).arg("-inf").arg(format!("({REVIEW_SCORE}"));
    due.arg("BYSCORE").arg("LIMIT").arg(0).arg(searched);
    let review = pipeline.cmd("ZRANGE").arg(keys.payouts()).arg(REVIEW_SCORE).arg("+inf");
    review.arg("BYSCORE").arg("LIMIT").arg(0).arg(limit);
    let mut replies = Vec::with_capacity(4);
    for reply in link.run_pipeline(&pipeline).await? {
        replies.push(match reply {
            Err(failure) if failure.is_wrong_type() => {
                return Err(ScriptError::CorruptPartition(format!("{} is no sorted set", keys.payouts())));
            }
            reply => reply?,
        });
    }
    let mut replies = replies.into_iter();
    let number = |value| redis::from_redis_value::<u64>(value).ok();
    let members = |value| redis::from_redis_value::<Vec<Vec<u8>>>(value).ok();
    let (open, count) = (replies.next().and_then(number), replies.next().and_then(number));
    let (due, review) = (replies.next().and_then(members), replies.next().and_then(members));
    let (Some(open), Some(count), Some(due), Some(review)) = (open, count, due, review) else {
        return Err(Failure::unknown("a count or a list of payouts that cannot be read").into());
    };
    let is_complete = (due.len() + review.len()) as u64 >= open;
    let mut found = ForReview { open, count, is_complete, ..ForReview::default() };
    for listed in open::read_members(link, keys, &review).await? {
        match listed {
            Listed::Open(hold) => found.holds.push(hold),
            Listed::Damaged(damaged) => {
                found.count = found.count.saturating_sub(1);
                found.damaged.push(damaged);
            }
        }
    }
    for listed in open::read_members(link, keys, &due).await? {
        if let Listed::Damaged(damaged) = listed {
            found.damaged.push(damaged);
        }
    }
    Ok(found)
}
