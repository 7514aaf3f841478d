//! The kinds of request: what can be asked for, and what the journal says of it.
//!
//! One file each, `kinds/<kind>.rs`, beside `lua/settle/<kind>.lua`: a struct with one ordered list of fields, of which the
//! first names the resource. The envelope, the fingerprint, the journal, its export and the arguments of `settle` are
//! loops over that list. A further kind is its file and a line in the list below; CONTRIBUTING.md has the whole way.
//! Must not talk to Redis.

use std::fmt;

use crate::protocol::input::InputError;
use crate::protocol::resource::Resource;

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
mod inventory_archive;
mod inventory_cancel;
mod inventory_close;
mod inventory_create;
mod inventory_load;
mod inventory_restock;
mod inventory_set_quantity;
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
mod reserve;
mod r#return;
mod reverse;
mod shape;
mod transfer;
mod value;
mod window;
mod withdraw;

pub use account_close::AccountClose;
pub use account_open::AccountOpen;
pub use campaign_close::CampaignClose;
pub use campaign_create::CampaignCreate;
pub use campaign_set_limit::CampaignSetLimit;
pub use case_amend::CaseAmend;
pub use case_open::CaseOpen;
pub use commit::Commit;
pub use decide::Decide;
pub use deposit::Deposit;
pub use exchange::Exchange;
pub use expire::Expire;
pub use extend::Extend;
pub use inventory_archive::InventoryArchive;
pub use inventory_cancel::InventoryCancel;
pub use inventory_close::InventoryClose;
pub use inventory_create::InventoryCreate;
pub use inventory_load::InventoryLoad;
pub use inventory_restock::InventoryRestock;
pub use inventory_set_quantity::InventorySetQuantity;
pub use payout::Payout;
pub use payout_begin::PayoutBegin;
pub use payout_not_sent::PayoutNotSent;
pub use payout_post::PayoutPost;
pub use payout_refuse::PayoutRefuse;
pub use payout_review::PayoutReview;
pub use payout_void::PayoutVoid;
pub use purchase::Purchase;
pub use redeem::Redeem;
pub use refund::Refund;
pub use release::Release;
pub use reserve::Reserve;
pub use r#return::Return;
pub use reverse::Reverse;
pub use shape::{Each, Field, Spec};
use shape::{Literals, Shape};
pub use transfer::Transfer;
pub use value::{Argument, Json, Value};
pub use withdraw::Withdraw;

/// The one list of kinds: the type, the name in envelopes, scripts and the journal, and where it [enters](Entrance).
macro_rules! every_kind {
    ($then:ident) => {
        $then! {
            jobs {
                Redeem "redeem" Stream,
                Withdraw "withdraw" Stream,
                Payout "payout" Stream,
                Transfer "transfer" Stream,
                Purchase "purchase" Stream,
                Reserve "reserve" Stream,
                Commit "commit" Stream,
                Release "release" Stream,
                Extend "extend" Stream,
                Return "return" Stream,
                Exchange "exchange" Stream,
            }
            operations {
                Deposit "deposit" File,
                Refund "refund" File,
                Reverse "reverse" File,
                AccountOpen "account_open" File,
                AccountClose "account_close" Command,
                CampaignCreate "campaign_create" File,
                CampaignClose "campaign_close" Command,
                CampaignSetLimit "campaign_set_limit" Command,
                CaseOpen "case_open" File,
                CaseAmend "case_amend" Command,
                Decide "decide" File,
                InventoryCreate "inventory_create" File,
                InventoryLoad "inventory_load" Command,
                InventoryRestock "inventory_restock" Command,
                InventorySetQuantity "inventory_set_quantity" Command,
                InventoryClose "inventory_close" Command,
                InventoryCancel "inventory_cancel" Command,
                InventoryArchive "inventory_archive" Command,
            }
            payout_events {
                PayoutBegin "payout_begin" Journal,
                PayoutPost "payout_post" Journal,
                PayoutRefuse "payout_refuse" Journal,
                PayoutReview "payout_review" Journal,
                PayoutNotSent "payout_not_sent" Journal,
                PayoutVoid "payout_void" Journal,
            }
            reservation_events {
                Expire "expire" Journal,
            }
        }
    };
}
pub(crate) use every_kind;

