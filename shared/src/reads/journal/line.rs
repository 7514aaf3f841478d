//! One line of the journal.

use crate::protocol::code::Code;
use crate::protocol::ids::JobId;
use crate::protocol::kinds::{Event, Kind};

/// One decided job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place in the partition's journal, from 1.
    pub seq: u64,
    /// When it was decided, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who asked for it; empty for what a worker settled.
    pub by: String,
    /// The job's id.
    pub id: JobId,
    /// What was asked for, or happened.
    pub event: Event,
    /// What was decided.
    pub code: Code,
    /// The resource's state after the decision: what a campaign has issued, or what an account has available;
    /// `None` if there is no such resource.
    pub after: Option<u64>,
}

/// Reads `id TAB kind TAB code TAB` and the kind's own fields, in the order of its list.
pub(super) fn read_line(text: &str, seq: u64, at_ms: u64, by: &str) -> Option<Line> {
    let words: Vec<&str> = text.split('\t').collect();
    let (&[id, kind, code], rest) = words.split_at_checked(3)? else { return None };
    let (after, fields) = rest.split_last()?;
    let event = Event::from_words(Kind::from_name(kind)?, fields)?;
    let after = if after.is_empty() { None } else { Some(after.parse().ok()?) };
    let (id, code) = (JobId::stored(id).ok()?, Code::from_name(code)?);
    Some(Line { seq, at_ms, by: by.to_owned(), id, event, code, after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::kinds::Fields;

    #[test]
    fn lines_of_every_kind_are_read() {
        for (text, kind, after) in [
            ("r1\tredeem\tredeemed\tsummer\tc42\t1\t57", Kind::Redeem, Some(57)),
            ("r2\tredeem\tcampaign_not_found\tnone\tc42\t1\t", Kind::Redeem, None),
            ("w1\twithdraw\twithdrawn\ta1\t1250\tUSD\t0", Kind::Withdraw, Some(0)),
            (
                "create/account/a1\taccount_open\taccount_opened\ta1\t1250\tUSD\t1250",
                Kind::AccountOpen,
                Some(1250),
            ),
            ("c1\taccount_close\taccount_not_empty\ta1\t3", Kind::AccountClose, Some(3)),
            (
                "create/campaign/s\tcampaign_create\tcampaign_created\ts\t5\t\t\t\t\t0",
                Kind::CampaignCreate,
                Some(0),
            ),
            ("l1\tcampaign_set_limit\tlimit_set\ts\t6\t5\t2", Kind::CampaignSetLimit, Some(2)),
        ] {
            let line = read_line(text, 9, 1, "").unwrap();
            assert_eq!((line.event.kind(), line.after, line.seq), (kind, after, 9), "{text}");
        }
        for bad in ["", "r1\tredeem", "r1\tredeem\tredeemed\ts\tc\t0\t1", "r1\tredeem\tredeemed\ts\tc\t1\tx"]
        {
            assert!(read_line(bad, 1, 1, "").is_none(), "{bad}");
        }
    }
}
