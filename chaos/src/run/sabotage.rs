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
    /// What has to be counted before it can be seen, if not every run brings that about at once.
    shown_by: Option<&'static str>,
}

const fn planted(name: &'static str, place: Place) -> Planted {
    Planted { name, place, shown_by: None }
}

const fn shown(by: &'static str, name: &'static str, place: Place) -> Planted {
    Planted { name, place, shown_by: Some(by) }
}

const LAST: &str = "many at once for the last one";
const WITH_WORK: &str = "worker SIGKILL with work in flight";

/// Every one that can be planted: those of the programs under the names that `tollgate::sabotage` knows.
pub(super) const ALL: &[Planted] = &[
    shown("one id many times", "receipt_check_removed", Place::Programs),
    shown(LAST, "check_and_act_split", Place::Programs),
    planted("row_removed_before_effect", Place::Programs),
    planted("journal_line_skipped", Place::Programs),
    planted("balance_off_by_one", Place::Programs),
    shown(STOLEN, "fence_ignored", Place::Programs),
    shown(STOLEN, "unlock_by_plain_del", Place::Programs),
    shown(OTHER_SENT, "parked_job_taken", Place::Programs),
    shown(WITH_WORK, "trim_above_in_flight", Place::Programs),
    planted("reversal_leaves_issued", Place::Programs),
    planted("transfer_loses_half", Place::Programs),
    planted("decision_overwritten", Place::Programs),
    shown(UNHEARD, "timeout_as_not_applied", Place::Client),
    shown(UNHEARD, "retry_under_new_id", Place::Client),
    planted("stream_trimmed", Place::Redis(Deed::Trim)),
    planted("entries_removed", Place::Redis(Deed::Delete)),
    shown(WITH_WORK, "trimmed_above_in_flight", Place::Redis(Deed::TrimAboveInFlight)),
    shown(WITH_WORK, "rows_removed", Place::Redis(Deed::RemoveRows)),
];

impl Planted {
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// What has to happen in a run that shows it.
    pub(super) fn shown_by(self) -> Option<&'static str> {
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
            Place::Programs | Place::Client => None,
        }
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
