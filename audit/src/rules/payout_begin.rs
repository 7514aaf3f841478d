//! The rule of `payout_begin`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::PayoutBegin;

use super::rule::{Decision, Rule, Weight};
use super::step::{StepResult, decide, take_over};
use crate::model::Model;

impl Rule for PayoutBegin {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        decide(model, line, &self.account, |hold| {
            if hold.state == Code::NeedsReview {
                return StepResult::Stays(Code::PayoutNotOpen);
            }
            // An attempt whose outcome is unknown keeps its gateway and its key.
            let is_elsewhere =
                (&self.gateway, &self.idempotency_key) != (&hold.gateway, &hold.idempotency_key);
            let is_latest = (self.attempt, self.fence) == (hold.attempts, hold.fence);
            StepResult::Stays(if hold.attempts > 0 && is_elsewhere {
                Code::Fenced
            } else if hold.attempts > 0 && is_latest {
                Code::NeedsReview
            } else if self.attempt == hold.attempts + 1 && self.fence > hold.fence {
                Code::Paying
            } else {
                Code::Fenced
            })
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        take_over(model, line, &self.account, |hold| {
            (hold.gateway, hold.idempotency_key) = (self.gateway.clone(), self.idempotency_key.clone());
            (hold.attempts, hold.fence, hold.taken_back) = (self.attempt, self.fence, false);
            hold.first_begin_at_ms = hold.first_begin_at_ms.or(Some(line.at_ms));
        });
    }
}
