//! The verdict in words.

use crate::run::judge::{Judgement, Summary, Verdict};

/// What the verdict means, in one sentence.
pub(super) fn meaning(judgement: &Judgement) -> &'static str {
    match judgement.verdict {
        Verdict::Pass => passed(&judgement.summary),
        Verdict::Fail => "something is there that must not be: it is named below",
        Verdict::Invalid => "nothing is wrong, and too little happened to show anything",
    }
}

/// What a pass says.
fn passed(summary: &Summary) -> &'static str {
    match summary.lost {
        0 => "nothing was issued or spent twice, nothing accepted was lost, and every answer was true",
        _ => "nothing was issued or spent twice; what was told and lost is what this durability may lose",
    }
}
