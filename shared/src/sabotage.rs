//! Planted bugs, so that a test can see the checkers turn red: a checker that cannot fail is a defect.
//!
//! Only with the feature `sabotage`, which tests turn on and no release has. A bug is an edit of the text of
//! a script, nearly always `settle`, planted for the calls of one task ([`Sabotage::plant`]) or, for programs that a test starts, for
//! all calls of a process by the variable [`env::TOLLGATE_SABOTAGE`]. Must not be reachable in a release.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::Value;
use tokio::sync::Barrier;

use crate::env;
/// What is replaced in the text of a file, wherever it occurs, and by what.
type Edit = (&'static str, &'static str);

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A repeated id is decided again.
    ReceiptCheckRemoved,
    /// Limits and balances are checked in one call and changed by the next.
    CheckAndActSplit,
    /// Entries leave their row first; before every third effect the caller dies.
    RowRemovedBeforeEffect,
    /// One decision in seven leaves no line in the journal.
    JournalLineSkipped,
    /// A withdrawal takes one minor unit too little.
    BalanceOffByOne,
    /// A payout attempt may begin while the lease of another runs, and every fence is good.
    FenceIgnored,
    /// A parked job is taken by whichever request comes under its id.
    ParkedJobTaken,
    /// A row is whoever's that names it.
    TokenIgnored,
    /// What does not lie in the caller's row is decided all the same.
    StaleWorkerDecides,
    /// A row becomes what the caller leaves of it, whatever it was.
    RowIsWhatIsLeft,
    /// A lock is given back by whoever had it last, also when it is another's by now.
    UnlockByPlainDel,
    /// Entries leave their row by one call, and the effect is made by the next. Harmless, unless somebody dies in
    /// between: only an exploration of every order sees it for certain.
    AcknowledgeFirst,
    /// What was given back of a job is not noted in its receipt, so it is given back again.
    RefundForgotten,
    /// A reversal leaves what the campaign has issued.
    ReversalLeavesIssued,
    /// A transfer takes the money from one account and puts it on none.
    TransferLosesHalf,
    /// A decision takes the place of the one before it.
    DecisionOverwritten,
    /// The stream is trimmed up to the last entry that was taken, also above what others have in flight.
    TrimAboveInFlight,
    /// What is released, or has ended, is not on sale again.
    ReservedNotGivenBack,
    /// A seat is sold to whoever asks.
    SeatSoldTwice,
    /// What is returned stays among what the order has sold, so it comes back again.
    ReturnForgotten,
    /// An exchange leaves the old seat taken.
    ExchangeKeepsBoth,
    /// A reservation ends by the server's clock alone, whatever waits.
    ExpiresByTheClock,
    /// The last line of an order is not taken.
    OrderLineSkipped,
    /// What is reserved of a cancelled inventory can be committed all the same.
    CancelledIsCommitted,
    /// Nobody is told that what is reserved of a cancelled inventory ends.
    CancelledIsNotFound,
    /// Limits by item are not looked at.
    ItemLimitIgnored,
    /// What a customer has of an item only ever grows.
    ItemCountKept,
    /// The ticket that was handed out last is handed out again, once a unit has come back.
    TicketHandedOutTwice,
    /// What comes back keeps its ticket.
    TicketNotVoid,
}

const SECOND_PASS: &str = "refusal = leave_row() or lacks_rights() or append_journal()";

const CHECK_ONLY: &[Edit] = &[(
    SECOND_PASS,
    "do return { nonce, 'settled', digits(now_ms), digits(head.seq_before), concat(answers, ' ') } end",
)];
const ACT_ONLY: &[Edit] = &[
    ("issued + quantity > campaign.room and", "false and"),
    ("if account.available < amount then", "if false then"),
];
const ACKNOWLEDGE_ONLY: &[Edit] = &[(
    SECOND_PASS,
    "refusal = leave_row()
     if refusal then return refusal end
     write_row()
     head.seq, counts.replayed, counts.mismatched, counts.expired = head.seq_before, 0, 0, 0
     write_head()
     do return { nonce, 'settled', digits(now_ms), digits(head.seq_before), concat(answers, ' ') } end",
)];
const EFFECT_ONLY: &[Edit] = &[("if row_key == '' then return nil end", "do return nil end")];