/// Where a request of a kind enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// A queue's stream, and so a file of jobs as well.
    Stream,
    /// A file of jobs, whose sender settles it directly; or a command. It makes money or limits, gives them
    /// back, or decides: the right to XADD is not the right to print money.
    File,
    /// A command, which settles it directly.
    Command,
    /// Nowhere: it is what a worker or an operator does to a payout, and the journal has it.
    Journal,
}

/// A request, field by field.
pub trait Fields: fmt::Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> Kind;

    /// The one resource that it acts on, which decides its partition.
    fn resource(&self) -> Resource<'_>;

    /// The other resource of a kind that acts on two; both must lie in one partition.
    fn other_resource(&self) -> Option<Resource<'_>>;

    /// Calls `each` with every field and its text, in order; `None` for one that is absent.
    fn each_field<'a>(&'a self, each: Each<'_, 'a>);

    /// How many items of an inventory a script looks at for it.
    fn weight(&self) -> usize;

    /// What no single field can say, such as that a window is not empty.
    ///
    /// # Errors
    /// The field, and what it may be.
    fn check(&self) -> Result<(), InputError>;
}

/// A request that `settle` decides: a [`JobRequest`] or an [`Operation`], as a whole or one of their structs. What
/// happens to a payout is none: `scripts::payout` makes its steps.
pub trait Settle: Fields {}

