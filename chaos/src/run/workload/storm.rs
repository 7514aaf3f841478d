//! Short storms that faults ask for: one id sent by many at once, and words that should stop at the input.

use crate::run::client::Client;
use crate::run::history::{Job, Request, Response};

use super::asking::{answer, words};
use super::draw::QUEUES;

/// So many processes at a time as the machine can bear.
const AT_ONCE: usize = 8;

/// Sends one id from many clients at once, every third with another body.
pub(in crate::run) async fn repeat_one_id(client: &Client, id: &str, times: usize) {
    let one = |number: usize| async move {
        let quantity = if number % 3 == 2 { 2 } else { 1 };
        let customer = format!("customer-{id}");
        let request = Request::Redeem { campaign: "plenty".to_owned(), customer, quantity };
        let job = Job { id: id.to_owned(), request };
        let typed = words(&job, "default");
        let op = client.history.sent(vec![job]);
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let told = answer(&client.producer(&client.way(), &typed, None).await);
        client.history.told(op, told);
    };
    for begin in (0..times).step_by(AT_ONCE) {
        let group: Vec<_> = (begin..times.min(begin + AT_ONCE)).map(one).collect();
        join_all(group).await;
    }
}

/// Many customers at once for the one thing that a campaign has.
pub(in crate::run) async fn race_for_last(client: &Client, campaign: &str) {
    let create = Request::CampaignCreate { campaign: campaign.to_owned(), limit: 1, per_customer: None };
    let op = client.history.sent(vec![Job { id: format!("create/campaign/{campaign}"), request: create }]);
    if client.must(&["campaign", "create", campaign, "--limit", "1"]).await.is_err() {
        client.history.told(op, Response::Unknown { why: "the campaign could not be created".to_owned() });
        return;
    }
    client.history.told(op, Response::Accepted);
    let one = |number: usize| async move {
        let customer = format!("customer-{number}");
        let request = Request::Redeem { campaign: campaign.to_owned(), customer, quantity: 1 };
        let job = Job { id: format!("{campaign}-{number}"), request };
        let typed = words(&job, QUEUES[number % 2]);
        let op = client.history.sent(vec![job]);
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let told = answer(&client.producer(&client.way(), &typed, None).await);
        client.history.told(op, told);
    };
    join_all((0..AT_ONCE).map(one).collect()).await;
}

/// Lets futures run side by side on this task.
async fn join_all<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Ids and amounts that must be taken byte for byte or refused, never anything in between.
pub(in crate::run) async fn hostile(client: &Client, number: usize) {
    let long = "x".repeat(10_000);
    let ids: [&str; 9] = [
        "brace-{x}",
        "line\r\nbreak",
        "",
        &long,
        "\u{202e}right-to-left",
        "emoji-\u{1f600}",
        " space ",
        "create/x",
        "entry/default/1-1",
    ];
    let amounts: [&str; 11] = [
        "0",
        "-1",
        "-0",
        "1e3",
        "0x10",
        "90071992547409.92",
        "92233720368547758.08",
        "1.505",
        "NaN",
        "",
        "00.01",
    ];
    for id in ids {
        let id = if id.is_empty() || id.starts_with(['c', 'e', 'l']) && id.contains('/') {
            id.to_owned()
        } else {
            format!("{id}-{number}")
        };
        let customer = "customer-h".to_owned();
        let request = Request::Redeem { campaign: "plenty".to_owned(), customer, quantity: 1 };
        sent(client, Job { id, request }, None).await;
    }
    for (place, amount) in amounts.iter().enumerate() {
        let id = format!("hostile-{number}-{place}");
        let request = Request::Withdraw { account: "rich".to_owned(), amount: 0, destination: None };
        sent(client, Job { id, request }, Some(amount)).await;
    }
}

/// Types it as it is; what is refused as usage must not be found anywhere afterwards.
async fn sent(client: &Client, job: Job, amount: Option<&str>) {
    let mut typed = words(&job, "default");
    if let (Some(amount), Some(place)) = (amount, typed.iter().position(|word| word == "--amount")) {
        typed[place + 1] = amount.to_owned();
    }
    let mut job = job;
    // The one amount of these that is one.
    if amount == Some("00.01")
        && let Request::Withdraw { amount, .. } = &mut job.request
    {
        *amount = 1;
    }
    let op = client.history.sent(vec![job]);
    let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
    let ended = client.producer(&client.way(), &typed, None).await;
    let told =
        if ended.code == Some(2) { Response::NotApplied { why: ended.complaint() } } else { answer(&ended) };
    client.history.told(op, told);
}
