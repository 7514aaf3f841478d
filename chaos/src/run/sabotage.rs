//! Planted bugs, to see the verdict turn red: a checker that cannot fail is a defect. Only with the cargo feature
//! `sabotage`, which no release has.

use super::counted::{OTHER_SENT, STOLEN, UNHEARD};

/// Where a bug is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the programs: an edit of a script, by `TOLLGATE_SABOTAGE`.
    Programs,
    /// In the client of the run.
    Client,
    /// Somebody does this to the job streams in Redis again and again.
    Redis(Deed),
    /// In whoever moves slots of a cluster.
    Slots,
}

/// What a bug does to a job stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Cut down to nothing.
    Trim,
    /// Deleted.
    Delete,
    /// Cut above what is in flight.
    TrimAboveInFlight,
    /// Its rows in flight are removed, as if what lies in them were settled.
    RemoveRows,
}

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planted {
    name: &'static str,
    place: Place,
    /// What has to be counted how often before it is seen, if not every run brings that about at once.
    shown_by: Option<(&'static str, u64)>,
}

const fn planted(name: &'static str, place: Place, shown_by: (&'static str, u64)) -> Planted {
    Planted { name, place, shown_by: Some(shown_by) }
}

const fn in_programs(name: &'static str, shown_by: (&'static str, u64)) -> Planted {
    planted(name, Place::Programs, shown_by)
}

const LAST: (&str, u64) = ("many at once for the last one", 1);
const WITH_WORK: (&str, u64) = ("worker SIGKILL with work in flight", 1);
/// Where one job in a few shows it.
const DECIDED: (&str, u64) = ("decided", 500);

/// Every one that can be planted: those of the programs under the names that `tollgate::sabotage` knows.
pub(super) const ALL: &[Planted] = &[
    in_programs("receipt_check_removed", ("one id many times", 1)),
    in_programs("check_and_act_split", LAST),
    in_programs("row_removed_before_effect", DECIDED),
    in_programs("journal_line_skipped", DECIDED),
    in_programs("balance_off_by_one", DECIDED),
    in_programs("fence_ignored", (STOLEN, 1)),
    in_programs("unlock_by_plain_del", (STOLEN, 1)),
    in_programs("parked_job_taken", (OTHER_SENT, 1)),
    in_programs("trim_above_in_flight", WITH_WORK),
    // Each of what they give back, move or leave shows it, but for a refund: one in two is of what was given back.
    in_programs("refund_forgotten", ("told refunded", 6)),
    in_programs("reversal_leaves_issued", ("told reversed", 1)),
    in_programs("transfer_loses_half", ("told transferred", 2)),
    // More than the eight cases that there are.
    in_programs("decision_overwritten", ("told decided", 9)),
    in_programs("reserved_not_given_back", ("sent release", 15)),
    in_programs("order_line_skipped", ("sent purchase", 30)),
    in_programs("exchange_keeps_both", ("sent exchange", 20)),
    // Far more than there are seats, which are half of what is asked for.
    in_programs("seat_sold_twice", ("sent purchase", 120)),
    // Every second is of what was returned.
    in_programs("return_forgotten", ("sent return", 40)),
    planted("timeout_as_not_applied", Place::Client, (UNHEARD, 1)),
    planted("retry_under_new_id", Place::Client, (UNHEARD, 1)),
    Planted { name: "stream_trimmed", place: Place::Redis(Deed::Trim), shown_by: None },
    Planted { name: "entries_removed", place: Place::Redis(Deed::Delete), shown_by: None },
    planted("trimmed_above_in_flight", Place::Redis(Deed::TrimAboveInFlight), WITH_WORK),
    planted("rows_removed", Place::Redis(Deed::RemoveRows), WITH_WORK),
    planted("half_slot_lost", Place::Slots, ("slot half moved", 1)),
];

impl Planted {
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// What has to happen in a run that shows it.
    pub(super) fn shown_by(self) -> Option<(&'static str, u64)> {
        self.shown_by
    }

    /// What the programs are told.
    pub(super) fn in_programs(self) -> Option<&'static str> {
        (self.place == Place::Programs).then_some(self.name)
    }

    /// What is done to the job streams.
    pub(super) fn in_redis(self) -> Option<Deed> {
        match self.place {
            Place::Redis(deed) => Some(deed),
            Place::Programs | Place::Client | Place::Slots => None,
        }
    }

    /// Whether what is moved of a slot is lost.
    pub(super) fn in_slots(self) -> bool {
        self.place == Place::Slots
    }

    /// What the client is told.
    pub(super) fn in_client(self) -> Option<&'static str> {
        (self.place == Place::Client).then_some(self.name)
    }

    #[cfg(feature = "sabotage")]
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let names = || ALL.iter().map(|planted| planted.name).collect::<Vec<_>>().join(", ");
        ALL.iter()
            .find(|planted| planted.name == text)
            .copied()
            .ok_or_else(|| format!("must be one of {}", names()))
    }
}
