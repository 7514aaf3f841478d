//! What requests spend from and act on. Must not talk to Redis.

use std::fmt;

use crate::protocol::ids::{AccountId, CampaignId, CaseId, InventoryId};

/// What a request spends from or acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Resource<'a> {
    Campaign(&'a CampaignId),
    Account(&'a AccountId),
    Inventory(&'a InventoryId),
    Case(&'a CaseId),
}

impl<'a> Resource<'a> {
    /// The id, without its type.
    pub fn id(self) -> &'a str {
        match self {
            Self::Campaign(id) => id.as_str(),
            Self::Account(id) => id.as_str(),
            Self::Inventory(id) => id.as_str(),
            Self::Case(id) => id.as_str(),
        }
    }
}

impl<'a> From<&'a CampaignId> for Resource<'a> {
    fn from(id: &'a CampaignId) -> Self {
        Self::Campaign(id)
    }
}

impl<'a> From<&'a AccountId> for Resource<'a> {
    fn from(id: &'a AccountId) -> Self {
        Self::Account(id)
    }
}

impl<'a> From<&'a InventoryId> for Resource<'a> {
    fn from(id: &'a InventoryId) -> Self {
        Self::Inventory(id)
    }
}

impl<'a> From<&'a CaseId> for Resource<'a> {
    fn from(id: &'a CaseId) -> Self {
        Self::Case(id)
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(id) => write!(f, "campaign:{id}"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Inventory(id) => write!(f, "inventory:{id}"),
            Self::Case(id) => write!(f, "case:{id}"),
        }
    }
}
