//! `job history ID`: everything that is known of one job, in order of time, and how long it was in each state.
//!
//! Reads the whole journal, and the streams of every queue if the job is not decided. Reading only: what happens
//! meanwhile may be told or not.

use std::ops::ControlFlow;

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::ids::{JobId, QueueName};
use tollgate::keys::Keys;
use tollgate::kinds::Fields;
use tollgate::link::Link;
use tollgate::outcome::OutcomeClass;
use tollgate::parked;
use tollgate::partition::Partition;
use tollgate::scripts::queue;
use tollgate::waiting::{self, Unsettled};

use crate::context::Context;
use crate::each::in_each;
use crate::exit::Exit;
use crate::line_text::{currency_of, described};
use crate::output::say;
use crate::past::{self, Seen};
use crate::served;
use crate::table::{age, time};

/// Something that happened to a job.
#[derive(Debug, Default, Serialize)]
struct Event {
    /// When; null: now.
    at_ms: Option<u64>,
    partition: Option<u16>,
    /// `made`, `waiting`, `in_flight`, `scheduled`, `decided`, `overtaken`, `dead`, `queued` or `not_decided`.
    what: &'static str,
    /// How long it had been as the event before says.
    waited_ms: Option<u64>,
    /// The journal line.
    seq: Option<u64>,
    kind: Option<&'static str>,
    /// The code of the decision, or why the job is dead.
    code: Option<String>,
    /// For people; may change.
    text: String,
}

impl Event {
    fn new(partition: Partition, at_ms: u64, what: &'static str, text: String) -> Self {
        Self { at_ms: Some(at_ms), partition: Some(partition.number()), what, text, ..Self::default() }
    }

    fn line(&self) -> String {
        let at = self.at_ms.map_or_else(|| "now".to_owned(), time);
        let waited = self.waited_ms.map(|ms| format!("+{}", age(Some(ms)))).unwrap_or_default();
        let code = self.code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{at:<24}  {waited:>8}  {}{code}  {}", self.what, self.text).trim_end().to_owned()
    }
}

pub(super) async fn run(context: &Context, id: &JobId) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut link = tollgate.server().link().await?;
    let mut events = Vec::new();
    if let Some(made_at) = id.made_at() {
        let text = "by the time in its id, which is of the clock of whoever made it".to_owned();
        events.push(Event { at_ms: Some(made_at.ms()), what: "made", text, ..Event::default() });
    }
    let (of_partitions, failed) = in_each(&tollgate, async |partition, keys, link| {
        let now_ms = tollgate.now(link, partition).await?.ms();
        let mut events = decided(&tollgate, link, partition, id).await?;
        if let Some(Ok(row)) = parked::row(link, keys, id).await? {
            let text = format!("from queue {}; `dead show {id}` has its bytes", row.queue);
            let code = Some(row.reason).filter(|reason| !reason.is_empty());
            events.push(Event { code, ..Event::new(partition, row.at_ms, row.state.name(), text) });
        }
        Ok((now_ms, events))
    })
    .await?;
    let now_ms = of_partitions.iter().map(|(_, (now_ms, _))| *now_ms).max().unwrap_or_default();
    events.extend(of_partitions.into_iter().flat_map(|(_, (_, events))| events));
    let unread = failed.complain();
    let outcomes = tollgate.look_up(std::slice::from_ref(id)).await?.found;
    let class = outcomes.into_iter().flatten().next().map_or(OutcomeClass::NotDecided, |one| one.class);
    if class == OutcomeClass::NotDecided {
        let (unsettled, _) =
            in_each(&tollgate, async |partition, keys, link| unsettled(link, keys, partition, id).await)
                .await?;
        events.extend(unsettled.into_iter().flat_map(|(_, events)| events));
    }
    events.sort_by_key(|event| event.at_ms);
    let mut before_ms = None;
    for event in &mut events {
        let waited_ms =
            event.at_ms.zip(before_ms).and_then(|(at_ms, before_ms)| at_ms.checked_sub(before_ms));
        event.waited_ms = waited_ms.filter(|ms| *ms > 0 && event.what != "scheduled");
        before_ms = event.at_ms;
    }
    if let Some(last) = events.last_mut().filter(|_| is_going_on(class)) {
        let at_ms = last.at_ms.unwrap_or(now_ms);
        last.text += &match at_ms.checked_sub(now_ms) {
            Some(ms) if ms > 0 => format!("; due in {}", age(Some(ms))),
            _ => format!("; for {} so far", age(Some(now_ms.saturating_sub(at_ms)))),
        };
    }
    let is_known = events.iter().any(|event| event.what != "made");
    if class == OutcomeClass::NotDecided && !is_known && failed.is_empty() {
        let (how, _) = served::how_it_is_served(&tollgate, &mut link, &QueueName::default()).await;
        let text = format!(
            "it lies in no queue: it was never sent, did not arrive, or was taken just now; of queue default: {how}"
        );
        events.push(Event { what: class.name(), text, ..Event::default() });
    }
    let mut list = context.output().list();
    for event in &events {
        list.item(event, || event.line())?;
    }
    list.end()?;
    if !is_known && class != OutcomeClass::NotDecided {
        say(format_args!("the journal does not know {id}; `lookup {id}`: {class}"));
    }
    // What is not decided elsewhere may be, where nobody could look.
    Ok(Exit::of_outcome(class).combine(unread))
}

/// Whether more is to come, or somebody has to do something.
fn is_going_on(class: OutcomeClass) -> bool {
    matches!(class, OutcomeClass::Pending | OutcomeClass::Dead | OutcomeClass::NotDecided)
}

/// What the journal of a partition says of it.
async fn decided(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    id: &JobId,
) -> anyhow::Result<Vec<Event>> {
    let (mut lines, mut overtaken) = (Vec::new(), Vec::new());
    past::each(tollgate, link, partition, |Seen { entry, line }| {
        lines.extend(line.filter(|line| line.id == *id).cloned());
        // With the last line of its call, so that it is told once.
        let is_last = line.is_some_and(|line| line.seq == entry.seq_last);
        if is_last && entry.overtaken().flatten().any(|overtaken| overtaken.id == *id) {
            let text = "the copy of it that waited went with this decision".to_owned();
            overtaken.push(Event::new(partition, entry.at_ms, "overtaken", text));
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let mut events = Vec::new();
    for line in lines {
        let currency = currency_of(link, tollgate.keys(partition), &line).await;
        events.push(Event {
            seq: Some(line.seq),
            kind: Some(line.event.kind().name()),
            code: Some(line.code.name().to_owned()),
            ..Event::new(partition, line.at_ms, "decided", described(&line, currency))
        });
    }
    events.append(&mut overtaken);
    Ok(events)
}

/// Where its entries lie that nobody has settled.
async fn unsettled(
    link: &mut Link,
    keys: &Keys,
    partition: Partition,
    id: &JobId,
) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    for queue in queue::known(link, keys).await? {
        for Unsettled { entry, added_at_ms, in_flight } in waiting::unsettled(link, keys, &queue, id).await? {
            let text = format!("in queue {queue}, entry {entry}");
            events.push(Event::new(partition, added_at_ms, "waiting", text));
            if let Some(row) = in_flight {
                let text = match row.taken_at_ms {
                    0 => format!("handed back by worker {}, which has ended", row.worker),
                    _ => format!("taken by worker {}, delivery {}", row.worker, row.deliveries),
                };
                events.push(Event::new(partition, row.taken_at_ms.max(added_at_ms), "in_flight", text));
            }
        }
    }
    Ok(events)
}
