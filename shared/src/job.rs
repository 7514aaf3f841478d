//! What can be asked for: a job, its request, and the request's meaning field by field.
//!
//! Everything that changes coupons or money is a [`Request`]; `settle` decides it. Must not talk to Redis.

use std::borrow::Cow;
use std::fmt;

use crate::amount::{Amount, Currency, NUMBER_MAX};
use crate::code::Code;
use crate::ids::{AccountId, CampaignId, CustomerId, Destination, JobId};
use crate::input::InputError;
use crate::instant::Instant;

/// One unit of work: an id, what it asks for, and when it may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The same id has one effect, however often it arrives.
    pub id: JobId,
    /// Not before this instant, by the server's clock.
    pub at: Option<Instant>,
    /// What is asked for.
    pub request: Request,
}

/// What a job or an admin operation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are named by what they are; their rules are in their types
pub enum Request {
    Redeem {
        campaign: CampaignId,
        customer: CustomerId,
        quantity: Quantity,
    },
    Withdraw {
        account: AccountId,
        amount: Amount,
        currency: Currency,
    },
    Payout {
        account: AccountId,
        amount: Amount,
        currency: Currency,
        destination: Destination,
    },
    /// A step of a payout, as the journal has it. `scripts::payout` calls it; no envelope carries it.
    PayoutStep {
        account: AccountId,
        step: PayoutStep,
    },
    Deposit {
        account: AccountId,
        amount: Amount,
        currency: Currency,
    },
    AccountOpen {
        account: AccountId,
        balance: Amount,
        currency: Currency,
    },
    AccountClose {
        account: AccountId,
    },
    CampaignCreate(CampaignTerms),
    CampaignClose {
        campaign: CampaignId,
    },
    CampaignSetLimit {
        campaign: CampaignId,
        limit: Limit,
        expected: Option<Limit>,
    },
}

/// The terms under which a campaign issues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignTerms {
    /// Its name.
    pub campaign: CampaignId,
    /// How much it may issue in all.
    pub limit: Limit,
    /// How much one customer may redeem; no bound if absent.
    pub per_customer: Option<Quantity>,
    /// When it issues.
    pub window: Window,
    /// The uploaded codes of which each redemption takes one.
    pub codes: Option<CodesName>,
}

/// What happened to a payout after its money was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutStep {
    /// An attempt to pay began, or would have, had the retry rule allowed it.
    Begin {
        /// How many attempts have begun.
        attempt: u64,
        /// The fence of the latest.
        fence: u64,
        /// The name of the gateway that it goes, or went, to.
        gateway: String,
        /// Under which key.
        idempotency_key: String,
    },
    /// Proof of payment arrived.
    Post {
        /// Who says so: `gateway` or `operator`.
        source: String,
        /// The gateway's words, or the operator's reason.
        note: String,
    },
    /// The gateway refused the attempt of this fence.
    Refuse {
        /// The attempt's fence.
        fence: u64,
        /// The gateway's words.
        note: String,
    },
    /// The attempt of this fence got an answer that only a person can judge.
    Review {
        /// The attempt's fence.
        fence: u64,
        /// The gateway's words.
        note: String,
    },
    /// The attempt of this fence has sent nothing: its begin is taken back.
    NotSent {
        /// The attempt's fence.
        fence: u64,
        /// Why no connection came about.
        note: String,
    },
    /// The money goes back.
    Void {
        /// Who says so: `operator` or `expiry`.
        source: String,
        /// The operator's reason.
        note: String,
    },
}

