//! Planted bugs, to see the verdict turn red: a checker that cannot fail is a defect. Only with the cargo feature
//! `sabotage`, which no release has.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::redis;
use super::site::Site;

/// Where a bug is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the programs: an edit of a script, by `TOLLGATE_SABOTAGE`.
    Programs,
    /// In the client of the run.
    Client,
    /// Somebody does this to Redis again and again.
    Redis(&'static [&'static str]),
}

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planted {
    name: &'static str,
    place: Place,
}

/// Every one that can be planted: those of the programs under the names that `tollgate::sabotage` knows.
pub(super) const ALL: &[Planted] = &[
    Planted { name: "receipt_check_removed", place: Place::Programs },
    Planted { name: "check_and_act_split", place: Place::Programs },
    Planted { name: "acknowledge_before_effect", place: Place::Programs },
    Planted { name: "journal_line_skipped", place: Place::Programs },
    Planted { name: "balance_off_by_one", place: Place::Programs },
    Planted { name: "fence_ignored", place: Place::Programs },
    Planted { name: "parked_job_taken", place: Place::Programs },
    Planted { name: "timeout_as_not_applied", place: Place::Client },
    Planted { name: "retry_under_new_id", place: Place::Client },
    Planted { name: "stream_trimmed", place: Place::Redis(&["XTRIM", "KEY", "MAXLEN", "0"]) },
    Planted { name: "entries_removed", place: Place::Redis(&["DEL", "KEY"]) },
];

impl Planted {
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// What the programs are told.
    pub(super) fn in_programs(self) -> Option<&'static str> {
        (self.place == Place::Programs).then_some(self.name)
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

const EVERY: Duration = Duration::from_millis(400);

/// Does to Redis what a bug would do to it, until the end.
pub(super) async fn run(site: Arc<Site>, mut ends: watch::Receiver<bool>) {
    let Some(Planted { place: Place::Redis(words), .. }) = site.planted else { return };
    loop {
        tokio::select! {
            _ = ends.wait_for(|end| *end) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let Ok(mut link) = redis::link(&site.direct()).await else { continue };
        for stream in redis::keys(&mut link, "*:queue:*").await.unwrap_or_default() {
            let words: Vec<&str> =
                words.iter().map(|word| if *word == "KEY" { &stream } else { *word }).collect();
            let _: Result<(), _> = redis::ask(&mut link, &words).await;
        }
    }
}
