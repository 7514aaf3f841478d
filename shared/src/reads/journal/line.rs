//! One line of the journal.

use crate::protocol::code::Code;
use crate::protocol::ids::JobId;
use crate::protocol::kinds::{Event, Fields, Kind, Operation};

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
    /// What the decision found, of a [kind](crate::kinds::Spec::was) that shows it.
    pub was: Option<String>,
    /// What the decision left behind, in the order that the [kind](crate::kinds::Spec::after) names it: what a campaign has
    /// issued, what an account has available. Empty if there is no such resource.
    pub after: Vec<u64>,
    /// What it says behind these, of a [kind](crate::kinds::Spec::told) that may, a TAB between two texts; `None` if it says
    /// nothing.
    pub told: Option<String>,
}

impl Line {
    /// What it left behind under this name; `None` if its kind has no such number, or there is no such resource.
    pub fn after(&self, name: &str) -> Option<u64> {
        let at = self.event.kind().spec().after.iter().position(|known| *known == name)?;
        self.after.get(at).copied()
    }

    /// What it says under this name behind the numbers; `None` if it says nothing.
    pub fn told(&self, name: &str) -> Option<&str> {
        let at = self.event.kind().spec().told.iter().position(|known| *known == name)?;
        self.told.as_deref()?.split('\t').nth(at).filter(|text| !text.is_empty())
    }
}

impl Line {
    /// Who decides, where what was asked for says so itself; whoever asked for it may be another.
    pub fn decided_by(&self) -> Option<&str> {
        match &self.event {
            Event::Operation(Operation::Decide(request)) => Some(request.by.as_str()),
            _ => None,
        }
    }
}

/// Reads `id TAB kind TAB code TAB`, the kind's own fields, what it found where it shows that, and the numbers after
/// them, each in the order of its list.
pub(super) fn read_line(text: &str, seq: u64, at_ms: u64, by: &str) -> Option<Line> {
    let words: Vec<&str> = text.split('\t').collect();
    let (&[id, kind, code], rest) = words.split_at_checked(3)? else { return None };
    let kind = Kind::from_name(kind)?;
    let (fields, after) = rest.split_at_checked(kind.spec().fields.len())?;
    let event = Event::from_words(kind, fields)?;
    let (was, after) = match kind.spec().was {
        Some(_) => after.split_first().map(|(was, after)| (Some((*was).to_owned()), after))?,
        None => (None, after),
    };
    let told_most = kind.spec().told.len();
    let (after, told) = match after.split_at_checked(kind.spec().after.len()) {
        Some((after, told @ [.., last])) if told.len() <= told_most && !last.is_empty() => {
            (after, Some(told.join("\t")))
        }
        _ => (after, None),
    };
    if !(kind.spec().after_least..=kind.spec().after.len()).contains(&after.len()) {
        return None;
    }
    // All of them, or none.
    let after = match after.iter().all(|word| word.is_empty()) {
        true => Vec::new(),
        false => after.iter().map(|word| word.parse().ok()).collect::<Option<_>>()?,
    };
    let (id, code) = (JobId::stored(id).ok()?, Code::from_name(code)?);
    Some(Line { seq, at_ms, by: by.to_owned(), id, event, code, was, after, told })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_kind_are_read() {
        for (text, kind, after) in [
            ("r1\tredeem\tredeemed\tsummer\tc42\t1\t2\t57", Kind::Redeem, vec![2, 57]),
            ("r1\tredeem\tredeemed\tsummer\tc42\t1\t2\t57\t60", Kind::Redeem, vec![2, 57, 60]),
            ("r2\tredeem\tcampaign_not_found\tnone\tc42\t1\t\t", Kind::Redeem, vec![]),
            ("w1\twithdraw\twithdrawn\ta1\t1250\tUSD\t0", Kind::Withdraw, vec![0]),
            (
                "create/account/a1\taccount_open\taccount_opened\ta1\t1250\tUSD\t1250",
                Kind::AccountOpen,
                vec![1250],
            ),
            ("c1\taccount_close\taccount_not_empty\ta1\t3", Kind::AccountClose, vec![3]),
            (
                "create/campaign/s\tcampaign_create\tcampaign_created\ts\t5\t\t\t\t\t0",
                Kind::CampaignCreate,
                vec![0],
            ),
            ("l1\tcampaign_set_limit\tlimit_set\ts\t6\t5\t2", Kind::CampaignSetLimit, vec![2]),
            ("d1\tdecide\tdecided\tl\tapprove\to\t\t\t1", Kind::Decide, vec![1]),
            ("p1\tpurchase\tpurchased\ti\tu\t{1 a}\t2\t7", Kind::Purchase, vec![2, 7]),
            ("p2\tpurchase\tpurchased\ti\tu\t{1 a}\t2\t7\t{1 a}", Kind::Purchase, vec![2, 7]),
            ("d2\tdecide\talready_decided\tl\treject\tp\t1\tlate\t1\t4", Kind::Decide, vec![1, 4]),
        ] {
            let line = read_line(text, 9, 1, "").unwrap();
            let named: Vec<u64> = kind.spec().after.iter().filter_map(|name| line.after(name)).collect();
            assert_eq!((line.event.kind(), &line.after, line.seq), (kind, &after, 9), "{text}");
            assert_eq!((named, line.after("nothing")), (after, None), "{text}");
        }
        for bad in [
            "",
            "r1\tredeem",
            "r1\tredeem\tredeemed\ts\tc\t0\t1\t1",
            "r1\tredeem\tredeemed\ts\tc\t1\t1\tx",
            "r1\tredeem\tredeemed\ts\tc\t1\t\t1",
            "r1\tredeem\tredeemed\ts\tc\t1\t1",
            "r1\tredeem\tredeemed\ts\tc\t1\t1\t1\t1\t1",
            "p1\tpurchase\tpurchased\ti\tu\t{1 a}\t2\t7\t",
            "p1\tpurchase\tpurchased\ti\tu\t{1 a}\t2\t7\t{1 a}\t",
            "p1\tpurchase\tpurchased\ti\tu\t{1 a}\t2\t7\t{1 a}\t8\t9",
        ] {
            assert!(read_line(bad, 1, 1, "").is_none(), "{bad}");
        }
    }
}
