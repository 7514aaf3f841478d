//! The journal: one stream entry per settle, one line per decided job, one hash chain per partition.
//!
//! A line says what was asked (every field of the meaning), what was decided, and what that left behind.
//! So a fingerprint can be computed from its line, and a model can replay the whole history. Reading only:
//! nothing but `settle` writes it.

mod export;
mod line;

use redis::Value;
use sha1::{Digest, Sha1};

use crate::connection::failure::Failure;
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::JobId;

use crate::connection::link::Link;
use crate::connection::reply::Reply;
use crate::protocol::keys::Keys;

pub use export::ExportLine;
pub use line::Line;
use line::read_line;

/// One entry of the journal stream: what one settle call decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The seq of its last line, which is the first half of its stream id.
    pub seq_last: u64,
    /// Server time of the decision, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The lines as they are stored, one per decided job.
    pub text: String,
    /// Who asked for it; empty for what a worker settled.
    pub by: String,
    /// SHA-1 over the previous entry's hash, this entry's seq and time, `by`, the SHA-1 of its lines, and
    /// `overtaken`, in hex.
    pub hash: String,
    /// The parked jobs that went with these decisions, as they are stored: see [`Entry::overtaken`].
    pub overtaken_text: String,
    /// What a repair says of itself: what, of which key, why. Such an entry has no lines and stands behind the entry
    /// of the last line.
    pub note: Option<String>,
    /// The second half of its stream id: 0, or the number of the note behind that line.
    pub part: u64,
}

/// A job that waited in scheduled or dead when another copy of it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overtaken {
    /// The job's id.
    pub id: JobId,
    /// Of the request that waited.
    pub fingerprint: Fingerprint,
}

/// An entry or a line that cannot be one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal entry {entry}: {what}")]
pub struct JournalDamage {
    /// The stream id.
    pub entry: String,
    /// What is wrong with it.
    pub what: String,
}

impl JournalDamage {
    /// The journal ends behind line `last`, and the head says `head`.
    pub fn ends_early(head: u64, last: u64) -> Self {
        let what = format!("the head says {head}, and after {last} there is nothing");
        Self { entry: format!("{head}-0"), what }
    }
}

impl Entry {
    /// The hash that this entry must have after an entry with `previous` (empty at the beginning).
    pub fn expected_hash(&self, previous: &str) -> String {
        if let Some(note) = &self.note {
            let Self { seq_last, at_ms, by, .. } = self;
            return sha1_hex(&format!("{previous}\n{seq_last}\n{at_ms}\n{by}\nnote\n{}", sha1_hex(note)));
        }
        let lines = sha1_hex(&self.text);
        let Self { seq_last, at_ms, by, overtaken_text, .. } = self;
        sha1_hex(&format!("{previous}\n{seq_last}\n{at_ms}\n{by}\n{lines}\n{overtaken_text}"))
    }

    /// Its id in the stream.
    pub fn stream_id(&self) -> String {
        format!("{}-{}", self.seq_last, self.part)
    }

    /// The parked jobs that went with these decisions; `None` for one that cannot be read.
    pub fn overtaken(&self) -> impl Iterator<Item = Option<Overtaken>> + '_ {
        self.overtaken_text.split_terminator('\n').map(|text| {
            let (id, fingerprint) = text.split_once('\t')?;
            Some(Overtaken { id: JobId::stored(id).ok()?, fingerprint: Fingerprint::parse(fingerprint)? })
        })
    }

    /// Its seq of the first line.
    pub fn seq_first(&self) -> u64 {
        if self.note.is_some() {
            return self.seq_last + 1;
        }
        (self.seq_last + 1).saturating_sub(self.text.split('\n').count() as u64)
    }

    /// Its lines in order.
    ///
    /// # Errors
    /// [`JournalDamage`] names the line that cannot be read.
    pub fn lines(&self) -> Result<Vec<Line>, JournalDamage> {
        self.each_line().collect()
    }

    /// Its lines in order, each as far as it can be read.
    pub fn each_line(&self) -> impl Iterator<Item = Result<Line, JournalDamage>> + '_ {
        let lines = self.text.split('\n').zip(self.seq_first()..).filter(|_| self.note.is_none());
        lines.map(|(text, seq)| {
            read_line(text, seq, self.at_ms, &self.by).ok_or_else(|| JournalDamage {
                entry: format!("{}-0", self.seq_last),
                what: format!("line {seq} cannot be read: {text:?}"),
            })
        })
    }
}

