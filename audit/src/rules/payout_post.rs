//! The rule of `payout_post`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::PayoutPost;

use super::rule::{Decision, Rule, Weight};
use super::step::{StepResult, decide_or, take_over};
use crate::model::Model;

impl Rule for PayoutPost {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        // Only proof of payment is still written down after the end.
        let code = if self.source == "gateway" { Code::PaidAfterVoid } else { Code::PayoutNotOpen };
        let decision = decide_or(model, line, &self.account, code, |_| StepResult::Stays(Code::Paid))?;
        // What has left the account by it.
        let spent = match decision.code {
            Code::Paid => model.holds.get(&line.id).map_or(0, |hold| hold.amount),
            _ => 0,
        };
        Some(Decision {
            after: decision.after.into_iter().flat_map(|available| [spent, available]).collect(),
            ..decision
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, |_| {});
    }
}
