//! The rule of `payout_not_sent`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::PayoutNotSent;

use super::rule::{Decision, Rule, Weight};
use super::step::{StepResult, decide, take_over};
use crate::model::{Hold, Model};

impl Rule for PayoutNotSent {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        decide(model, line, &self.account, |hold| {
            StepResult::Stays(match hold.attempts {
                _ if !hold.is_current(self.fence) => Code::Fenced,
                1 => Code::Held,
                _ => Code::Paying,
            })
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, Hold::take_back);
    }
}