impl Sabotage {
    /// Every one.
    pub const ALL: [Self; 29] = [
        Self::DecisionOverwritten,
        Self::TransferLosesHalf,
        Self::RefundForgotten,
        Self::ReversalLeavesIssued,
        Self::ReceiptCheckRemoved,
        Self::CheckAndActSplit,
        Self::RowRemovedBeforeEffect,
        Self::JournalLineSkipped,
        Self::BalanceOffByOne,
        Self::FenceIgnored,
        Self::ParkedJobTaken,
        Self::TokenIgnored,
        Self::StaleWorkerDecides,
        Self::RowIsWhatIsLeft,
        Self::UnlockByPlainDel,
        Self::AcknowledgeFirst,
        Self::TrimAboveInFlight,
        Self::ReservedNotGivenBack,
        Self::SeatSoldTwice,
        Self::OrderLineSkipped,
        Self::CancelledIsCommitted,
        Self::CancelledIsNotFound,
        Self::ItemLimitIgnored,
        Self::ItemCountKept,
        Self::TicketHandedOutTwice,
        Self::TicketNotVoid,
        Self::ReturnForgotten,
        Self::ExchangeKeepsBoth,
        Self::ExpiresByTheClock,
    ];

    /// The value of [`env::TOLLGATE_SABOTAGE`].
    pub fn name(self) -> &'static str {
        match self {
            Self::ReceiptCheckRemoved => "receipt_check_removed",
            Self::CheckAndActSplit => "check_and_act_split",
            Self::RowRemovedBeforeEffect => "row_removed_before_effect",
            Self::JournalLineSkipped => "journal_line_skipped",
            Self::BalanceOffByOne => "balance_off_by_one",
            Self::FenceIgnored => "fence_ignored",
            Self::ParkedJobTaken => "parked_job_taken",
            Self::TokenIgnored => "token_ignored",
            Self::StaleWorkerDecides => "stale_worker_decides",
            Self::RowIsWhatIsLeft => "row_is_what_is_left",
            Self::UnlockByPlainDel => "unlock_by_plain_del",
            Self::AcknowledgeFirst => "acknowledge_first",
            Self::RefundForgotten => "refund_forgotten",
            Self::DecisionOverwritten => "decision_overwritten",
            Self::TransferLosesHalf => "transfer_loses_half",
            Self::ReversalLeavesIssued => "reversal_leaves_issued",
            Self::TrimAboveInFlight => "trim_above_in_flight",
            Self::ReservedNotGivenBack => "reserved_not_given_back",
            Self::SeatSoldTwice => "seat_sold_twice",
            Self::OrderLineSkipped => "order_line_skipped",
            Self::CancelledIsCommitted => "cancelled_is_committed",
            Self::CancelledIsNotFound => "cancelled_is_not_found",
            Self::ItemLimitIgnored => "item_limit_ignored",
            Self::ItemCountKept => "item_count_kept",
            Self::TicketHandedOutTwice => "ticket_handed_out_twice",
            Self::TicketNotVoid => "ticket_not_void",
            Self::ExpiresByTheClock => "expires_by_the_clock",
            Self::ReturnForgotten => "return_forgotten",
            Self::ExchangeKeepsBoth => "exchange_keeps_both",
        }
    }

    /// The script that it is an edit of.
    pub(crate) fn script(self) -> &'static str {
        if self == Self::UnlockByPlainDel { "lock_release" } else { "settle" }
    }

    /// Plants the bug in every call that `future` makes itself (not in tasks it spawns).
    pub async fn plant<F: Future>(self, future: F) -> F::Output {
        PLANTED.scope(self, future).await
    }

    /// Plants the bug in every settle of this thread, in whichever task; `None` removes it.
    #[cfg(feature = "explore")]
    pub fn plant_in_thread(sabotage: Option<Self>) {
        OF_THREAD.set(sabotage);
    }

    /// The bug planted here, if any.
    pub(crate) fn planted() -> Option<Self> {
        static OF_PROCESS: OnceLock<Option<Sabotage>> = OnceLock::new();
        let of_process = || {
            let name = env::text(env::TOLLGATE_SABOTAGE)?;
            let planted = Self::ALL.into_iter().find(|sabotage| sabotage.name() == name);
            tracing::warn!(%name, known = planted.is_some(), "sabotage");
            planted
        };
        #[cfg(feature = "explore")]
        if let Some(sabotage) = OF_THREAD.get() {
            return Some(sabotage);
        }
        PLANTED.try_with(|planted| *planted).ok().or_else(|| *OF_PROCESS.get_or_init(of_process))
    }

    /// The edits that make the bug; of one that is two calls, those of the first.
    pub(crate) fn edits(self) -> &'static [Edit] {
        match self {
            Self::ReceiptCheckRemoved => &[("local receipt = receipt_of[id]", "local receipt = false")],
            Self::CheckAndActSplit => CHECK_ONLY,
            Self::RowRemovedBeforeEffect => &[(
                SECOND_PASS,
                "refusal = leave_row() or lacks_rights()
                 if refusal then return refusal end
                 write_row()
                 for _, name in ipairs({ 'acked', QUEUE_ACKED, ROWS, 'vanished' }) do
                   head[name], counts[name] = head[name] + counts[name], 0
                   call('HSET', head_key, name, digits(head[name]))
                 end
                 if left and leaving > 0 and head.acked % 3 == 0 then
                   return redis.error_reply('ERR died before the effect')
                 end
                 left = nil
                 refusal = append_journal()",
            )],
            Self::JournalLineSkipped => &[(
                "lines[line] = id",
                "if seq % 7 == 0 and line > 1 then line = line - 1 end\nlines[line] = id",
            )],
            Self::BalanceOffByOne => &[(
                "'withdrawn', request, change_account(account, seq, account.available - amount",
                "'withdrawn', request, change_account(account, seq, account.available - amount + 1",
            )],
            Self::FenceIgnored => &[
                ("if lease_runs(hold) then return 'lease_running' end", ""),
                (
                    "and digits(hold.fence) == fence and not was_taken_back(hold)",
                    "and not was_taken_back(hold)",
                ),
            ],
            Self::ParkedJobTaken => &[(
                "answer_from_known(receipt, hold, parked_row_of[id], bucket.below_floor, fingerprint)",
                "answer_from_known(receipt, nil, nil, false, fingerprint)",
            )],
            Self::TokenIgnored => &[(
                "row_of(in_flight_key, head[ROWS], row_key, token)",
                "row_of(in_flight_key, head[ROWS], row_key, match(tostring(call('HGET', in_flight_key, row_key)), '^%x*'))",
            )],
            Self::StaleWorkerDecides => &[("local is_owned = owns_all", "local is_owned = true or owns_all")],
            Self::RowIsWhatIsLeft => &[(
                "left, leaving, vanishing = left_of(row, row_key, named + #unknown, named_set, stay)",
                "left, leaving, vanishing, row.count = stay, math.max(0, row.count - #stay), 0, NUMBER_MAX",
            )],
            Self::UnlockByPlainDel => &[("if owner ~= token then", "if false then")],
            Self::AcknowledgeFirst => ACKNOWLEDGE_ONLY,
            Self::RefundForgotten => &[(
                "receipt_of[original.id], fresh[#fresh + 1], fresh[#fresh + 2] = receipt, original.id, receipt",
                "original.fresh, original.receipt = fresh, receipt",
            )],
            Self::DecisionOverwritten => &[(
                "if case.decision ~= '' then return 'already_decided', request, stands(case) end\n    if expected and expected ~= case.version then return 'version_mismatch', request, digits(case.version) end\n    if not has",
                "if expected and expected ~= case.version then return 'version_mismatch', request, digits(case.version) end\n    if not has",
            )],
            Self::TransferLosesHalf => {
                &[("change_account(to, seq, to.available + amount)", "digits(to.available + amount)")]
            }
            Self::ReversalLeavesIssued => &[(
                "change_campaign(campaign, seq, campaign.issued - quantity)",
                "change_campaign(campaign, seq, campaign.issued)",
            )],
            Self::ReservedNotGivenBack => &[(
                "change_item(inventory, line.of.item, 0, -line.quantity)",
                "change_item(inventory, line.of.item, 0, 0)",
            )],
            Self::SeatSoldTwice => &[
                ("if on_hand - reserved < quantity then is_short = true end", ""),
                (
                    "put_item(inventory, number, text, first, last, on_hand + on_hand_by * quantity,",
                    "put_item(inventory, number, text, first, last, math.max(0, on_hand + on_hand_by * quantity),",
                ),
            ],
            Self::OrderLineSkipped => &[(
                "for at = 1, #lines, 3 do\n    local quantity, number = lines[at + 1], lines[at + 2]",
                "for at = 1, #lines - 3, 3 do\n    local quantity, number = lines[at + 1], lines[at + 2]",
            )],
            Self::CancelledIsCommitted => {
                &[("if sells and inventory.status == 'cancelled' then", "if false then")]
            }
            Self::CancelledIsNotFound => &[("if inventory.open > 0 then inventory.due[''] = '0' end", "")],
            Self::ItemLimitIgnored => {
                &[("if one.more > 0 and one.held + one.more > one.most then return true end", "")]
            }
            Self::ItemCountKept => {
                &[("local after = one.held + one.more\n", "local after = one.held + math.max(0, one.more)\n")]
            }
            Self::TicketHandedOutTwice => &[(
                "local first = inventory.tickets + 1\n  inventory.tickets = inventory.tickets + units",
                "local first = inventory.tickets + (inventory.tickets > inventory.sold and 0 or 1)\n  inventory.tickets = first + units - 1",
            )],
            Self::TicketNotVoid => &[(
                "line.of.void, void = add_tickets(line.of.void, taken), add_tickets(void, taken)",
                "void = add_tickets(void, taken)",
            )],
            Self::ExpiresByTheClock => &[("math.min(as_of_ms, now_ms)", "now_ms")],
            Self::ReturnForgotten => &[(
                "line.of.sold, line.of.given = line.of.sold - line.quantity, line.of.given + line.quantity",
                "line.of.given = line.of.given + line.quantity",
            )],
            Self::ExchangeKeepsBoth => &[("change_item(inventory, from, 1 - moved, -moved)", "")],
            Self::TrimAboveInFlight => &[
                ("local minimum = settled_below(in_flight_key, head.taken)", "local minimum = head.taken"),
                ("math.floor((acked + leaving) / TRIM_EVERY) > math.floor(acked / TRIM_EVERY)", "true"),
                ("'MINID', '~', minimum", "'MINID', '=', minimum"),
            ],
        }
    }

    /// Whether it is two calls.
    pub(crate) fn is_split(self) -> bool {
        matches!(self, Self::CheckAndActSplit | Self::AcknowledgeFirst)
    }

    /// The edits of the second call, after the first has answered `checked`.
    pub(crate) fn edits_of_act(self, checked: &[Value]) -> &'static [Edit] {
        if self == Self::AcknowledgeFirst {
            return EFFECT_ONLY;
        }
        let is_refusal = |code: &[u8]| code == b"campaign_limit_reached" || code == b"insufficient_funds";
        let refused = |value: &Value| matches!(value, Value::BulkString(codes) if codes.split(|byte| *byte == b' ').any(is_refusal));
        if checked.iter().any(refused) { &[] } else { ACT_ONLY }
    }
}

