//! What a check finds, and how much of it is shown.

use serde::Serialize;

/// How much evidence of one kind is shown: the shortest first.
const SHOWN: usize = 4;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::run) struct Finding {
    /// The check's number, as docs/chaos.md lists them.
    pub(in crate::run) check: u8,
    /// The guarantee that is broken.
    pub(in crate::run) guarantee: &'static str,
    pub(in crate::run) what: String,
    /// Ids, journal positions, and events around them.
    pub(in crate::run) evidence: Vec<String>,
    /// How many more of this kind there are.
    pub(in crate::run) more: usize,
}

/// Collects what one check finds.
pub(super) struct Found {
    check: u8,
    guarantee: &'static str,
    list: Vec<(String, Vec<String>)>,
}

impl Found {
    pub(super) fn new(check: u8, guarantee: &'static str) -> Self {
        Self { check, guarantee, list: Vec::new() }
    }

    pub(super) fn add(&mut self, what: impl Into<String>, evidence: Vec<String>) {
        self.list.push((what.into(), evidence));
    }

    pub(super) fn done(mut self) -> Vec<Finding> {
        // The shortest evidence says the most.
        self.list.sort_by_key(|(_, evidence)| evidence.len());
        let more = self.list.len().saturating_sub(SHOWN);
        let Self { check, guarantee, list } = self;
        list.into_iter()
            .take(SHOWN)
            .map(|(what, evidence)| Finding { check, guarantee, what, evidence, more })
            .collect()
    }
}
