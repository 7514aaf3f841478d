//! One look at Redis: everything that the screen shows, and the share of refusals among the newest decisions.

use std::collections::BTreeMap;

use tollgate::Tollgate;
use tollgate::code::Class;
use tollgate::journal;
use tollgate::parked::{self, PAGE_MAX};
use tollgate::scripts::ScriptError;

use crate::commands::worker;
use crate::overview::Overview;

/// Journal entries that one look reads in each partition: at more decisions than these hold, the share of
/// refusals is an estimate from them.
const ENTRIES_SAMPLED: usize = 20;

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
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sampled {
    pub(super) decided: u64,
    pub(super) refused: u64,
}

impl Reading {
    /// Reads everything; `seqs` are the heads at the look before, one for each partition, and become the ones now.
    pub(super) async fn read(tollgate: &Tollgate, seqs: &mut Vec<u64>) -> Result<Self, ScriptError> {
        let overview = Overview::read(tollgate).await?;
        let workers = worker::read(tollgate, &overview).await?;
        let mut link = tollgate.server().link().await?;
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        let mut reasons_complete = true;
        let mut sampled = Sampled::default();
        for (partition, counts) in tollgate.partitions().iter().zip(&overview.partitions) {
            let keys = tollgate.keys(partition);
            if counts.counts.dead > 0 {
                let page = parked::dead_page(&mut link, keys, 0, PAGE_MAX).await?;
                reasons_complete &= counts.counts.dead <= page.len() as u64;
                for dead in page {
                    let reason = dead.row.map_or_else(|| "(damaged)".to_owned(), |row| row.reason);
                    *reasons.entry(reason).or_default() += 1;
                }
            }
            let head = counts.counts.decided;
            let before = seqs.get(usize::from(partition.number())).copied();
            if let Some(before) = before.filter(|before| *before < head) {
                // Damage is the audit's to tell; here it only goes uncounted.
                let entries =
                    journal::read(&mut link, keys, before + 1, ENTRIES_SAMPLED).await?.unwrap_or_default();
                for line in entries.iter().filter_map(|entry| entry.lines().ok()).flatten() {
                    if line.seq > before && line.seq <= head {
                        sampled.decided += 1;
                        sampled.refused += u64::from(line.code.class() == Class::Refused);
                    }
                }
            }
        }
        *seqs = overview.partitions.iter().map(|partition| partition.counts.decided).collect();
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(Self { overview, workers, reasons, reasons_complete, sampled })
    }
}