macro_rules! types {
    (
        jobs { $($job:ident $job_name:literal $job_entrance:ident,)* }
        operations { $($operation:ident $operation_name:literal $operation_entrance:ident,)* }
        payout_events { $($event:ident $event_name:literal $event_entrance:ident,)* }
        reservation_events { $($end:ident $end_name:literal $end_entrance:ident,)* }
    ) => {
        /// The kinds of request; one file each in `lua/settle/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Kind {
            $($job,)* $($operation,)* $($event,)* $($end,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Kind] = &[$(Kind::$job,)* $(Kind::$operation,)* $(Kind::$event,)* $(Kind::$end,)*];

            /// The name in envelopes, scripts and the journal.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$job => $job_name,)*
                    $(Self::$operation => $operation_name,)*
                    $(Self::$event => $event_name,)*
                    $(Self::$end => $end_name,)*
                }
            }

            /// Where it enters.
            pub fn entrance(self) -> Entrance {
                match self {
                    $(Self::$job => Entrance::$job_entrance,)*
                    $(Self::$operation => Entrance::$operation_entrance,)*
                    $(Self::$event => Entrance::$event_entrance,)*
                    $(Self::$end => Entrance::$end_entrance,)*
                }
            }

            /// Its fields.
            pub fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$job => &<$job as Shape>::SPEC,)*
                    $(Self::$operation => &<$operation as Shape>::SPEC,)*
                    $(Self::$event => &<$event as Shape>::SPEC,)*
                    $(Self::$end => &<$end as Shape>::SPEC,)*
                }
            }
        }

        $(types!(@kind $job);)*
        $(types!(@kind $operation);)*
        $(types!(@kind $event);)*
        $(types!(@kind $end);)*
        types!(@enum
            /// What a job may ask for: what a stream may carry.
            JobRequest { $($job)* }
        );
        types!(@enum
            /// What is settled directly, by whoever may run scripts.
            Operation { $($operation)* }
        );
        types!(@enum
            /// What happened to a payout after its money was put on hold: a worker's or an operator's step.
            PayoutEvent { $($event)* }
        );
        types!(@enum
            /// What happened to a reservation by itself: a worker's step.
            ReservationEvent { $($end)* }
        );
        impl Settle for JobRequest {}
        impl Settle for Operation {}
        impl Settle for Request {}
        $(impl Settle for $job {})*
        $(impl Settle for $operation {})*

        $(impl From<$job> for Request { fn from(request: $job) -> Self { Self::Job(request.into()) } })*
        $(impl From<$operation> for Request { fn from(request: $operation) -> Self { Self::Operation(request.into()) } })*
        $(impl From<$job> for Event { fn from(request: $job) -> Self { Self::Job(request.into()) } })*
        $(impl From<$operation> for Event { fn from(request: $operation) -> Self { Self::Operation(request.into()) } })*
        $(impl From<$event> for Event { fn from(event: $event) -> Self { Self::Payout(event.into()) } })*
        $(impl From<$end> for Event { fn from(event: $end) -> Self { Self::Reservation(event.into()) } })*

        impl Request {
            /// Reads JSON of a kind that may stand in a file; `None` for any other.
            pub(crate) fn from_json(
                kind: Kind,
                literal: Literals<'_>,
            ) -> Result<Option<Self>, InputError> {
                if !matches!(kind.entrance(), Entrance::Stream | Entrance::File) {
                    return Ok(None);
                }
                Ok(match kind {
                    $(Kind::$job => Some($job::from_json(literal)?.into()),)*
                    $(Kind::$operation => Some($operation::from_json(literal)?.into()),)*
                    $(Kind::$event)|* $(| Kind::$end)* => None,
                })
            }
        }

        impl Event {
            /// Reads the words of a journal line; `None` if they are no such request.
            pub(crate) fn from_words(kind: Kind, words: &[&str]) -> Option<Self> {
                Some(match kind {
                    $(Kind::$job => $job::from_words(words)?.into(),)*
                    $(Kind::$operation => $operation::from_words(words)?.into(),)*
                    $(Kind::$event => $event::from_words(words)?.into(),)*
                    $(Kind::$end => $end::from_words(words)?.into(),)*
                })
            }
        }
    };
    (@kind $type:ident) => {
        impl Fields for $type {
            fn kind(&self) -> Kind {
                Kind::$type
            }

            fn resource(&self) -> Resource<'_> {
                Shape::resource(self)
            }

            fn other_resource(&self) -> Option<Resource<'_>> {
                Shape::other_resource(self)
            }

            fn each_field<'a>(&'a self, each: Each<'_, 'a>) {
                Shape::each_field(self, each);
            }

            fn weight(&self) -> usize {
                Shape::weight(self)
            }

            fn check(&self) -> Result<(), InputError> {
                Shape::check(self)
            }
        }
    };
    (@enum $(#[$doc:meta])* $enum:ident { $($type:ident)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum $enum {
            $($type($type),)*
        }

        $(impl From<$type> for $enum { fn from(request: $type) -> Self { Self::$type(request) } })*

        types!(@fields $enum { $($type)* });
    };
    (@fields $enum:ident { $($variant:ident)* }) => {
        impl Fields for $enum {
            fn kind(&self) -> Kind {
                match self { $(Self::$variant(request) => Fields::kind(request),)* }
            }

            fn resource(&self) -> Resource<'_> {
                match self { $(Self::$variant(request) => Fields::resource(request),)* }
            }

            fn other_resource(&self) -> Option<Resource<'_>> {
                match self { $(Self::$variant(request) => Fields::other_resource(request),)* }
            }

            fn each_field<'a>(&'a self, each: Each<'_, 'a>) {
                match self { $(Self::$variant(request) => Fields::each_field(request, each),)* }
            }

            fn weight(&self) -> usize {
                match self { $(Self::$variant(request) => Fields::weight(request),)* }
            }

            fn check(&self) -> Result<(), InputError> {
                match self { $(Self::$variant(request) => Fields::check(request),)* }
            }
        }
    };
}

every_kind!(types);

/// What a file of jobs may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// It is sent to a queue.
    Job(JobRequest),
    /// Whoever reads the file settles it.
    Operation(Operation),
}
types!(@fields Request { Job Operation });

/// What a line of the journal says was asked for, or happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A job.
    Job(JobRequest),
    /// An operation.
    Operation(Operation),
    /// A step of a payout.
    Payout(PayoutEvent),
    /// A step of a reservation.
    Reservation(ReservationEvent),
}
types!(@fields Event { Job Operation Payout Reservation });

macro_rules! wholes {
    ($($part:ident in $whole:ident as $variant:ident;)*) => {$(
        impl From<$part> for $whole {
            fn from(part: $part) -> Self {
                Self::$variant(part)
            }
        }
    )*};
}
wholes! {
    JobRequest in Request as Job;
    Operation in Request as Operation;
    JobRequest in Event as Job;
    Operation in Event as Operation;
    PayoutEvent in Event as Payout;
    ReservationEvent in Event as Reservation;
}

impl From<Request> for Event {
    fn from(request: Request) -> Self {
        match request {
            Request::Job(request) => Self::Job(request),
            Request::Operation(operation) => Self::Operation(operation),
        }
    }
}