fn sha1_hex(text: &str) -> String {
    Sha1::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads up to `count` entries whose last line is at or after `seq`, in order.
///
/// # Errors
/// The outer error is Redis's; the inner one names an entry that is not ours.
pub async fn read(
    link: &mut Link,
    keys: &Keys,
    seq: u64,
    count: usize,
) -> Result<Result<Vec<Entry>, JournalDamage>, Failure> {
    let rows = range(link, keys, &format!("{seq}-0"), count).await?;
    Ok(rows.into_iter().collect())
}

/// Reads up to `count` entries after the stream id `after`, or from the first one, each as far as it is ours.
///
/// # Errors
/// Redis's.
pub async fn page(
    link: &mut Link,
    keys: &Keys,
    after: Option<&str>,
    count: usize,
) -> Result<Vec<Result<Entry, JournalDamage>>, Failure> {
    let first = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
    range(link, keys, &first, count).await
}

async fn range(
    link: &mut Link,
    keys: &Keys,
    first: &str,
    count: usize,
) -> Result<Vec<Result<Entry, JournalDamage>>, Failure> {
    let mut command = redis::cmd("XRANGE");
    command.arg(keys.journal()).arg(first).arg("+").arg("COUNT").arg(count);
    let mut reply = Reply::of(link.run(&command).await?)?;
    let mut entries = Vec::new();
    while !reply.is_empty() {
        let mut row = reply.list("journal entry")?;
        let id = row.text("entry id")?;
        let fields = row.next("entry fields")?;
        let foreign = |id| JournalDamage { entry: id, what: "not written by settle".to_owned() };
        entries.push(read_entry(&id, fields).ok_or_else(|| foreign(id)));
    }
    Ok(entries)
}

fn read_entry(id: &str, fields: Value) -> Option<Entry> {
    let mut fields = Reply::of(fields).ok()?;
    let (seq_last, part) = id.split_once('-')?;
    let (seq_last, part): (u64, u64) = (seq_last.parse().ok()?, part.parse().ok()?);
    let field = |fields: &mut Reply, expected: &str| match fields.text("name").ok()? {
        name if name == expected => fields.text("value").ok(),
        _ => None,
    };
    let at_ms = field(&mut fields, "at_ms")?.parse().ok()?;
    let by = field(&mut fields, "by")?;
    if part > 0 {
        let (note, hash) = (field(&mut fields, "note")?, field(&mut fields, "hash")?);
        let (text, overtaken_text) = (String::new(), String::new());
        let entry = Entry { seq_last, at_ms, by, text, hash, overtaken_text, note: Some(note), part };
        return fields.is_empty().then_some(entry);
    }
    let (text, hash) = (field(&mut fields, "lines")?, field(&mut fields, "hash")?);
    let overtaken_text = if fields.is_empty() { String::new() } else { field(&mut fields, "overtaken")? };
    fields.is_empty().then_some(Entry { seq_last, at_ms, by, text, hash, overtaken_text, note: None, part })
}

/// The line at `seq`, if the journal still has it.
///
/// # Errors
/// As [`read`].
pub async fn line_at(
    link: &mut Link,
    keys: &Keys,
    seq: u64,
) -> Result<Result<Option<Line>, JournalDamage>, Failure> {
    let entries = match read(link, keys, seq, 1).await? {
        Ok(entries) => entries,
        Err(damage) => return Ok(Err(damage)),
    };
    let lines = entries.first().map_or(Ok(Vec::new()), Entry::lines);
    Ok(lines.map(|lines| lines.into_iter().find(|line| line.seq == seq)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_back_from_its_last_line() {
        let entry = Entry {
            seq_last: 7,
            at_ms: 1,
            text: "a\nb\nc".to_owned(),
            by: String::new(),
            hash: String::new(),
            overtaken_text: String::new(),
            note: None,
            part: 0,
        };
        assert_eq!(entry.seq_first(), 5);
    }
}
