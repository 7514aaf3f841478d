//! `job waiting` and `job scheduled`: which jobs wait, and which wait for their time.

use serde::Serialize;
use tollgate::envelope::Envelope;
use tollgate::ids::{JobId, QueueName};
use tollgate::keys::Keys;
use tollgate::kinds::{Fields, Request};
use tollgate::link::Link;
use tollgate::parked::{Dead, PAGE_MAX};
use tollgate::waiting;

use crate::context::Context;
use crate::each::each_partition;
use crate::exit::Exit;
use crate::pages::{Cursor, Filter, Page, Pager, Parked, is_of_queue};
use crate::table::time;

#[derive(Debug, Serialize)]
struct Waiting<'a> {
    /// The job's id; null if its bytes have none.
    id: Option<&'a str>,
    partition: u16,
    /// The entry of the stream.
    entry: &'a str,
    /// What it asks for, and of which campaign or account; null if it is no job.
    kind: Option<&'static str>,
    resource: Option<String>,
    /// For people; may change.
    text: String,
    /// `--after` with it goes on behind this item.
    cursor: String,
}

pub(super) async fn waiting(
    context: &Context,
    queue: &QueueName,
    filter: &Filter,
    page: &Page,
) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut list = context.output().list();
    let mut pager = Pager::new(page, tollgate.partitions())?;
    let first = async |partition, keys: &Keys, link: &mut Link| {
        let Some(after) = page.start(partition).in_stream()? else { return Ok(None) };
        Ok(Some(waiting::page(link, keys, queue, after, PAGE_MAX).await?))
    };
    let exit = each_partition(&tollgate, first, async |partition, link, first| {
        let mut next = first;
        while let Some(page) = next {
            for (entry, bytes) in &page {
                let decoded = Envelope::decode(bytes);
                let request = decoded.as_ref().ok().map(|envelope| &envelope.request);
                if !filter.matches(request) {
                    continue;
                }
                let cursor = Cursor::new(partition, entry);
                if !pager.takes(cursor.clone()) {
                    break;
                }
                let (id, text) = match &decoded {
                    Ok(envelope) => (envelope.id.as_ref(), envelope.request.kind().to_string()),
                    Err(poison) => (poison.id.as_ref(), format!("no job: {}", poison.error)),
                };
                let item = Waiting {
                    id: id.map(JobId::as_str),
                    partition: partition.number(),
                    entry,
                    kind: request.map(|request| request.kind().name()),
                    resource: request.map(|request| request.resource().to_string()),
                    text,
                    cursor: cursor.to_string(),
                };
                list.item(&item, || {
                    let resource = item.resource.as_deref().unwrap_or_default();
                    let line =
                        format!("{:<18}  {}  {} {resource}", item.entry, item.id.unwrap_or("-"), item.text);
                    line.trim_end().to_owned()
                })?;
            }
            let after = page.last().filter(|_| page.len() >= PAGE_MAX && !pager.is_over());
            next = match after {
                None => None,
                Some((entry, _)) => {
                    let keys = tollgate.keys(partition);
                    Some(waiting::page(link, keys, queue, Some(entry), PAGE_MAX).await?)
                }
            };
        }
        Ok(pager.flow())
    })
    .await?;
    list.end()?;
    pager.end();
    Ok(exit)
}

#[derive(Debug, Serialize)]
struct Scheduled<'a> {
    id: &'a str,
    partition: u16,
    /// When it is due.
    at_ms: u64,
    queue: Option<&'a str>,
    kind: Option<&'static str>,
    resource: Option<String>,
    cursor: String,
}

pub(super) async fn scheduled(
    context: &Context,
    queue: Option<&QueueName>,
    filter: &Filter,
    page: &Page,
) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut list = context.output().list();
    let mut pager = Pager::new(page, tollgate.partitions())?;
    let first = async |partition, keys: &Keys, link: &mut Link| {
        Parked::Scheduled.first(link, keys, page.start(partition)).await
    };
    let exit = each_partition(&tollgate, first, async |partition, link, first| {
        let keys = tollgate.keys(partition);
        let is_meant =
            |job: &Dead, request: Option<&Request>| is_of_queue(job, queue) && filter.matches(request);
        let show = |job: &Dead, request: Option<&Request>, cursor: Cursor| {
            let item = Scheduled {
                id: job.id.as_str(),
                partition: partition.number(),
                at_ms: job.at_ms,
                queue: job.row.as_ref().map(|row| row.queue.as_str()),
                kind: request.map(|request| request.kind().name()),
                resource: request.map(|request| request.resource().to_string()),
                cursor: cursor.to_string(),
            };
            list.item(&item, || {
                let of = item.resource.as_deref().unwrap_or("(its row is damaged)");
                let (kind, queue) = (item.kind.unwrap_or_default(), item.queue.unwrap_or("-"));
                format!("{:<26}  {queue:<12}  {}  {kind} {of}", time(item.at_ms), item.id)
            })
        };
        pager.parked(link, (partition, keys), (Parked::Scheduled, first), is_meant, show).await
    })
    .await?;
    list.end()?;
    pager.end();
    Ok(exit)
}
