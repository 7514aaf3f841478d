//! Every code an outcome, a refusal or a dead letter can carry: one table, in order of precedence.
//!
//! Codes are stable: scripts answer them by name, receipts store them, users branch on them.
//! `docs/codes.md` is this table in words; a test compares the two.

use std::fmt;

/// What a code means for whoever sent the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The effect happened, once; final.
    Applied,
    /// Begun and not over: the money is held. The same id answers with how far it is.
    Pending,
    /// Decided against; final for this id.
    Refused,
    /// The id is older than the receipts: not executed now, may have been before.
    Expired,
    /// The request itself is wrong; nothing was stored: fix it and send it again.
    Invalid,
    /// Cannot be decided until someone repairs something; in a stream: kept in dead.
    Undecidable,
    /// Definitely nothing happened; send the same id again later.
    NotApplied,
}

impl Class {
    /// The name in `--json` and in the docs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::Undecidable => "undecidable",
            Self::NotApplied => "not_applied",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a receipt is written for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// In a receipt and a journal line: the same id gets the same answer.
    Yes,
    /// Nowhere: the same id may be sent again.
    No,
    /// Nowhere, unless too many jobs are dead for it: then one that comes is refused for good.
    PastBound,
}

macro_rules! codes {
    ($($variant:ident $name:literal $class:ident $stored:ident $meaning:literal;)+) => {
        /// A stable code; listed in order of precedence (the first cause that holds is the one told).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
        }

        impl Code {
            /// Every code, in order of precedence.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The name in scripts, receipts, JSON and messages.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means for the sender.
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)+ }
            }

            /// Whether a receipt holds it.
            pub fn stored(self) -> Stored {
                match self { $(Self::$variant => Stored::$stored,)+ }
            }

            /// One line for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// The code of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    // The partition, before any job of the call is looked at.
    Overloaded "overloaded" NotApplied No "memory or queue is above its limit; wait and send the same id again";
    RedisRefused "redis_refused" NotApplied No "Redis refused the command before it started";
    Uninitialised "uninitialised" NotApplied No "the partition has no head: run init, or restore what was lost";
    PartitionFrozen "partition_frozen" NotApplied No "an operator has to look at this partition first";
    CorruptPartition "corrupt_partition" NotApplied No "head, receipts, journal, stream or group of the partition are damaged";
    // The envelope, before it is a job.
    PayloadTooLarge "payload_too_large" Invalid No "the envelope is longer than 64 KiB";
    MalformedJson "malformed_json" Invalid No "the envelope is not one JSON object";
    RepeatedField "repeated_field" Invalid No "a field is given twice";
    UnknownField "unknown_field" Invalid No "a field that this kind does not have";
    UnsupportedVersion "unsupported_version" Invalid No "an envelope of a version that this release does not know";
    MissingField "missing_field" Invalid No "a field that this kind needs is not there";
    WrongType "wrong_type" Invalid No "a field holds another type than it should";
    UnknownKind "unknown_kind" Invalid No "no such kind of job";
    KindNotQueueable "kind_not_queueable" Invalid No "an admin operation, which is settled directly and never queued";
    IdMalformed "id_malformed" Invalid No "an id that is empty, too long or holds a control character or a brace";
    IdReserved "id_reserved" Invalid No "a job id that begins with create/ or entry/";
    NameMalformed "name_malformed" Invalid No "a name of a queue, a namespace or an option with a character that is not allowed";
    AmountZero "amount_zero" Invalid No "an amount of nothing";
    AmountNegative "amount_negative" Invalid No "an amount below zero";
    AmountOutOfRange "amount_out_of_range" Invalid No "an amount that is not a whole number of minor units up to 2^53 - 1";
    QuantityOutOfRange "quantity_out_of_range" Invalid No "a quantity that is not a whole number from 1 to 2^53 - 1, or not 1 where codes are handed out";
    LimitOutOfRange "limit_out_of_range" Invalid No "a limit that is not a whole number up to 2^53 - 1";
    VersionOutOfRange "version_out_of_range" Invalid No "a version that is not a whole number from 1 to 2^53 - 1";
    SameAccount "same_account" Invalid No "a transfer from an account to itself";
    CurrencyUnknown "currency_unknown" Invalid No "not an ISO 4217 currency code";
    TimeMalformed "time_malformed" Invalid No "not an RFC 3339 time with an offset";
    DurationOutOfRange "duration_out_of_range" Invalid No "a time to hold something that is not from 1 millisecond to 90 days";
    WindowEmpty "window_empty" Invalid No "a campaign or inventory that would close before it opens";
    NoLines "no_lines" Invalid No "an order of no lines";
    TooManyLines "too_many_lines" Invalid No "an order of more than 64 lines";
    SameItem "same_item" Invalid No "an exchange of an item for itself";
    OptionsMalformed "options_malformed" Invalid No "options that are none, more than 16, or one of them twice";
    ReasonMalformed "reason_malformed" Invalid No "a reason that is empty, longer than 200 bytes (of a payout: 100) or holds a control character";
    CodesInUse "codes_in_use" Invalid No "another campaign or inventory hands out some of these codes";
    // The id.
    WrongPartition "wrong_partition" Undecidable No "the job lies in the stream of another partition than its resource";
    TwoPartitions "two_partitions" Invalid No "the two accounts lie in two partitions, and nothing acts on both in one step: withdraw from one, and deposit on the other";
    IdMismatch "id_mismatch" Refused No "this id was used for another request";
    IdExpired "id_expired" Expired No "the id is below the receipts floor: not executed now, may have been before";
    IdFromFuture "id_from_future" Invalid No "the id's own time is more than 24 hours ahead of the server";
    NotScheduled "not_scheduled" Refused No "nothing of this id is scheduled, so nothing was cancelled";
    // The resource.
    CorruptState "corrupt_state" Undecidable No "the resource's keys hold something they cannot hold; repair them, then retry";
    Cancelled "cancelled" Refused Yes "cancelled while it waited for its time";
    CampaignExists "campaign_exists" Refused Yes "a campaign of this id exists";
    CodesIncomplete "codes_incomplete" Invalid No "the codes are not all there: upload them again";
    CampaignNotFound "campaign_not_found" Invalid PastBound "no campaign of this id";
    InventoryExists "inventory_exists" Refused Yes "an inventory of this id exists";
    InventoryNotFound "inventory_not_found" Invalid PastBound "no inventory of this id";
    StockIncomplete "stock_incomplete" Invalid No "the inventory's items are not all there: load them again";
    TooFewCodes "too_few_codes" Invalid No "the inventory has fewer codes than the list has units";
    AlreadyLoaded "already_loaded" Refused Yes "the inventory has its items already";
    NotLoaded "not_loaded" Refused Yes "the inventory has no items yet";
    ItemNotFound "item_not_found" Invalid PastBound "the inventory has no item of this id";
    OrderNotFound "order_not_found" Invalid PastBound "no order of this id under the inventory";
    InventoryArchived "inventory_archived" Refused Yes "the inventory is archived: its orders are not there any more";
    InventoryOpen "inventory_open" Refused Yes "the inventory is not closed or cancelled";
    ReservationsOpen "reservations_open" Refused Yes "something of the inventory is reserved still";
    InventoryCancelled "inventory_cancelled" Refused Yes "the inventory is cancelled: nothing of it is sold, and its reservations end";
    Ended "ended" Refused Yes "the campaign or inventory is closed or its time is over";
    NotStarted "not_started" Refused Yes "the campaign or inventory has not opened yet";
    SoldOut "sold_out" Refused Yes "an item has not enough left";
    QuantityNotAsExpected "quantity_not_as_expected" Refused Yes "the quantity on hand is another than the caller expected";
    QuantityBelowReserved "quantity_below_reserved" Refused Yes "more is reserved than the new quantity on hand";
    QuantityLimitReached "quantity_limit_reached" Refused Yes "the units of the inventory would pass 2^53 - 1";
    ReservationExpired "reservation_expired" Refused Yes "the reservation's time was over, and what was reserved is on sale again";
    AlreadyCommitted "already_committed" Refused Yes "what was reserved is sold already";
    AlreadyReleased "already_released" Refused Yes "what was reserved is on sale again already";
    NotReserved "not_reserved" Refused Yes "not so many of an item are reserved by this order";
    AlreadyReturned "already_returned" Refused Yes "what the order had is on sale again already";
    NotSold "not_sold" Refused Yes "not so many of an item are sold by this order";
    NotInOrder "not_in_order" Refused Yes "nothing of the item is reserved or sold by this order";
    CampaignLimitReached "campaign_limit_reached" Refused Yes "the campaign has not enough left";
    CustomerLimitReached "customer_limit_reached" Refused Yes "the customer has not enough left in this campaign or inventory, or of an item";
    LimitNotAsExpected "limit_not_as_expected" Refused Yes "the limit is another than the caller expected";
    LimitBelowIssued "limit_below_issued" Refused Yes "more has been issued than the new limit allows";
    LimitAboveCodes "limit_above_codes" Refused Yes "there are fewer codes than that";
    AccountExists "account_exists" Refused Yes "an account of this id exists";
    AccountNotFound "account_not_found" Invalid PastBound "no account of this id";
    CaseExists "case_exists" Refused Yes "a case of this id exists";
    CaseNotFound "case_not_found" Invalid PastBound "no case of this id";
    AlreadyDecided "already_decided" Refused Yes "the case was decided before, and that decision stands";
    VersionMismatch "version_mismatch" Refused Yes "the case has another version than the caller read";
    NotAnOption "not_an_option" Refused Yes "the case has no such option";
    // What is given back, and of what.
    OriginalExpired "original_expired" Invalid No "the receipt of what it names was dropped: how much of it was given back cannot be told any more";
    OriginalNotFound "original_not_found" Invalid No "nothing of the id that it names is decided here";
    PayoutNotPaid "payout_not_paid" Refused No "the payout is not paid: as long as it is open, its money can only be given back by voiding it";
    NothingToGiveBack "nothing_to_give_back" Invalid No "what it names took nothing, or nothing that can be given back so";
    OriginalMismatch "original_mismatch" Invalid No "what it names is somebody else's, or another quantity";
    NoCode "no_code" Invalid No "the campaign hands out no codes, so there is none to hand out again";
    AlreadyReversed "already_reversed" Refused Yes "the redemption was reversed before";
    AccountClosed "account_closed" Refused Yes "the account is closed";
    CurrencyMismatch "currency_mismatch" Refused Yes "the account holds another currency";
    AccountNotEmpty "account_not_empty" Refused Yes "the account still holds money";
    InsufficientFunds "insufficient_funds" Refused Yes "the account has not enough available";
    BalanceLimitReached "balance_limit_reached" Refused Yes "the balance would pass 2^53 - 1 minor units";
    RefundExceeds "refund_exceeds" Refused Yes "more than is left of what it refunds";
    // A payout's steps: what they answer without changing anything.
    PayoutNotOpen "payout_not_open" Refused No "no payout of this id is open";
    AlreadyPosted "already_posted" Refused No "the payout has been paid";
    AlreadyVoided "already_voided" Refused No "the payout's money went back to the account";
    LeaseRunning "lease_running" Refused No "an attempt's lease is still running; try again after it";
    Fenced "fenced" Refused No "a newer attempt has begun; this one may not decide any more";
    HoldExpired "hold_expired" Refused No "the hold's time is over; no attempt may begin";
    ReservationNotOpen "reservation_not_open" Refused No "nothing of the reservation is reserved any more, or its time is not over";
    HoldNotExpired "hold_not_expired" Refused No "the hold has time left, or an attempt has begun";
    // A payout on its way.
    Held "held" Pending Yes "the money is held for the payout";
    Paying "paying" Pending Yes "an attempt to pay has begun; its outcome is not known yet";
    NeedsReview "needs_review" Pending Yes "nobody can know by itself whether it was paid: an operator posts or voids";
    PayoutRefused "payout_refused" Refused Yes "the gateway refused; the money is back on the account";
    PayoutVoided "payout_voided" Refused Yes "the payout was given up; the money is back on the account";
    PaidAfterVoid "paid_after_void" Applied Yes "the gateway paid after the money had gone back: an alarm";
    Paid "paid" Applied Yes "the gateway has paid";
    // What a worker found.
    WorkerLost "worker_lost" Undecidable No "the job was alone with three workers that died";
    // Done.
    Redeemed "redeemed" Applied Yes "the coupon is issued";
    Transferred "transferred" Applied Yes "the money is on the other account";
    Withdrawn "withdrawn" Applied Yes "the money is withdrawn";
    Refunded "refunded" Applied Yes "the money is back on the account";
    Reversed "reversed" Applied Yes "the coupons are void, and the campaign may issue as many again";
    Deposited "deposited" Applied Yes "the money is on the account";
    AccountOpened "account_opened" Applied Yes "the account is open";
    Closed "closed" Applied Yes "the account, campaign or inventory is closed by this request";
    CampaignCreated "campaign_created" Applied Yes "the campaign exists";
    LimitSet "limit_set" Applied Yes "the campaign has the new limit";
    Purchased "purchased" Applied Yes "all lines are sold to the customer";
    Reserved "reserved" Applied Yes "all lines are set aside for the customer";
    Committed "committed" Applied Yes "what was reserved is sold";
    Released "released" Applied Yes "what was reserved is on sale again";
    Extended "extended" Applied Yes "the reservation ends later";
    Returned "returned" Applied Yes "what was sold is on sale again";
    Exchanged "exchanged" Applied Yes "the order has the one item instead of the other";
    InventoryCreated "inventory_created" Applied Yes "the inventory exists";
    InventoryLoaded "inventory_loaded" Applied Yes "the inventory has its items, and sells";
    Restocked "restocked" Applied Yes "the units are on hand";
    QuantitySet "quantity_set" Applied Yes "the item has the new quantity on hand";
    CaseOpened "case_opened" Applied Yes "the case is open";
    CaseAmended "case_amended" Applied Yes "the case is changed, and has a new version";
    Decided "decided" Applied Yes "the case is decided, for good";
    SaleCancelled "sale_cancelled" Applied Yes "the inventory is cancelled by this request: nothing of it is sold any more";
    Archived "archived" Applied Yes "the inventory is archived by this request";
}

impl Code {
    /// What it means where it is the code of a decision.
    pub fn class_of_decision(self) -> Class {
        match self.class() {
            decided @ (Class::Applied | Class::Pending) => decided,
            _ => Class::Refused,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_decided_codes_are_the_stored_ones() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(*code));
            // Only what was decided is stored.
            let decided = matches!(code.class(), Class::Applied | Class::Refused | Class::Pending);
            assert!(code.stored() != Stored::Yes || decided, "{code}");
        }
        assert_eq!(Code::from_name("nonsense"), None);
    }
}
