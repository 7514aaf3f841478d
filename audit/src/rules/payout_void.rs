//! The rule of `payout_void`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::PayoutVoid;

use super::rule::{Decision, Rule, Weight};
use super::step::{StepResult, decide, take_over};
use crate::model::Model;

impl Rule for PayoutVoid {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        decide(model, line, &self.account, |hold| {
            if self.source == "expiry" && hold.attempts > 0 {
                StepResult::Stays(Code::HoldNotExpired)
            } else {
                StepResult::GoesBack(Code::PayoutVoided)
            }
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, |_| {});
    }
}
