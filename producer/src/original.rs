//! What a refund or a reversal is of, in words: beside what came of it.
//!
//! Reading only, after the decision: it explains and decides nothing. What cannot be read goes unsaid.

use tollgate::Tollgate;
use tollgate::amount::money;
use tollgate::code::Code;
use tollgate::journal::{self, Line};
use tollgate::kinds::{Event, Fields, JobRequest, Operation, PayoutEvent};
use tollgate::link::Link;
use tollgate::resource::Resource;
use tollgate::resources::{self, AccountState, Held};

/// Where `code` wants it, what there is to say of the original; `seq` is the line that decided the request.
pub(crate) async fn of(
    tollgate: &Tollgate,
    link: &mut Link,
    code: Code,
    seq: Option<u64>,
    request: &Operation,
) -> Option<String> {
    match (request, code) {
        (Operation::Refund(_), Code::OriginalExpired) => Some(
            "find it with `job history` and see in `account statement` what was refunded of it; `account deposit` puts \
             the rest on the account"
                .to_owned(),
        ),
        (Operation::Reverse(_), Code::OriginalExpired) => Some(
            "find it with `job history`; `campaign set-limit` gives the campaign as much more to issue".to_owned(),
        ),
        (Operation::Refund(refund), Code::Refunded | Code::RefundExceeds) => {
            let line = line_at(tollgate, link, request, seq?).await?;
            let original = line_at(tollgate, link, request, line.after("of_seq")?).await?;
            if code == Code::RefundExceeds {
                let left = taken(&original)?.saturating_sub(line.after("refunded")?);
                let keys = tollgate.keys(tollgate.partition_of(request.resource()));
                let states = resources::read::<AccountState>(link, keys, std::slice::from_ref(&refund.account));
                let Some(Held::State(state)) = states.await.ok()?.pop() else { return None };
                return Some(format!("{} of it is left", money(u128::from(left), state.currency.code())));
            }
            let is_paid = matches!(original.event, Event::Payout(PayoutEvent::PayoutPost(_)));
            let words = "the payout was paid, so its money is with the bank: this is other money";
            is_paid.then(|| words.to_owned())
        }
        _ => None,
    }
}

/// What the original took from its account.
fn taken(original: &Line) -> Option<u64> {
    match &original.event {
        Event::Job(JobRequest::Withdraw(withdraw)) => Some(withdraw.amount.minor()),
        _ => original.after("spent"),
    }
}

async fn line_at(tollgate: &Tollgate, link: &mut Link, request: &Operation, seq: u64) -> Option<Line> {
    let resource: Resource<'_> = request.resource();
    journal::line_at(link, tollgate.keys(tollgate.partition_of(resource)), seq).await.ok()?.ok()?
}
