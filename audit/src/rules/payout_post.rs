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
        decide_or(model, line, &self.account, code, |_| StepResult::Stays(Code::Paid))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, |_| {});
    }
}
