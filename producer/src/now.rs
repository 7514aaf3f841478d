//! What is there now, behind a code that says only that something is not as it was asked for.
//!
//! Reading only, after the decision, so it may have changed since: it explains and decides nothing. Whatever cannot be
//! read (an enqueuer may not see everything) goes unsaid.

use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::kinds::Fields;
use tollgate::link::Link;
use tollgate::resource::Resource;
use tollgate::resources::{self, AccountState, CampaignState, Held, Listed};
use tollgate::spelling;

use crate::resource_view::Shown;

/// How many names of resources are compared at most, in pages of so many.
const NAMES_MAX: usize = 10_000;
const PAGE: usize = 500;

/// In words, what is there of the resource that a request is for, where that explains `code`. A `replayed` creation
/// was decided long ago: what it made may have changed.
pub(crate) async fn of(
    tollgate: &Tollgate,
    link: &mut Link,
    code: Code,
    replayed: bool,
    request: &dyn Fields,
) -> Option<String> {
    match code {
        Code::CampaignNotFound => closest::<CampaignState>(tollgate, link, request.resource().id()).await,
        Code::AccountNotFound => closest::<AccountState>(tollgate, link, request.resource().id()).await,
        Code::CampaignCreated | Code::AccountOpened if !replayed => None,
        Code::CampaignCreated
        | Code::AccountOpened
        | Code::CampaignExists
        | Code::AccountExists
        | Code::Ended
        | Code::NotStarted
        | Code::CampaignLimitReached
        | Code::CustomerLimitReached
        | Code::LimitNotAsExpected
        | Code::LimitBelowIssued
        | Code::LimitAboveCodes
        | Code::AccountClosed
        | Code::CurrencyMismatch
        | Code::AccountNotEmpty
        | Code::InsufficientFunds
        | Code::BalanceLimitReached => {
            let keys = tollgate.keys(tollgate.partition_of(request.resource()));
            match request.resource() {
                Resource::Campaign(id) => {
                    state(resources::read::<CampaignState>(link, keys, std::slice::from_ref(id)).await)
                }
                Resource::Account(id) => {
                    state(resources::read::<AccountState>(link, keys, std::slice::from_ref(id)).await)
                }
            }
        }
        _ => None,
    }
}

fn state<T: Shown>(read: Result<Vec<Held<T>>, Failure>) -> Option<String> {
    let held = read.ok()?.pop()?;
    let state = held.state()?;
    Some(format!("now {}, {}", state.status(), state.text()))
}

/// The name that was perhaps meant.
pub(crate) async fn closest<T: Listed>(tollgate: &Tollgate, link: &mut Link, meant: &str) -> Option<String> {
    let mut names = Vec::new();
    for partition in tollgate.partitions().iter() {
        let mut cursor = None;
        loop {
            let page = resources::page::<T>(link, tollgate.keys(partition), cursor, PAGE).await.ok()?;
            names.extend(page.resources.into_iter().map(|(id, _)| id));
            cursor = page.next;
            if cursor.is_none() || names.len() >= NAMES_MAX {
                break;
            }
        }
    }
    let name = spelling::closest(meant, names.iter().map(String::as_str))?;
    Some(format!("did you mean {name}?"))
}