/// The kinds of request; one file each in `lua/settle/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Redeem,
    Withdraw,
    Payout,
    PayoutBegin,
    PayoutPost,
    PayoutRefuse,
    PayoutReview,
    PayoutNotSent,
    PayoutVoid,
    Deposit,
    AccountOpen,
    AccountClose,
    CampaignCreate,
    CampaignClose,
    CampaignSetLimit,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 15] = [
        Kind::Redeem,
        Kind::Withdraw,
        Kind::Payout,
        Kind::PayoutBegin,
        Kind::PayoutPost,
        Kind::PayoutRefuse,
        Kind::PayoutReview,
        Kind::PayoutNotSent,
        Kind::PayoutVoid,
        Kind::Deposit,
        Kind::AccountOpen,
        Kind::AccountClose,
        Kind::CampaignCreate,
        Kind::CampaignClose,
        Kind::CampaignSetLimit,
    ];

    /// The name in envelopes, scripts and the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redeem => "redeem",
            Self::Withdraw => "withdraw",
            Self::Payout => "payout",
            Self::PayoutBegin => "payout_begin",
            Self::PayoutPost => "payout_post",
            Self::PayoutRefuse => "payout_refuse",
            Self::PayoutReview => "payout_review",
            Self::PayoutNotSent => "payout_not_sent",
            Self::PayoutVoid => "payout_void",
            Self::Deposit => "deposit",
            Self::AccountOpen => "account_open",
            Self::AccountClose => "account_close",
            Self::CampaignCreate => "campaign_create",
            Self::CampaignClose => "campaign_close",
            Self::CampaignSetLimit => "campaign_set_limit",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a stream may carry it. The others create money or limits: they are settled directly, by
    /// whoever may run scripts, so that the right to XADD is not the right to print money.
    pub fn is_queueable(self) -> bool {
        matches!(self, Self::Redeem | Self::Withdraw | Self::Payout)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a request spends from or acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Resource<'a> {
    Campaign(&'a CampaignId),
    Account(&'a AccountId),
}

impl<'a> Resource<'a> {
    /// The id, without its type.
    pub fn id(self) -> &'a str {
        match self {
            Self::Campaign(id) => id.as_str(),
            Self::Account(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(id) => write!(f, "campaign:{id}"),
            Self::Account(id) => write!(f, "account:{id}"),
        }
    }
}

impl Request {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Redeem { .. } => Kind::Redeem,
            Self::Withdraw { .. } => Kind::Withdraw,
            Self::Payout { .. } => Kind::Payout,
            Self::PayoutStep { step, .. } => match step {
                PayoutStep::Begin { .. } => Kind::PayoutBegin,
                PayoutStep::Post { .. } => Kind::PayoutPost,
                PayoutStep::Refuse { .. } => Kind::PayoutRefuse,
                PayoutStep::Review { .. } => Kind::PayoutReview,
                PayoutStep::NotSent { .. } => Kind::PayoutNotSent,
                PayoutStep::Void { .. } => Kind::PayoutVoid,
            },
            Self::Deposit { .. } => Kind::Deposit,
            Self::AccountOpen { .. } => Kind::AccountOpen,
            Self::AccountClose { .. } => Kind::AccountClose,
            Self::CampaignCreate(_) => Kind::CampaignCreate,
            Self::CampaignClose { .. } => Kind::CampaignClose,
            Self::CampaignSetLimit { .. } => Kind::CampaignSetLimit,
        }
    }

    /// Whether it begins a payout or is a step of one.
    pub fn is_payout(&self) -> bool {
        matches!(self, Self::Payout { .. } | Self::PayoutStep { .. })
    }

    /// The one resource it acts on, which decides its partition.
    pub fn resource(&self) -> Resource<'_> {
        match self {
            Self::Redeem { campaign, .. }
            | Self::CampaignCreate(CampaignTerms { campaign, .. })
            | Self::CampaignClose { campaign }
            | Self::CampaignSetLimit { campaign, .. } => Resource::Campaign(campaign),
            Self::Withdraw { account, .. }
            | Self::Payout { account, .. }
            | Self::PayoutStep { account, .. }
            | Self::Deposit { account, .. }
            | Self::AccountOpen { account, .. }
            | Self::AccountClose { account } => Resource::Account(account),
        }
    }

    /// Calls `field` with the name and text of every field that carries meaning, in a fixed order, absent
    /// ones left out. The fingerprint and the journal are both made from this list: adding a field at the
    /// end of a kind leaves old fingerprints as they were.
    pub fn each_field<'a>(&'a self, mut field: impl FnMut(&'static str, Cow<'a, str>)) {
        let number = |number: u64| Cow::Owned(number.to_string());
        match self {
            Self::Redeem { campaign, customer, quantity } => {
                field("campaign", campaign.as_str().into());
                field("customer", customer.as_str().into());
                field("quantity", number(quantity.get()));
            }
            Self::Withdraw { account, amount, currency } | Self::Deposit { account, amount, currency } => {
                field("account", account.as_str().into());
                field("amount", number(amount.minor()));
                field("currency", currency.code().into());
            }
            Self::Payout { account, amount, currency, destination } => {
                field("account", account.as_str().into());
                field("amount", number(amount.minor()));
                field("currency", currency.code().into());
                field("destination", destination.as_str().into());
            }
            Self::PayoutStep { account, step } => {
                field("account", account.as_str().into());
                match step {
                    PayoutStep::Begin { attempt, fence, gateway, idempotency_key } => {
                        field("attempt", number(*attempt));
                        field("fence", number(*fence));
                        field("gateway", gateway.as_str().into());
                        field("idempotency_key", idempotency_key.as_str().into());
                    }
                    PayoutStep::Refuse { fence, note }
                    | PayoutStep::Review { fence, note }
                    | PayoutStep::NotSent { fence, note } => {
                        field("fence", number(*fence));
                        field("note", note.as_str().into());
                    }
                    PayoutStep::Post { source, note } | PayoutStep::Void { source, note } => {
                        field("source", source.as_str().into());
                        field("note", note.as_str().into());
                    }
                }
            }
            Self::AccountOpen { account, balance, currency } => {
                field("account", account.as_str().into());
                field("balance", number(balance.minor()));
                field("currency", currency.code().into());
            }
            Self::AccountClose { account } => field("account", account.as_str().into()),
            Self::CampaignClose { campaign } => field("campaign", campaign.as_str().into()),
            Self::CampaignCreate(terms) => {
                field("campaign", terms.campaign.as_str().into());
                field("limit", number(terms.limit.get()));
                terms.per_customer.iter().for_each(|most| field("per_customer", number(most.get())));
                terms.window.opens_at.iter().for_each(|at| field("opens_at", number(at.ms())));
                terms.window.closes_at.iter().for_each(|at| field("closes_at", number(at.ms())));
                terms.codes.iter().for_each(|codes| field("codes", codes.as_str().into()));
            }
            Self::CampaignSetLimit { campaign, limit, expected } => {
                field("campaign", campaign.as_str().into());
                field("limit", number(limit.get()));
                expected.iter().for_each(|limit| field("expected", number(limit.get())));
            }
        }
    }

    /// The first field in which two requests differ; `None` if they mean the same.
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        // To whoever sends them, a payout is a withdrawal with a destination.
        match (self.kind(), other.kind()) {
            (ours, theirs) if ours == theirs => {}
            (Kind::Withdraw, Kind::Payout) | (Kind::Payout, Kind::Withdraw) => {}
            _ => return Some("kind"),
        }
        let list = |request: &Self| {
            let mut fields = Vec::new();
            request.each_field(|name, value| fields.push((name, value.into_owned())));
            fields
        };
        let (ours, theirs) = (list(self), list(other));
        let missing_in = |these: &[(&'static str, String)], those: &[(&'static str, String)]| {
            these.iter().find(|field| !those.contains(field)).map(|(name, _)| *name)
        };
        missing_in(&ours, &theirs).or_else(|| missing_in(&theirs, &ours))
    }
}

