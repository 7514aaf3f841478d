//! Three seats and a cart: what is in a cart is not sold to others; what is paid for is nobody else's; a seat is exchanged.
//!
//! `cargo run -p tollgate --example tickets`, on the Redis of REDIS_URL or on a private server.

use std::time::Duration;

use tollgate::Tollgate;
use tollgate::ids::{InventoryId, ItemId, JobId, OrderId, ReservationId};
use tollgate::kinds::InventoryCreate;
use tollgate::lines::Lines;
use tollgate::quantity::{Limit, Quantity};
use tollgate::stock::Stock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tollgate = Tollgate::builder().connect().await?;

    let hall = InventoryId::parse("three-seats")?;
    tollgate.create_inventory(&InventoryCreate::new(hall.clone())).await?;
    let one = Limit::new(1).ok_or("a limit")?;
    let seats = ["A-1", "A-2", "A-3"].map(ItemId::parse).into_iter().collect::<Result<Vec<_>, _>>()?;
    let stock = Stock::new(seats.iter().map(|seat| (seat.clone(), one)))?;
    println!("seats: {}", tollgate.load_inventory(&hall, &stock).await?.code);

    // The shop's own numbers are the ids: whoever repeats a request repeats its id, and it has one effect.
    let seat = |at: usize| Lines::of(seats[at].clone(), Quantity::ONE);
    let (cart, taken) = (JobId::parse("cart-17")?, JobId::parse("order-18")?);
    let hold_for = Duration::from_secs(600);
    let decision = tollgate.reserve(&cart, hall.clone(), "ada".parse()?, seat(0), hold_for).await?;
    println!("ada's cart with A-1: {}", decision.code);
    let decision = tollgate.purchase(&taken, hall.clone(), "ben".parse()?, seat(0)).await?;
    println!("ben buys A-1: {}", decision.code);
    let paid = JobId::parse("payment-17")?;
    let decision = tollgate.commit(&paid, hall.clone(), ReservationId::parse("cart-17")?, None).await?;
    println!("ada pays: {}", decision.code);
    let (swap, order) = (JobId::parse("swap-17")?, OrderId::parse("cart-17")?);
    let seats = (seats[0].clone(), seats[2].clone());
    println!("A-3 for A-1: {}", tollgate.exchange(&swap, hall.clone(), order, seats).await?.code);

    let state = tollgate.inventory(&hall).await?.ok_or("no inventory")?;
    println!("{} sold, {} available", state.sold, state.available);
    Ok(())
}