#[cfg(feature = "explore")]
thread_local! {
    static OF_THREAD: std::cell::Cell<Option<Sabotage>> = const { std::cell::Cell::new(None) };
}

tokio::task_local! {
    static PLANTED: Sabotage;
    static MEETING: Arc<Barrier>;
}

/// Lets the settles of `future` wait at `meeting` between their two calls, if [`Sabotage::CheckAndActSplit`] is
/// planted: the race that it opens is then lost for certain, not only when the scheduler wills it. As many
/// settles as the barrier counts must run at the same time.
pub async fn meeting_between_check_and_act<F: Future>(meeting: Arc<Barrier>, future: F) -> F::Output {
    MEETING.scope(meeting, future).await
}

/// Waits for the others between check and act, where a meeting was called; elsewhere for long enough that another
/// process gets in between, which on a quiet machine would be left to chance.
pub(crate) async fn meet() {
    /// Many times what a settle takes.
    const GAP: Duration = Duration::from_millis(100);
    match MEETING.try_with(Arc::clone) {
        Ok(meeting) => _ = meeting.wait().await,
        Err(_) => tokio::time::sleep(GAP).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edit_finds_its_place() {
        let settle = &crate::scripts::settle::SETTLE;
        let release = &crate::scripts::lock::LOCK_RELEASE;
        let has = |script: &'static crate::scripts::script::Script, find| {
            script.files().any(|file| file.text.contains(find))
        };
        for sabotage in Sabotage::ALL {
            let script = if sabotage.script() == "settle" { settle } else { release };
            for (find, _) in sabotage.edits() {
                assert!(has(script, find), "{}: the script has no longer {find:?}", sabotage.name());
            }
        }
        assert!(ACT_ONLY.iter().chain(EFFECT_ONLY).all(|(find, _)| has(settle, find)));
    }
}
