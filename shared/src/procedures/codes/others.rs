//! Lists of other campaigns and inventories that hand out some of the same codes, looked for once, at upload.
//!
//! No index is kept: the partition's other lists are read, each once, in pages. The very same list is looked for
//! in every partition, since its name is its content; a list that shares only some codes is found in the
//! partition of the new campaign or inventory alone. Reads only, so two that are created at the same moment may miss
//! each other.

use std::collections::{HashMap, HashSet};

use super::list::Codes;
use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::codes_name::CodesName;
use crate::protocol::keys::Keys;
use crate::protocol::partition::Partition;
use crate::protocol::resource::Resource;
use crate::reads::inventory::InventoryState;
use crate::reads::resources::{self, CampaignState, Listed};
use crate::tollgate::Tollgate;

/// Campaigns in one page, and codes in one reply.
const PAGE: usize = 500;
const CODES_PER_REPLY: usize = 5_000;

/// What else hands out some of the codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// Its list is the same.
    List {
        /// What does, as `campaign summer` or `inventory concert`.
        with: String,
    },
    /// Some of its codes are the same.
    Codes {
        /// Likewise.
        with: String,
        /// How many.
        count: u64,
        /// Where the first of them is in the new list, from 1 (repeated lines do not count).
        first: u64,
    },
}

impl Codes {
    /// Another campaign or inventory than this one that hands out some of these codes, open or closed.
    ///
    /// # Errors
    /// Redis's.
    pub async fn shared_with(
        &self,
        tollgate: &Tollgate,
        link: &mut Link,
        own: Resource<'_>,
    ) -> Result<Option<Shared>, Failure> {
        let (name_of_own, own) = (named(own), tollgate.partition_of(own));
        let mut others = Vec::new();
        for partition in tollgate.partitions().iter() {
            let keys = tollgate.keys(partition);
            let has_list: bool = link.query(redis::cmd("EXISTS").arg(keys.codes(self.name()))).await?;
            if partition != own && !has_list {
                continue;
            }
            for (other, name) in
                lists(link, keys).await?.into_iter().filter(|(other, _)| *other != name_of_own)
            {
                if name == *self.name() {
                    return Ok(Some(Shared::List { with: other }));
                }
                if partition == own {
                    others.push((other, name));
                }
            }
        }
        self.overlap(link, tollgate, own, others).await
    }

    async fn overlap(
        &self,
        link: &mut Link,
        tollgate: &Tollgate,
        partition: Partition,
        others: Vec<(String, CodesName)>,
    ) -> Result<Option<Shared>, Failure> {
        let keys = tollgate.keys(partition);
        let mut numbers: HashMap<&str, u64> = HashMap::new();
        let mut read = HashSet::new();
        for (with, name) in others {
            // A list that several share is read once.
            if !read.insert(name.clone()) {
                continue;
            }
            if numbers.is_empty() {
                numbers = self.codes.iter().map(String::as_str).zip(1..).collect();
            }
            let (mut count, mut first) = (0, u64::MAX);
            let total: u64 = link.query(redis::cmd("HLEN").arg(keys.codes(&name))).await?;
            for from in (1..=total).step_by(CODES_PER_REPLY) {
                let mut command = redis::cmd("HMGET");
                command.arg(keys.codes(&name));
                (from..=total.min(from + CODES_PER_REPLY as u64 - 1)).for_each(|n| _ = command.arg(n));
                let codes: Vec<Option<Vec<u8>>> = link.query(&command).await?;
                for code in codes.iter().flatten() {
                    let Some(number) = std::str::from_utf8(code).ok().and_then(|code| numbers.get(code))
                    else {
                        continue;
                    };
                    count += 1;
                    first = first.min(*number);
                }
            }
            if count > 0 {
                return Ok(Some(Shared::Codes { with, count, first }));
            }
        }
        Ok(None)
    }
}

/// `campaign summer`, `inventory concert`.
fn named(resource: Resource<'_>) -> String {
    resource.to_string().replacen(':', " ", 1)
}

/// What of a partition hands out codes, with the names of the lists. What cannot be read hands out none until it is
/// repaired.
async fn lists(link: &mut Link, keys: &Keys) -> Result<Vec<(String, CodesName)>, Failure> {
    let campaigns = lists_of::<CampaignState>(link, keys, |state| state.codes.clone()).await?;
    let inventories = lists_of::<InventoryState>(link, keys, |state| state.codes.clone()).await?;
    Ok(campaigns.into_iter().chain(inventories).collect())
}

async fn lists_of<T: Listed>(
    link: &mut Link,
    keys: &Keys,
    codes: impl Fn(&T) -> Option<CodesName>,
) -> Result<Vec<(String, CodesName)>, Failure> {
    let mut lists = Vec::new();
    let mut cursor = None;
    loop {
        let page = resources::page::<T>(link, keys, cursor, PAGE).await?;
        for (id, held) in page.resources {
            let name = held.state().and_then(&codes);
            lists.extend(name.map(|name| (format!("{}{id}", T::PREFIX).replacen(':', " ", 1), name)));
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(lists);
        }
    }
}