impl Event {
    /// Whether it begins a payout or is a step of one.
    pub fn is_of_payout(&self) -> bool {
        matches!(self, Self::Job(JobRequest::Payout(_)) | Self::Payout(_))
    }
}

impl Kind {
    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The names of the kinds that `is_meant`, for a message: `redeem, withdraw or payout`.
    pub fn names(is_meant: impl Fn(Kind) -> bool) -> String {
        let names: Vec<&str> =
            Self::ALL.iter().copied().filter(|kind| is_meant(*kind)).map(Self::name).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => names.concat(),
        }
    }

    /// Whether a stream may carry it.
    pub fn is_queueable(self) -> bool {
        self.entrance() == Entrance::Stream
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The fields that a request has, each with its text, in order.
pub fn fields_of(request: &dyn Fields) -> Vec<(&'static Field, String)> {
    let mut fields = Vec::new();
    request.each_field(&mut |field, text| fields.extend(text.map(|text| (field, text.into_owned()))));
    fields
}

/// The first field in which two requests differ; `None` if they mean the same.
pub fn first_difference(ours: &dyn Fields, theirs: &dyn Fields) -> Option<&'static str> {
    // To whoever sends them, a payout is a withdrawal with a destination.
    match (ours.kind(), theirs.kind()) {
        (ours, theirs) if ours == theirs => {}
        (Kind::Withdraw, Kind::Payout) | (Kind::Payout, Kind::Withdraw) => {}
        _ => return Some("kind"),
    }
    let list =
        |request| fields_of(request).into_iter().map(|(field, text)| (field.name, text)).collect::<Vec<_>>();
    let (ours, theirs) = (list(ours), list(theirs));
    let missing_in = |these: &[(&'static str, String)], those: &[(&'static str, String)]| {
        these.iter().find(|field| !those.contains(field)).map(|(name, _)| *name)
    };
    missing_in(&ours, &theirs).or_else(|| missing_in(&theirs, &ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::envelope::Envelope;
    use crate::protocol::ids::{CampaignId, JobId};
    use crate::protocol::job::Job;
    use crate::protocol::quantity::{Limit, Quantity};

    #[test]
    fn the_first_difference_is_named_also_where_a_field_is_absent() {
        let base = CampaignCreate::new(CampaignId::parse("c").unwrap(), Limit::new(10).unwrap());
        assert_eq!(first_difference(&base, &base), None);
        let limited = CampaignCreate { per_customer: Quantity::new(1), ..base.clone() };
        assert_eq!(first_difference(&base, &limited), Some("per_customer"));
        assert_eq!(first_difference(&limited, &base), Some("per_customer"));
        let close = CampaignClose { campaign: base.campaign.clone() };
        assert_eq!(first_difference(&base, &close), Some("kind"));
    }

    #[test]
    fn the_journal_and_json_read_what_each_kind_writes() {
        for &kind in Kind::ALL {
            let spec = kind.spec();
            let words: Vec<&str> = spec.fields.iter().map(|field| example(field.name)).collect();
            let event = Event::from_words(kind, &words).unwrap_or_else(|| panic!("{kind}: {words:?}"));
            assert_eq!((event.kind(), event.resource().id()), (kind, words[0]));
            let mut again = Vec::new();
            event.each_field(&mut |_, text| again.push(text.unwrap_or_default().into_owned()));
            assert_eq!(again, words, "{kind}");
            assert_eq!(Event::from_words(kind, &words[1..]), None, "{kind}");
            if let Event::Job(request) = event {
                let job = Job { id: JobId::parse("j").unwrap(), at: None, request };
                assert_eq!(Envelope::decode_job(job.encode().as_bytes()), Ok(job), "{kind}");
            }
        }
    }

    fn example(field: &str) -> &'static str {
        match field {
            "quantity" | "items" | "units" | "amount" | "balance" | "limit" | "per_customer" | "expected"
            | "codes_count" | "attempt" | "fence" | "expect_version" => "7",
            "hold_for_ms" | "as_of_ms" => "600000",
            "opens_at" => "1000",
            "closes_at" => "2000",
            "currency" => "EUR",
            "to" => "x2",
            "codes" | "stock" => "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "lines" => "{7 x1}",
            "reissue_code" => "true",
            _ => "x1",
        }
    }
}
