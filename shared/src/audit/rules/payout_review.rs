//! The rule of `payout_review`.

use crate::protocol::code::Code;
use crate::protocol::kinds::PayoutReview;
use crate::reads::journal::Line;

use super::rule::{Decision, Rule, Weight};
use super::step::{Outcome, decide, take_over};
use crate::audit::model::Model;

impl Rule for PayoutReview {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        decide(model, line, &self.account, |hold| {
            Outcome::Stays(if hold.is_current(self.fence) { Code::NeedsReview } else { Code::Fenced })
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, |_| {});
    }
}
