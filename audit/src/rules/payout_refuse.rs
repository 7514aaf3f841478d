//! The rule of `payout_refuse`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::PayoutRefuse;

use super::rule::{Decision, Rule, Weight};
use super::step::{StepResult, decide, take_over};
use crate::model::Model;

impl Rule for PayoutRefuse {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        decide(model, line, &self.account, |hold| {
            if !hold.is_current(self.fence) {
                StepResult::Stays(Code::Fenced)
            } else if hold.refused + 1 == hold.attempts {
                StepResult::GoesBack(Code::PayoutRefused)
            } else {
                StepResult::Stays(Code::NeedsReview)
            }
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, |hold| hold.refused = hold.refused.saturating_add(1));
    }
}
