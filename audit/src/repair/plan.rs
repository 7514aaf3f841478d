//! What a repair is to do: how keys differ from what the journal proves, and the writes that mend it.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::failure::Failure;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::scripts::repair::Write;

use super::found::Found;
use crate::proof::RowFields;

/// One difference between a key and what the journal proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, without the namespace's tag.
    pub key: String,
    /// The field or member.
    pub field: String,
    /// What is there.
    pub found: Option<String>,
    /// What must be.
    pub proved: Option<String>,
}

/// What is to be done.
pub(super) struct Plan<'a> {
    pub(super) keys: &'a Keys,
    pub(super) changes: Vec<Change>,
    pub(super) writes: Vec<Write>,
    /// What a key is filled with first that is then moved over another: one in each round.
    pub(super) staged: Option<BTreeMap<String, String>>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(keys: &'a Keys) -> Self {
        Self { keys, changes: Vec::new(), writes: Vec::new(), staged: None }
    }

    pub(super) fn differ(&mut self, key: &str, field: &str, found: Option<&String>, proved: Option<&String>) {
        if found != proved {
            let [found, proved] = [found, proved].map(|value| value.cloned());
            self.changes.push(Change { key: key.to_owned(), field: field.to_owned(), found, proved });
        }
    }

    /// Compares all fields of a hash; answers whether any differs.
    pub(super) fn compare(&mut self, shown: &str, found: &Found, proved: Option<&RowFields>) -> bool {
        let before = self.changes.len();
        let proved: BTreeMap<String, String> = proved.into_iter().flatten().cloned().collect();
        match found {
            Found::OtherType(name) => {
                self.differ(shown, "type", Some(name), proved.is_empty().then_some(name))
            }
            Found::Hash(fields) => {
                let names: BTreeSet<&String> = fields.keys().chain(proved.keys()).collect();
                for name in names {
                    self.differ(shown, name, fields.get(name), proved.get(name));
                }
            }
        }
        self.changes.len() > before
    }

    /// Compares whether a member is in a sorted set; what its score is decides itself.
    pub(super) async fn member(
        &mut self,
        link: &mut Link,
        key: String,
        shown: &str,
        member: String,
        proved: Option<u64>,
    ) -> Result<(), Failure> {
        let found: Option<String> = link.query(redis::cmd("ZSCORE").arg(&key).arg(&member)).await?;
        let (is_there, must_be) = (found.map(|_| "listed".to_owned()), proved.map(|_| "listed".to_owned()));
        self.differ(shown, &member, is_there.as_ref(), must_be.as_ref());
        match (is_there, proved) {
            (None, Some(score)) => self.writes.push(Write::Add { key, score, member }),
            (Some(_), None) => self.writes.push(Write::Remove { key, member }),
            _ => {}
        }
        Ok(())
    }

    /// Compares a hash of any size. One that differs is filled aside and moved into its place, unless another is in this round.
    pub(super) async fn whole(
        &mut self,
        link: &mut Link,
        (key, shown): (String, &str),
        proved: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let found = Found::read(link, &key).await?;
        let fields: RowFields = proved.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
        if !self.compare(shown, &found, Some(&fields)) || self.staged.is_some() {
            return Ok(());
        }
        if proved.is_empty() {
            self.writes.push(Write::Hash(key, Vec::new()));
        } else {
            self.writes.push(Write::Rename { from: self.keys.repair(), to: key });
            self.staged = Some(proved.clone());
        }
        Ok(())
    }
}
