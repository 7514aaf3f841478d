//! Long lists, page by page: which part of a list is asked for, and where the next page begins.
//!
//! A cursor is the place of the last item that was shown, never a number of items: what comes or goes between two pages
//! moves nothing, and no item is shown twice or passed over.

use std::ops::ControlFlow;
use std::str::FromStr;
use std::{fmt, io};

use tollgate::code::Code;
use tollgate::envelope::Envelope;
use tollgate::fetch::is_entry;
use tollgate::ids::{AccountId, CampaignId, InventoryId, JobId, QueueName};
use tollgate::input::InputError;
use tollgate::keys::Keys;
use tollgate::kinds::{Fields, Kind, Request};
use tollgate::link::Link;
use tollgate::parked::{self, Dead, Place};
use tollgate::partition::{Partition, Partitions};
use tollgate::resource::Resource;

use crate::arguments;
use crate::output::say;
use crate::table::count;

/// `PARTITION:PLACE`, as the item has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    partition: u16,
    place: String,
}

impl Cursor {
    pub(crate) fn new(partition: Partition, place: impl fmt::Display) -> Self {
        Self { partition: partition.number(), place: place.to_string() }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.place)
    }
}

impl FromStr for Cursor {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let read = text.split_once(':').and_then(|(partition, place)| {
            Some(Self { partition: partition.parse().ok()?, place: place.to_owned() })
        });
        read.filter(|cursor| !cursor.place.is_empty()).ok_or_else(|| not_a_cursor(text))
    }
}

fn not_a_cursor(text: &str) -> InputError {
    InputError::new(Code::NameMalformed, "after", text, "the `cursor` of an item, as the page before has it")
}

/// Which part of a list.
#[derive(Debug, clap::Args)]
pub(crate) struct Page {
    /// How many at most
    #[arg(long, value_name = "N", default_value = "100", value_parser = arguments::count)]
    limit: u64,
    /// Go on behind this place, as the page before said
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
}

/// Which jobs of a list.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    // No doc comment: the kinds are those that there are.
    #[arg(long, value_name = "KIND", value_parser = kind, help = format!("Only this kind: {}", Kind::names(Kind::is_queueable)))]
    kind: Option<Kind>,
    /// Only jobs of this campaign
    #[arg(long, value_name = "ID")]
    campaign: Option<CampaignId>,
    /// Only jobs of this account
    #[arg(long, value_name = "ID", conflicts_with = "campaign")]
    account: Option<AccountId>,
    /// Only jobs of this inventory
    #[arg(long, value_name = "ID", conflicts_with_all = ["campaign", "account"])]
    inventory: Option<InventoryId>,
}

fn kind(text: &str) -> Result<Kind, InputError> {
    Kind::from_name(text)
        .filter(|kind| kind.is_queueable())
        .ok_or_else(|| InputError::new(Code::UnknownKind, "kind", text, &Kind::names(Kind::is_queueable)))
}

impl Filter {
    /// Whether a job is one of those meant; what is no job has no kind and no resource.
    pub(crate) fn matches(&self, request: Option<&Request>) -> bool {
        let Self { kind, campaign, account, inventory } = self;
        let resource = request.map(Fields::resource);
        let is_of = |wanted: Option<Resource<'_>>| wanted.is_none() || wanted == resource;
        kind.is_none_or(|kind| request.is_some_and(|request| request.kind() == kind))
            && is_of(campaign.as_ref().map(Resource::Campaign))
            && is_of(account.as_ref().map(Resource::Account))
            && is_of(inventory.as_ref().map(Resource::Inventory))
    }
}

/// Whether a dead or scheduled job came from this queue, if one is asked for; of a damaged row nobody knows.
pub(crate) fn is_of_queue(job: &Dead, queue: Option<&QueueName>) -> bool {
    queue.is_none_or(|queue| job.row.as_ref().is_some_and(|row| row.queue == *queue))
}

/// Which jobs that left their stream undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parked {
    Dead,
    Scheduled,
}

impl Parked {
    /// The first page of a partition.
    pub(crate) async fn first(
        self,
        link: &mut Link,
        keys: &Keys,
        start: Start<'_>,
    ) -> anyhow::Result<Vec<Dead>> {
        match start {
            Start::Nowhere => Ok(Vec::new()),
            Start::Beginning => self.after(link, keys, None).await,
            Start::After(text) => {
                let after = place(text).ok_or_else(|| not_a_cursor(text))?;
                self.after(link, keys, Some(&after)).await
            }
        }
    }

