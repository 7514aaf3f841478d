//! The rule of `payout_review`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::PayoutReview;

use super::rule::{Decision, Rule, Weight};
use super::step::{StepResult, decide, take_over};
use crate::model::Model;

impl Rule for PayoutReview {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        decide(model, line, &self.account, |hold| {
            StepResult::Stays(if hold.is_current(self.fence) { Code::NeedsReview } else { Code::Fenced })
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, |_| {});
    }
}
