//! Sales for services: inventories, orders, reservations. Each call decides at once, as [`Tollgate::decide`] does, with its
//! errors and its cancel safety.

use std::time::Duration;

use super::{Decision, Error};
use crate::procedures::stock::{Stock, Uploaded};
use crate::protocol::ids::{CustomerId, InventoryId, ItemId, JobId, OrderId, ReservationId};
use crate::protocol::kinds::{Commit, Exchange, Extend, InventoryCreate, Purchase, Release, Reserve, Return};
use crate::protocol::lines::Lines;
use crate::protocol::resource::Resource;
use crate::protocol::span_ms::SpanMs;
use crate::reads::inventory::InventoryState;
use crate::reads::tickets::{self, Ticket};
use crate::tollgate::Tollgate;

impl Tollgate {
    /// Creates an inventory, under an id that its name gives: the same again is a replay, and on other terms it is refused.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn create_inventory(&self, inventory: &InventoryCreate) -> Result<Decision, Error> {
        self.decide(&JobId::create_inventory(&inventory.inventory), inventory).await
    }

    /// Loads its items, once: the whole list or nothing. The same list again is a replay, another one is
    /// [`Code::AlreadyLoaded`](crate::code::Code::AlreadyLoaded).
    ///
    /// # Errors
    /// As [`Tollgate::decide`]. Some of the list may have been uploaded; nothing of it is on sale, and calling again goes on.
    ///
    /// # Cancel safety
    /// As after an error.
    pub async fn load_inventory(&self, inventory: &InventoryId, stock: &Stock) -> Result<Decision, Error> {
        let request = stock.request(inventory.clone());
        let id = JobId::load_inventory(inventory);
        let keys = self.keys(self.partition_of(Resource::Inventory(inventory)));
        let uploaded = {
            let mut link = self.server().link().await?;
            stock.upload(&mut link, keys, inventory, |_| {}).await?
        };
        // What is loaded, closed or not there answers so by itself.
        let (Uploaded::Whole | Uploaded::NotLoading | Uploaded::NotFound) = uploaded;
        self.decide(&id, &request).await
    }

    /// Sells items to a customer: all lines, or none.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn purchase(
        &self,
        id: &JobId,
        inventory: InventoryId,
        customer: CustomerId,
        lines: Lines,
    ) -> Result<Decision, Error> {
        self.decide(id, &Purchase { inventory, customer, lines }).await
    }

    /// Sets items aside for a customer, for `hold_for` at least: all lines, or none. `id` is the reservation's.
    ///
    /// # Errors
    /// As [`Tollgate::decide`]; a `hold_for` that is out of range.
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn reserve(
        &self,
        id: &JobId,
        inventory: InventoryId,
        customer: CustomerId,
        lines: Lines,
        hold_for: Duration,
    ) -> Result<Decision, Error> {
        let hold_for_ms = SpanMs::of("hold_for", hold_for)?;
        self.decide(id, &Reserve { inventory, customer, lines, hold_for_ms }).await
    }

    /// Sells what was reserved, or these lines of it. It wins as long as the reservation's end is not decided,
    /// whatever the time.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn commit(
        &self,
        id: &JobId,
        inventory: InventoryId,
        reservation: ReservationId,
        lines: Option<Lines>,
    ) -> Result<Decision, Error> {
        self.decide(id, &Commit { inventory, reservation, lines }).await
    }

    /// Puts what was reserved, or these lines of it, on sale again.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn release(
        &self,
        id: &JobId,
        inventory: InventoryId,
        reservation: ReservationId,
        lines: Option<Lines>,
    ) -> Result<Decision, Error> {
        self.decide(id, &Release { inventory, reservation, lines }).await
    }

    /// Lets a reservation end later: `hold_for` from now at least, never earlier than before.
    ///
    /// # Errors
    /// As [`Tollgate::reserve`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn extend(
        &self,
        id: &JobId,
        inventory: InventoryId,
        reservation: ReservationId,
        hold_for: Duration,
    ) -> Result<Decision, Error> {
        let hold_for_ms = SpanMs::of("hold_for", hold_for)?;
        self.decide(id, &Extend { inventory, reservation, hold_for_ms }).await
    }

    /// Gives one unit of an order for one of another item, in one step: where that is sold out, the order keeps what it has.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn exchange(
        &self,
        id: &JobId,
        inventory: InventoryId,
        order: OrderId,
        (from, to): (ItemId, ItemId),
    ) -> Result<Decision, Error> {
        self.decide(id, &Exchange { inventory, order, from, to }).await
    }

    /// Puts what an order bought, or these lines of it, on sale again: never more than it bought, however often it is asked.
    ///
    /// # Errors
    /// As [`Tollgate::decide`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::decide`].
    pub async fn return_order(
        &self,
        id: &JobId,
        inventory: InventoryId,
        order: OrderId,
        lines: Option<Lines>,
    ) -> Result<Decision, Error> {
        self.decide(id, &Return { inventory, order, lines }).await
    }

    /// The tickets of an order, void ones included; nothing where its inventory hands out no codes, or the order is not there.
    ///
    /// # Errors
    /// As any read; [`Error::Corrupt`] if its row was damaged.
    pub async fn tickets(&self, inventory: &InventoryId, order: &JobId) -> Result<Vec<Ticket>, Error> {
        let state = self.inventory(inventory).await?;
        let Some(codes) = state.and_then(|state| state.codes) else { return Ok(Vec::new()) };
        let keys = self.keys(self.partition_of(Resource::Inventory(inventory)));
        let mut link = self.server().link().await?;
        match tickets::of_order(&mut link, keys, (inventory, &codes), order).await? {
            Ok(tickets) => Ok(tickets.unwrap_or_default()),
            Err(damage) => {
                let resource = format!("order {order}");
                Err(Error::Corrupt { resource, what: damage.to_string() })
            }
        }
    }

    /// An inventory as it is; `None` if there is none.
    ///
    /// # Errors
    /// As any read; [`Error::Corrupt`] if its key was damaged.
    pub async fn inventory(&self, id: &InventoryId) -> Result<Option<InventoryState>, Error> {
        self.resource(id, Resource::Inventory(id)).await
    }
}
