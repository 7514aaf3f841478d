//! `campaign holders`: who has redeemed how much, of all customers or of one.

use serde::Serialize;
use tollgate::ids::{CampaignId, CustomerId};
use tollgate::resource::Resource;
use tollgate::resources::{self, CampaignState};

use crate::commands::listing;
use crate::context::Context;
use crate::exit::Exit;

/// How many one read asks for.
const PAGE: usize = 500;

#[derive(Debug, Serialize)]
struct Holder<'a> {
    customer: &'a str,
    held: u64,
}

pub(super) async fn run(
    context: &Context,
    campaign: &CampaignId,
    customer: Option<&CustomerId>,
) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let keys = tollgate.keys(tollgate.partition_of(Resource::Campaign(campaign)));
    let mut link = tollgate.server().link().await?;
    if listing::read::<CampaignState>(&tollgate, &mut link, keys, campaign).await?.is_none() {
        return Ok(Exit::Refused);
    }
    let mut list = context.output().list();
    let mut show =
        |customer: &str, held| list.item(&Holder { customer, held }, || format!("{customer}  {held}"));
    if let Some(customer) = customer {
        let held = resources::held_by(&mut link, keys, campaign, customer).await?;
        show(customer.as_str(), held)?;
    } else {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (next, holders) = resources::holders(&mut link, keys, campaign, from, PAGE).await?;
            for (customer, held) in holders {
                show(&customer, held)?;
            }
            cursor = next;
        }
    }
    list.end()?;
    Ok(Exit::Done)
}
