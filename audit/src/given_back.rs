//! What was given back: each refund and reversal against the line of what it names, and against that one's receipt.
//!
//! The rules hold the sum against the lines of earlier refunds; whose the original was, and how much, only its own line
//! says. It is read here, line by line: few jobs are given back. The receipt of an original must say how much, and by which
//! line last: it is what keeps the next refund from giving more.

use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::ids::{Bucket, JobId};
use tollgate::journal::Line;
use tollgate::kinds::{Event, Fields, JobRequest, Operation, PayoutEvent, Refund, Reverse};

use super::context::AuditContext;
use super::head;
use super::read::{Field, field, judge, line_at};
use super::receipt_text::{GivenBack, Stored};
use super::report::Check;

/// Whether the original took at least as much from the same account, or is the same redemption.
fn is_covered(line: &Line, original: &Line) -> bool {
    match (&line.event, &original.event, original.code) {
        (Event::Operation(Operation::Refund(Refund { account, .. })), event, code) => {
            let taken = match (event, code) {
                (Event::Job(JobRequest::Withdraw(withdraw)), Code::Withdrawn) => withdraw.amount.minor(),
                (Event::Payout(PayoutEvent::PayoutPost(_)), Code::Paid) => {
                    original.after("spent").unwrap_or_default()
                }
                _ => return false,
            };
            let refunded = line.after("refunded").unwrap_or_default();
            let refunded = match line.code {
                // One that was refused would have been more.
                Code::RefundExceeds => {
                    return event.resource().id() == account.as_str() && is_more(line, refunded, taken);
                }
                _ => refunded,
            };
            event.resource().id() == account.as_str() && refunded <= taken
        }
        (
            Event::Operation(Operation::Reverse(Reverse {
                campaign, customer, quantity, reissue_code, ..
            })),
            Event::Job(JobRequest::Redeem(redeem)),
            Code::Redeemed,
        ) => {
            // A code that is handed out again is the one that it had: so no two redemptions that stand have one.
            let had = original.after("code_number").or(original.after("issued"));
            let returned = (*reissue_code && line.code == Code::Reversed).then_some(had).flatten();
            (campaign, customer, quantity) == (&redeem.campaign, &redeem.customer, &redeem.quantity)
                && line.after("code_number") == returned
        }
        _ => false,
    }
}

fn is_more(line: &Line, refunded: u64, taken: u64) -> bool {
    match &line.event {
        Event::Operation(Operation::Refund(refund)) => refunded.saturating_add(refund.amount.minor()) > taken,
        _ => false,
    }
}

/// The lines whose originals are to be read.
#[derive(Default)]
pub(super) struct Originals {
    waiting: Vec<Line>,
}

impl Originals {
    pub(super) fn push(&mut self, line: &Line) {
        if let Event::Operation(Operation::Refund(_) | Operation::Reverse(_)) = &line.event {
            self.waiting.push(line.clone());
        }
    }

    /// Judges the lines taken so far. Below `floor_hour` receipts may rightly be gone.
    pub(super) async fn flush(
        &mut self,
        context: &mut AuditContext<'_>,
        floor_hour: u64,
    ) -> Result<(), Failure> {
        for line in std::mem::take(&mut self.waiting) {
            judge_original(context, &line).await?;
            if let Some((of, given_back)) = GivenBack::of(&line) {
                judge_receipt(context, of, given_back, floor_hour).await?;
            }
        }
        Ok(())
    }
}

async fn judge_original(context: &mut AuditContext<'_>, line: &Line) -> Result<(), Failure> {
    let (Some(of_seq), Some(of)) = (line.after("of_seq"), of(line)) else { return Ok(()) };
    let original = line_at(context.link, context.keys, of_seq).await?.filter(|original| original.id == *of);
    if original.as_ref().is_some_and(|original| is_covered(line, original)) {
        return Ok(());
    }
    let check = match line.event {
        Event::Operation(Operation::Reverse(_)) => Check::G1,
        _ => Check::G2,
    };
    let found = original
        .map_or("no such line".to_owned(), |original| format!("{} {}", original.event.kind(), original.code));
    let (positions, what) =
        ([of_seq, line.seq], format!("job {} says otherwise of {of} than its line", line.id));
    context.findings.violation(check, line.event.resource().to_string(), &positions, line.code, found, what);
    Ok(())
}

fn of(line: &Line) -> Option<&JobId> {
    match &line.event {
        Event::Operation(Operation::Refund(refund)) => Some(&refund.of),
        Event::Operation(Operation::Reverse(reverse)) => Some(&reverse.of),
        _ => None,
    }
}

/// The receipt of what a line gave something back of must name that line, or a later one.
async fn judge_receipt(
    context: &mut AuditContext<'_>,
    of: &JobId,
    given_back: GivenBack,
    floor_hour: u64,
) -> Result<(), Failure> {
    let mut found: Field = None;
    for bucket in [of.bucket(), Bucket::Kept] {
        let reply =
            context.link.run(redis::cmd("HGET").arg(context.keys.receipts(bucket)).arg(of.as_str())).await;
        found = found.or(judge(reply)?.ok().and_then(field));
    }
    let told = found.as_deref().map(words);
    let is_told = match told {
        Some(told) => told.is_some_and(|told| told == given_back || told.seq > given_back.seq),
        None => match (of.bucket(), head::floors(context).await?) {
            (Bucket::Hour(hour), Some(head)) => hour < head.floor_hour.max(floor_hour),
            _ => false,
        },
    };
    if !is_told {
        let (expected, what) = (
            format!("… {} {}", given_back.sum, given_back.seq),
            "the receipt does not say what was given back: it could be given back again",
        );
        let found = super::read::shown(&found);
        context.findings.violation(
            Check::G4,
            format!("receipt:{of}"),
            &[given_back.seq],
            expected,
            found,
            what,
        );
    }
    Ok(())
}

/// What a receipt says was given back.
fn words(receipt: &[u8]) -> Option<GivenBack> {
    Stored::parse(receipt)?.given_back
}

/// A receipt that says so must be right: the line that it names gave that much back of this id.
pub(super) async fn verify(
    context: &mut AuditContext<'_>,
    id: &JobId,
    told: GivenBack,
    found: &Field,
) -> Result<(), Failure> {
    let line = line_at(context.link, context.keys, told.seq).await?;
    if line.as_ref().and_then(GivenBack::of) != Some((id, told)) {
        let (expected, what) = (
            "a line that gave so much back",
            "the receipt says that something was given back, and the journal does not",
        );
        let found = super::read::shown(found);
        context.findings.violation(Check::G4, format!("receipt:{id}"), &[told.seq], expected, found, what);
    }
    Ok(())
}