    async fn after(self, link: &mut Link, keys: &Keys, after: Option<&Place>) -> anyhow::Result<Vec<Dead>> {
        Ok(match self {
            Self::Dead => parked::dead_after(link, keys, after).await?,
            Self::Scheduled => parked::scheduled_after(link, keys, after).await?,
        })
    }
}

impl<'a> Start<'a> {
    /// The same, of a stream: `None` if there is nothing to read, else the entry before.
    pub(crate) fn in_stream(self) -> Result<Option<Option<&'a str>>, InputError> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Beginning => Ok(Some(None)),
            Self::After(text) if is_entry(text) => Ok(Some(Some(text))),
            Self::After(text) => Err(not_a_cursor(text)),
        }
    }
}

impl Page {
    /// Where the page begins in a partition.
    pub(crate) fn start(&self, partition: Partition) -> Start<'_> {
        match &self.after {
            Some(cursor) if partition.number() < cursor.partition => Start::Nowhere,
            Some(cursor) if partition.number() == cursor.partition => Start::After(&cursor.place),
            _ => Start::Beginning,
        }
    }
}

/// `AT_MS:ID`.
fn place(text: &str) -> Option<Place> {
    let (at_ms, id) = text.split_once(':')?;
    Some(Place { at_ms: at_ms.parse().ok()?, id: JobId::stored(id).ok()? })
}

/// A list on its way: what was shown, and whether there is more.
pub(crate) struct Pager<'a> {
    page: &'a Page,
    shown: u64,
    last: Option<Cursor>,
    has_more: bool,
}

/// Where a partition is read from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<'a> {
    /// It was shown whole by earlier pages.
    Nowhere,
    Beginning,
    After(&'a str),
}

impl<'a> Pager<'a> {
    /// # Errors
    /// The cursor is none of this namespace.
    pub(crate) fn new(page: &'a Page, partitions: Partitions) -> Result<Self, InputError> {
        match &page.after {
            Some(cursor) if cursor.partition >= partitions.count() => Err(not_a_cursor(&cursor.to_string())),
            _ => Ok(Self { page, shown: 0, last: None, has_more: false }),
        }
    }

    /// Shows the dead or scheduled jobs of one partition that are meant, as far as the page goes.
    pub(crate) async fn parked(
        &mut self,
        link: &mut Link,
        (partition, keys): (Partition, &Keys),
        (list, first): (Parked, Vec<Dead>),
        is_meant: impl Fn(&Dead, Option<&Request>) -> bool,
        mut show: impl FnMut(&Dead, Option<&Request>, Cursor) -> io::Result<()>,
    ) -> anyhow::Result<ControlFlow<()>> {
        let mut page = first;
        while !page.is_empty() {
            let mut after = None;
            for job in page {
                let request = job.row.as_ref().and_then(|row| Envelope::decode(&row.envelope).ok());
                let request = request.map(|envelope| envelope.request);
                let place = Place { at_ms: job.at_ms, id: job.id.clone() };
                if is_meant(&job, request.as_ref()) {
                    let cursor = Cursor::new(partition, format_args!("{}:{}", place.at_ms, place.id));
                    if !self.takes(cursor.clone()) {
                        break;
                    }
                    show(&job, request.as_ref(), cursor)?;
                }
                after = Some(place);
            }
            page = if self.is_over() { Vec::new() } else { list.after(link, keys, after.as_ref()).await? };
        }
        Ok(self.flow())
    }

    /// Whether to go on with the next partition.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if self.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether one more is to be shown, which it then is; asked for each that is meant, in their order.
    pub(crate) fn takes(&mut self, cursor: Cursor) -> bool {
        if self.shown == self.page.limit {
            self.has_more = true;
            return false;
        }
        self.shown += 1;
        self.last = Some(cursor);
        true
    }

    /// Whether the page is full and there is more.
    pub(crate) fn is_over(&self) -> bool {
        self.has_more
    }

    /// Says how to go on.
    pub(crate) fn end(&self) {
        if let (true, Some(last)) = (self.has_more, &self.last) {
            say(format_args!("{} shown; there are more: the same with --after '{last}'", count(self.shown)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for text in ["0:1700000000000-3", "15:1700000000000:order:17"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for bad in ["", "x", "0", "0:", ":1", "-1:5", "70000:5"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
