//! One look at Redis: everything that the screen shows, and the share of refusals among the newest decisions.

use std::collections::BTreeMap;

use tollgate::Tollgate;
use tollgate::code::Class;
use tollgate::journal;
use tollgate::link::Link;
use tollgate::parked::{self, PAGE_MAX};
use tollgate::partition::Partition;

use crate::commands::worker;
use crate::each::Failed;
use crate::overview::Overview;
use crate::problems::{self, Problem};

/// Journal entries that one look reads in each partition: at more decisions than these hold, the share of
/// refusals is an estimate from them.
const ENTRIES_SAMPLED: usize = 20;

/// The end of each partition's journal.
pub(super) type Seqs = BTreeMap<u16, u64>;

/// What one look found.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) overview: Overview,
    pub(super) workers: Vec<worker::Row>,
    /// Dead jobs by reason, the most first.
    pub(super) reasons: Vec<(String, u64)>,
    /// Whether every dead job is counted in `reasons`, or only the oldest of each partition.
    pub(super) reasons_complete: bool,
    /// Of the decisions since the look before, how many were looked at, and how many of them were refusals.
    pub(super) sampled: Sampled,
    /// What is wrong, worst first.
    pub(super) problems: Vec<Problem>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sampled {
    pub(super) decided: u64,
    pub(super) refused: u64,
}

impl Reading {
    /// Reads everything; `seqs` are the heads at the look before, and become the ones now.
    pub(super) async fn read(tollgate: &Tollgate, seqs: &mut Seqs) -> anyhow::Result<Self> {
        let overview = Overview::read(tollgate).await?;
        let (workers, _) = worker::read(tollgate, &overview).await?;
        let mut link = tollgate.server().link().await?;
        let problems = problems::of(&overview, &workers, Vec::new());
        let mut reading = Self {
            overview,
            workers,
            reasons: Vec::new(),
            reasons_complete: true,
            sampled: Sampled::default(),
            problems,
        };
        let mut reasons = BTreeMap::new();
        // What cannot be read in one partition is the headline's to tell.
        let mut failed = Failed::default();
        for partition in tollgate.partitions().iter() {
            let read = reading.partition(tollgate, partition, &mut link, seqs, &mut reasons).await;
            failed.note(partition, read)?;
        }
        let ends = reading.overview.partitions.iter();
        seqs.extend(ends.map(|partition| (partition.partition, partition.counts.decided)));
        reading.reasons = reasons.into_iter().collect();
        reading.reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(reading)
    }

    async fn partition(
        &mut self,
        tollgate: &Tollgate,
        partition: Partition,
        link: &mut Link,
        seqs: &Seqs,
        reasons: &mut BTreeMap<String, u64>,
    ) -> anyhow::Result<()> {
        let keys = tollgate.keys(partition);
        let counts = self.overview.partitions.iter().find(|counts| counts.partition == partition.number());
        let Some(counts) = counts.map(|counts| counts.counts) else { return Ok(()) };
        if counts.dead > 0 {
            let page = parked::dead_page(link, keys, 0, PAGE_MAX).await?;
            self.reasons_complete &= counts.dead <= page.len() as u64;
            for dead in page {
                let reason = dead.row.map_or_else(|| "(damaged)".to_owned(), |row| row.reason);
                *reasons.entry(reason).or_default() += 1;
            }
        }
        let head = counts.decided;
        let before = seqs.get(&partition.number()).copied();
        if let Some(before) = before.filter(|before| *before < head) {
            // Damage is the audit's to tell; here it only goes uncounted.
            let entries = journal::read(link, keys, before + 1, ENTRIES_SAMPLED).await?.unwrap_or_default();
            for line in entries.iter().filter_map(|entry| entry.lines().ok()).flatten() {
                if line.seq > before && line.seq <= head {
                    self.sampled.decided += 1;
                    self.sampled.refused += u64::from(line.code.class() == Class::Refused);
                }
            }
        }
        Ok(())
    }
}