macro_rules! number_type {
    ($(#[$doc:meta])* $type:ident, $least:literal, $code:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(u64);

        impl $type {
            /// Takes a number in range.
            pub fn new(number: u64) -> Option<Self> {
                ($least..=NUMBER_MAX).contains(&number).then_some(Self(number))
            }

            /// Reads plain decimal digits; the error names `field`.
            pub fn parse(field: &str, text: &str) -> Result<Self, InputError> {
                let plain = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = if plain { text.parse().ok().and_then(Self::new) } else { None };
                number.ok_or_else(|| InputError::new($code, field, text, $rule))
            }

            /// The number.
            pub fn get(self) -> u64 {
                self.0
            }
        }
    };
}

number_type!(
    /// How many coupons: 1 to 2^53 - 1.
    Quantity, 1, Code::QuantityOutOfRange, "a whole number from 1 to 9007199254740991"
);
number_type!(
    /// How many coupons at most: 0 to 2^53 - 1.
    Limit, 0, Code::LimitOutOfRange, "a whole number from 0 to 9007199254740991"
);

impl Quantity {
    /// The quantity that is meant when none is given.
    pub const ONE: Self = Self(1);
}

/// When a campaign issues: from `opens_at` on, until just before `closes_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    opens_at: Option<Instant>,
    closes_at: Option<Instant>,
}

impl Window {
    /// A window that is not empty.
    pub fn new(opens_at: Option<Instant>, closes_at: Option<Instant>) -> Result<Self, InputError> {
        match (opens_at, closes_at) {
            (Some(opens), Some(closes)) if closes <= opens => Err(InputError::new(
                Code::WindowEmpty,
                "closes_at",
                &closes.to_string(),
                &format!("after opens_at, {opens}"),
            )),
            _ => Ok(Self { opens_at, closes_at }),
        }
    }

    /// The first instant at which the campaign issues.
    pub fn opens_at(self) -> Option<Instant> {
        self.opens_at
    }

    /// The first instant at which it no longer issues.
    pub fn closes_at(self) -> Option<Instant> {
        self.closes_at
    }
}

/// The name of an uploaded list of codes: the SHA-256 of its content in lower-case hex (see `codes`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodesName(String);

impl CodesName {
    /// Takes 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_also_where_a_field_is_absent() {
        let terms = CampaignTerms {
            campaign: CampaignId::parse("c").unwrap(),
            limit: Limit::new(10).unwrap(),
            per_customer: None,
            window: Window::default(),
            codes: None,
        };
        let base = Request::CampaignCreate(terms.clone());
        assert_eq!(base.first_difference(&base), None);
        let limited = CampaignTerms { per_customer: Quantity::new(1), ..terms.clone() };
        assert_eq!(base.first_difference(&Request::CampaignCreate(limited.clone())), Some("per_customer"));
        assert_eq!(Request::CampaignCreate(limited).first_difference(&base), Some("per_customer"));
        let close = Request::CampaignClose { campaign: terms.campaign };
        assert_eq!(base.first_difference(&close), Some("kind"));
    }

    #[test]
    fn numbers_are_plain_digits_in_range() {
        assert_eq!(Quantity::parse("quantity", "1").unwrap(), Quantity::ONE);
        for bad in ["0", "-1", "1.5", "1e3", "9007199254740992", "", "+1", "99999999999999999999"] {
            assert_eq!(Quantity::parse("quantity", bad).unwrap_err().code, Code::QuantityOutOfRange, "{bad}");
        }
        assert_eq!(Limit::parse("limit", "0").unwrap().get(), 0);
    }
}
