//! `dead ls` and `dead show`: reading.

use serde::Serialize;
use tollgate::code::Code;
use tollgate::ids::{JobId, QueueName};
use tollgate::keys::Keys;
use tollgate::kinds::{Fields, Request};
use tollgate::link::Link;
use tollgate::parked::{self, Dead, Row};
use tollgate::partition::Partition;

use crate::context::Context;
use crate::each::{each_partition, in_each};
use crate::exit::Exit;
use crate::output::complain;
use crate::overview::Overview;
use crate::pages::{Cursor, Filter, Page, Pager, Parked, is_of_queue};
use crate::table::time;

/// One line of `dead ls`. `reason`, `queue` and `attempts` are `null` where the row is damaged.
#[derive(Debug, Serialize)]
struct Item<'a> {
    id: &'a str,
    partition: u16,
    reason: Option<&'a str>,
    at_ms: u64,
    queue: Option<&'a str>,
    attempts: Option<u64>,
    /// How long its envelope is.
    bytes: Option<u64>,
    /// What it asks for, and of which campaign or account; null if it is no job.
    kind: Option<&'static str>,
    resource: Option<String>,
    /// `--after` with it goes on behind this item.
    cursor: String,
}

impl<'a> Item<'a> {
    fn of(partition: Partition, dead: &'a Dead, request: Option<&Request>, cursor: Cursor) -> Self {
        let row = dead.row.as_ref();
        Self {
            id: dead.id.as_str(),
            partition: partition.number(),
            reason: row.map(|row| row.reason.as_str()),
            at_ms: dead.at_ms,
            queue: row.map(|row| row.queue.as_str()),
            attempts: row.map(|row| row.attempts),
            bytes: row.map(|row| row.stripped_bytes.unwrap_or(row.envelope.len() as u64)),
            kind: request.map(|request| request.kind().name()),
            resource: request.map(|request| request.resource().to_string()),
            cursor: cursor.to_string(),
        }
    }

    /// Columns of a fixed width, since the list is printed while it is read.
    fn line(&self) -> String {
        let reason = self.reason.unwrap_or("(its row is damaged)");
        format!("{:<26}  {:<22}  {:<12}  {}", time(self.at_ms), reason, self.queue.unwrap_or("-"), self.id)
    }
}

pub(super) async fn ls(
    context: &Context,
    reason: Option<Code>,
    queue: Option<&QueueName>,
    filter: &Filter,
    page: &Page,
) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    // Says which partitions are damaged.
    let overview = Overview::read(&tollgate).await?;
    let mut list = context.output().list();
    let mut pager = Pager::new(page, tollgate.partitions())?;
    let first = async |partition, keys: &Keys, link: &mut Link| {
        Parked::Dead.first(link, keys, page.start(partition)).await
    };
    let exit = each_partition(&tollgate, first, async |partition, link, first| {
        let keys = tollgate.keys(partition);
        let is_meant = |dead: &Dead, request: Option<&Request>| {
            is_of_queue(dead, queue) && matches(dead, reason) && filter.matches(request)
        };
        let show = |dead: &Dead, request: Option<&Request>, cursor: Cursor| {
            let item = Item::of(partition, dead, request, cursor);
            list.item(&item, || item.line())
        };
        pager.parked(link, (partition, keys), (Parked::Dead, first), is_meant, show).await
    })
    .await?;
    list.end()?;
    pager.end();
    Ok(exit.combine(overview.complain()))
}

/// Whether a dead job is one of those meant.
pub(super) fn matches(dead: &Dead, reason: Option<Code>) -> bool {
    reason.is_none_or(|code| dead.row.as_ref().is_some_and(|row| row.reason == code.name()))
}

/// What `dead show` prints. The bytes are in exactly one of `envelope` (text) and `envelope_hex`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    id: &'a str,
    partition: u16,
    state: &'static str,
    reason: Option<&'a str>,
    meaning: Option<&'static str>,
    at_ms: u64,
    queue: &'a str,
    attempts: u64,
    fingerprint: String,
    envelope: Option<&'a str>,
    envelope_hex: Option<String>,
    /// Of bytes that were not kept: how many they were, and their SHA-1; both of the above are null then.
    #[serde(skip_serializing_if = "Option::is_none")]
    stripped_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stripped_sha1: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(id: &'a JobId, partition: Partition, row: &'a Row) -> Self {
        let text = std::str::from_utf8(&row.envelope).ok();
        let envelope = text.filter(|_| row.stripped_bytes.is_none());
        let hex = || row.envelope.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            id: id.as_str(),
            partition: partition.number(),
            state: row.state.name(),
            reason: Some(row.reason.as_str()).filter(|reason| !reason.is_empty()),
            meaning: row.code().map(Code::meaning),
            at_ms: row.at_ms,
            queue: row.queue.as_str(),
            attempts: row.attempts,
            fingerprint: row.fingerprint.to_string(),
            envelope,
            envelope_hex: text.is_none().then(hex),
            stripped_bytes: row.stripped_bytes,
            stripped_sha1: text.filter(|_| row.stripped_bytes.is_some()),
        }
    }

    fn text(&self, envelope: &[u8]) -> String {
        let reason = match (self.reason, self.meaning) {
            (Some(reason), Some(meaning)) => format!("{reason}: {meaning}"),
            (Some(reason), None) => reason.to_owned(),
            (None, _) => "-".to_owned(),
        };
        // Escaped, so that whatever lies there cannot speak to the terminal.
        let printable = |text: &&str| !text.chars().any(char::is_control);
        let bytes = match (self.stripped_bytes, self.stripped_sha1) {
            (Some(length), Some(sha1)) => format!("not kept: {length} bytes with SHA-1 {sha1}"),
            _ => self
                .envelope
                .filter(printable)
                .map_or_else(|| envelope.escape_ascii().to_string(), str::to_owned),
        };
        format!(
            "id         {}\npartition  {}\nstate      {}\nreason     {reason}\nat         {}\nqueue      {}\nattempts   {}\nenvelope   {bytes}",
            self.id,
            self.partition,
            self.state,
            time(self.at_ms),
            self.queue,
            self.attempts,
        )
    }
}

pub(super) async fn show(context: &Context, id: &JobId) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let row = async |_, keys: &Keys, link: &mut Link| Ok(parked::row(link, keys, id).await?);
    let (rows, failed) = in_each(&tollgate, row).await?;
    let unread = failed.complain();
    let mut exit = Exit::Refused;
    for (partition, row) in rows {
        match row {
            None => {}
            Some(Ok(row)) => {
                let shown = Shown::of(id, partition, &row);
                context.output().data(&shown, || shown.text(&row.envelope))?;
                exit = Exit::Done;
            }
            Some(Err(bytes)) => {
                complain(format_args!(
                    "partition {partition}: the row of {id} is damaged: {}",
                    bytes.escape_ascii()
                ));
                return Ok(Exit::Violation);
            }
        }
    }
    if exit == Exit::Refused && !failed.is_empty() {
        return Ok(unread);
    }
    if exit == Exit::Refused {
        complain(format_args!("{id} is neither dead nor scheduled (see `lookup {id}`)"));
    }
    Ok(exit)
}
