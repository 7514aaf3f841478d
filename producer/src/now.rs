//! What is there now, behind a code that says only that something is not as it was asked for.
//!
//! Reading only, after the decision, so it may have changed since: it explains and decides nothing. Whatever cannot be
//! read (an enqueuer may not see everything) goes unsaid.

use tollgate::Tollgate;
use tollgate::case::CaseState;
use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::ids::{CustomerId, InventoryId, ItemId, JobId};
use tollgate::inventory::{self, InventoryState, ItemState};
use tollgate::kinds::Fields;
use tollgate::lines::Lines;
use tollgate::link::Link;
use tollgate::orders::{self, Order};
use tollgate::quantity::Quantity;
use tollgate::resource::Resource;
use tollgate::resources::{self, AccountState, CampaignState, Held, Listed};
use tollgate::spelling;

use crate::each::in_each;
use crate::missing;
use crate::resource_view::Shown;

/// How many names of resources are compared at most, in pages of so many.
const NAMES_MAX: usize = 10_000;
const PAGE: usize = 500;

/// In words, what is there of the resource that a request is for, where that explains `code`, or how what is `missing` was
/// perhaps meant. A `replayed` creation was decided long ago: what it made may have changed.
pub(crate) async fn of(
    tollgate: &Tollgate,
    link: &mut Link,
    (code, missing): (Code, Option<&str>),
    replayed: bool,
    request: &dyn Fields,
) -> Option<String> {
    match code {
        Code::CampaignNotFound => closest::<CampaignState>(tollgate, missing?).await,
        Code::AccountNotFound => closest::<AccountState>(tollgate, missing?).await,
        Code::InventoryNotFound => closest::<InventoryState>(tollgate, missing?).await,
        Code::CaseNotFound => closest::<CaseState>(tollgate, missing?).await,
        Code::ItemNotFound | Code::SoldOut => {
            let (Resource::Inventory(id), Some(lines)) = (request.resource(), lines_of(request)) else {
                return None;
            };
            of_items(tollgate, link, id, &lines).await.ok().flatten()
        }
        Code::QuantityNotAsExpected | Code::QuantityBelowReserved => {
            of_quantity(tollgate, link, request).await.ok().flatten()
        }
        Code::NotReserved | Code::NotSold => of_order(tollgate, link, code, request).await.ok().flatten(),
        Code::CustomerLimitReached if let Resource::Inventory(id) = request.resource() => {
            of_limits(tollgate, link, id, request).await.ok().flatten()
        }
        Code::CampaignCreated
        | Code::AccountOpened
        | Code::InventoryCreated
        | Code::InventoryLoaded
        | Code::CaseOpened
            if !replayed =>
        {
            None
        }
        Code::CampaignCreated
        | Code::InventoryCreated
        | Code::InventoryLoaded
        | Code::InventoryExists
        | Code::AlreadyLoaded
        | Code::NotLoaded
        | Code::QuantityLimitReached
        | Code::AccountOpened
        | Code::CampaignExists
        | Code::CaseOpened
        | Code::CaseExists
        | Code::CaseAmended
        | Code::AlreadyDecided
        | Code::VersionMismatch
        | Code::NotAnOption
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
                Resource::Inventory(id) => {
                    state(resources::read::<InventoryState>(link, keys, std::slice::from_ref(id)).await)
                }
                Resource::Case(id) => {
                    state(resources::read::<CaseState>(link, keys, std::slice::from_ref(id)).await)
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

/// The items that a request names: its lines, or its one item.
fn lines_of(request: &dyn Fields) -> Option<Lines> {
    let mut lines = None;
    request.each_field(&mut |field, text| match (field.name, text) {
        ("lines", Some(text)) => lines = Lines::from_text(&text),
        // Of an exchange, the other one is the order's own.
        ("item" | "to", Some(text)) => {
            lines = ItemId::parse(text).ok().map(|item| Lines::of(item, Quantity::ONE));
        }
        _ => {}
    });
    lines
}

/// An inventory and the items of these lines, each as it is there; `None` if there is no such inventory.
async fn read_items(
    tollgate: &Tollgate,
    link: &mut Link,
    id: &InventoryId,
    lines: &Lines,
) -> Result<Option<(InventoryState, Vec<Option<ItemState>>)>, Failure> {
    let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(id)));
    let mut read = resources::read::<InventoryState>(link, keys, std::slice::from_ref(id)).await?;
    let Some(Held::State(state)) = read.pop() else { return Ok(None) };
    let names: Vec<ItemId> = lines.iter().map(|(item, _)| item.clone()).collect();
    let found = inventory::items(link, keys, (id, &state), &names).await?;
    Ok(Some((state, found)))
}

/// Which of the items there are not enough of, or are not there.
async fn of_items(
    tollgate: &Tollgate,
    link: &mut Link,
    id: &InventoryId,
    lines: &Lines,
) -> Result<Option<String>, Failure> {
    let Some((state, found)) = read_items(tollgate, link, id, lines).await? else { return Ok(None) };
    let short = lines.iter().zip(found).filter_map(|((item, quantity), found)| match found {
        None => Some(format!("no item {item}")),
        Some(found) if found.available() < quantity.get() => {
            Some(format!("{} left of {item}, {} asked", found.available(), quantity.get()))
        }
        Some(_) => None,
    });
    let short: Vec<String> = short.collect();
    let mut short = short;
    if let (true, Some(count)) = (short.is_empty(), state.codes_count) {
        let left = count.get().saturating_sub(state.tickets).saturating_sub(state.reserved);
        short.extend((left < lines.units()).then(|| format!("{left} tickets left")));
    }
    Ok((!short.is_empty()).then(|| format!("now {}", short.join(", "))))
}

/// How many there are of the one item whose quantity was to be set.
async fn of_quantity(
    tollgate: &Tollgate,
    link: &mut Link,
    request: &dyn Fields,
) -> Result<Option<String>, Failure> {
    let (Resource::Inventory(id), Some(lines)) = (request.resource(), lines_of(request)) else {
        return Ok(None);
    };
    let Some((_, found)) = read_items(tollgate, link, id, &lines).await? else { return Ok(None) };
    let mut words = lines.iter().zip(found).filter_map(|((item, _), found)| {
        found.map(|found| {
            format!("now {} on hand of {item}, {} of them reserved", found.on_hand, found.reserved)
        })
    });
    Ok(words.next())
}

/// How many of the items that it is asked for an order has reserved or has bought.
async fn of_order(
    tollgate: &Tollgate,
    link: &mut Link,
    code: Code,
    request: &dyn Fields,
) -> Result<Option<String>, Failure> {
    let named = missing::order_of(request).and_then(|order| JobId::parse(order).ok());
    let (Resource::Inventory(id), Some(named)) = (request.resource(), named) else { return Ok(None) };
    let keys = tollgate.keys(tollgate.partition_of(request.resource()));
    let Some(row) = orders::row_of(link, keys, id, &named).await? else { return Ok(None) };
    let words = Order::parse(&row).map(|order| {
        let lines = order.lines.iter().map(|line| match code {
            Code::NotReserved => format!("{} reserved of {}", line.reserved, line.item),
            _ => format!("{} sold of {}", line.sold, line.item),
        });
        format!("now {}", lines.collect::<Vec<_>>().join(", "))
    });
    Ok(words)
}

/// Which limits its customer would pass: that of the inventory, or that of an item, and what they have of it.
async fn of_limits(
    tollgate: &Tollgate,
    link: &mut Link,
    id: &InventoryId,
    request: &dyn Fields,
) -> Result<Option<String>, Failure> {
    let (mut customer, mut order) = (None, None);
    request.each_field(&mut |field, text| match (field.name, text) {
        ("customer", Some(text)) => customer = CustomerId::parse(text).ok(),
        ("order", Some(text)) => order = JobId::parse(text).ok(),
        _ => {}
    });
    let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(id)));
    let customer = match (customer, &order) {
        (None, Some(order)) => orders::customer_of(link, keys, id, order).await?,
        (customer, _) => customer,
    };
    let (Some(customer), Some(lines)) = (customer, lines_of(request)) else { return Ok(None) };
    let Some((state, limits)) = read_items(tollgate, link, id, &lines).await? else { return Ok(None) };
    let items: Vec<ItemId> = lines.iter().map(|(item, _)| item.clone()).collect();
    let held = inventory::bought_by(link, keys, id, &customer).await?;
    let of_items = inventory::bought_of_items(link, keys, id, &customer, &items).await?;
    let mut passed = Vec::new();
    let mut compare = |what: &str, held: u64, asked: u64, most: Option<Quantity>| {
        let most = most.map(Quantity::get).filter(|most| held.saturating_add(asked) > *most);
        passed.extend(most.map(|most| {
            format!("{customer} has {held} of {what}, {asked} asked, at most {most} per customer")
        }));
    };
    // An exchange leaves the customer with as many units as before.
    let asked = if order.is_some() { 0 } else { lines.units() };
    compare(&format!("inventory {id}"), held, asked, state.per_customer);
    for (((item, quantity), held), limit) in lines.iter().zip(of_items).zip(limits) {
        compare(&format!("item {item}"), held, quantity.get(), limit.and_then(|limit| limit.per_customer));
    }
    Ok((!passed.is_empty()).then(|| format!("now {}", passed.join("; "))))
}

/// The name that was perhaps meant.
pub(crate) async fn closest<T: Listed>(tollgate: &Tollgate, meant: &str) -> Option<String> {
    let names_max = NAMES_MAX / usize::from(tollgate.partitions().count());
    let (names, _) = in_each(tollgate, async |_, keys, link| {
        let (mut names, mut cursor) = (Vec::new(), None);
        loop {
            let page = resources::page::<T>(link, keys, cursor, PAGE).await?;
            names.extend(page.resources.into_iter().map(|(id, _)| id));
            cursor = page.next;
            if cursor.is_none() || names.len() >= names_max {
                return Ok(names);
            }
        }
    })
    .await
    .ok()?;
    let names = names.iter().flat_map(|(_, names)| names);
    let name = spelling::closest(meant, names.map(String::as_str))?;
    Some(format!("did you mean {name}?"))
}
