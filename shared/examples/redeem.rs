//! A campaign of three coupons and five customers who want one: three get one, and asking again changes nothing.
//!
//! `cargo run -p tollgate --example redeem`, on the Redis of REDIS_URL or on a private server.

use tollgate::Tollgate;
use tollgate::ids::{CampaignId, JobId};
use tollgate::kinds::CampaignCreate;
use tollgate::quantity::{Limit, Quantity};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tollgate = Tollgate::builder().connect().await?;

    let campaign = CampaignId::parse("five-want-three")?;
    let terms = CampaignCreate::new(campaign.clone(), Limit::new(3).ok_or("a limit")?);
    tollgate.create_campaign(&terms).await?;

    for customer in ["ada", "ben", "cleo", "dan", "eve"] {
        // The order's own number: whoever repeats the request repeats its id.
        let order = JobId::parse(format!("order-of-{customer}"))?;
        let decision = loop {
            let asked = tollgate.redeem(&order, campaign.clone(), customer.parse()?, Quantity::ONE).await;
            match asked {
                // Nobody knows whether it happened: the same id again answers what was decided.
                Err(error) if error.may_have_happened() => eprintln!("asking again: {error}"),
                other => break other?,
            }
        };
        let again = if decision.replayed { " (decided before)" } else { "" };
        println!("{customer}: {}{again}", decision.code);
    }

    let state = tollgate.campaign(&campaign).await?.ok_or("no campaign")?;
    println!("{} of {} issued", state.issued, state.limit.get());
    let outcome = tollgate.outcome(&JobId::parse("order-of-eve")?).await?;
    println!("what is known of eve's order: {} {}", outcome.class, outcome.code.unwrap_or("-"));
    Ok(())
}
