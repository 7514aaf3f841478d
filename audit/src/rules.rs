//! What `settle` must have decided: the rule of each kind, one file each under the kind's name.
//!
//! Pure, and written from the specification (ARCHITECTURE.md), not from the scripts: a rule decides a line again from the
//! model and the line's server time.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::{Event, Fields, JobRequest, Operation, PayoutEvent, ReservationEvent};

use super::model::Model;

mod account;
mod account_close;
mod account_open;
mod campaign_close;
mod campaign_create;
mod campaign_set_limit;
mod case_amend;
mod case_open;
mod commit;
mod decide;
mod deposit;
mod exchange;
mod expire;
mod extend;
mod inventory;
mod inventory_archive;
mod inventory_cancel;
mod inventory_close;
mod inventory_create;
mod inventory_load;
mod inventory_restock;
mod inventory_set_quantity;
mod order_was;
mod payout;
mod payout_begin;
mod payout_not_sent;
mod payout_post;
mod payout_refuse;
mod payout_review;
mod payout_void;
mod purchase;
mod redeem;
mod refund;
mod release;
mod reservation;
mod reserve;
mod r#return;
mod reverse;
mod rule;
mod step;
#[cfg(test)]
mod tests;
mod transfer;
mod withdraw;

pub(super) use rule::Decision;
use rule::{Rule, Weight};

/// Decides the line again and takes over what it says it did. Answers what it should have said, if it says something else;
/// the model then goes on from what the line says, so that one wrong line is told once.
pub(super) fn apply(model: &mut Model, line: &Line, weight: Weight<'_>) -> Option<Decision> {
    let rule = rule_of(&line.event);
    let is_cancelled = line.code == Code::Cancelled && line.event.kind().is_queueable();
    let decision = if is_cancelled { rule.cancelled(model, line) } else { rule.decide(model, line) };
    rule.take_over(model, line, weight);
    decision.filter(|decision| !decision.agrees(line))
}

fn rule_of(event: &Event) -> &dyn Rule {
    match event {
        Event::Job(JobRequest::Redeem(request)) => request,
        Event::Job(JobRequest::Withdraw(request)) => request,
        Event::Job(JobRequest::Payout(request)) => request,
        Event::Job(JobRequest::Transfer(request)) => request,
        Event::Job(JobRequest::Purchase(request)) => request,
        Event::Job(JobRequest::Reserve(request)) => request,
        Event::Job(JobRequest::Commit(request)) => request,
        Event::Job(JobRequest::Release(request)) => request,
        Event::Job(JobRequest::Extend(request)) => request,
        Event::Job(JobRequest::Return(request)) => request,
        Event::Job(JobRequest::Exchange(request)) => request,
        Event::Reservation(ReservationEvent::Expire(step)) => step,
        Event::Operation(Operation::Deposit(request)) => request,
        Event::Operation(Operation::Refund(request)) => request,
        Event::Operation(Operation::Reverse(request)) => request,
        Event::Operation(Operation::CaseOpen(request)) => request,
        Event::Operation(Operation::CaseAmend(request)) => request,
        Event::Operation(Operation::Decide(request)) => request,
        Event::Operation(Operation::AccountOpen(request)) => request,
        Event::Operation(Operation::AccountClose(request)) => request,
        Event::Operation(Operation::CampaignCreate(request)) => request,
        Event::Operation(Operation::CampaignClose(request)) => request,
        Event::Operation(Operation::CampaignSetLimit(request)) => request,
        Event::Operation(Operation::InventoryCreate(request)) => request,
        Event::Operation(Operation::InventoryLoad(request)) => request,
        Event::Operation(Operation::InventoryRestock(request)) => request,
        Event::Operation(Operation::InventorySetQuantity(request)) => request,
        Event::Operation(Operation::InventoryClose(request)) => request,
        Event::Operation(Operation::InventoryCancel(request)) => request,
        Event::Operation(Operation::InventoryArchive(request)) => request,
        Event::Payout(PayoutEvent::PayoutBegin(step)) => step,
        Event::Payout(PayoutEvent::PayoutPost(step)) => step,
        Event::Payout(PayoutEvent::PayoutRefuse(step)) => step,
        Event::Payout(PayoutEvent::PayoutReview(step)) => step,
        Event::Payout(PayoutEvent::PayoutNotSent(step)) => step,
        Event::Payout(PayoutEvent::PayoutVoid(step)) => step,
    }
}
