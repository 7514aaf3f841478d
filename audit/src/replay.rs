//! The replay: reads the journal in pages, checks that it is contiguous and that its chain of hashes holds, lets
//! the model decide every line again, and hands each line to those who wait for it.
//!
//! Stops at a given seq, so that what was read at that seq can be compared; called again it goes on from there.

use tollgate::amount::money;
use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::fingerprint::Fingerprint;
use tollgate::journal::{self, Entry, JournalDamage, Line, Overtaken};
use tollgate::kinds::{Event, Fields};
use tollgate::partition::Partition;
use tollgate::resource::Resource;

use super::context::{AuditContext, Progress};
use super::head::Head;
use super::holders::MultisetHash;
use super::model::Model;
use super::read::damage;
use super::receipts::{ReceiptRule, Receipts};
use super::report::{Check, Position};
use super::rules;
use super::state::Observed;
use super::stock;

/// Entries of one page: one reply of a few hundred kilobytes when batches are full.
const PAGE: usize = 200;

/// What one partition's journal says, as far as it was read.
pub(super) struct Replay {
    pub(super) model: Model,
    pub(super) multiset: MultisetHash,
    pub(super) receipts: Receipts,
    pub(super) observed: Observed,
    /// The last line, and the hash of its entry.
    pub(super) seq: u64,
    pub(super) hash: String,
    /// How many parked jobs went with decisions so far.
    overtaken: u64,
    /// The stream id of the last entry that was looked at.
    after: Option<String>,
    /// Positions that the history must go through, by seq, the nearest last.
    expect: Vec<Position>,
}

impl Replay {
    pub(super) fn new(mut expect: Vec<Position>, head: Option<&Head>) -> Self {
        expect.sort_by_key(|position| std::cmp::Reverse(position.seq));
        Self {
            model: Model::default(),
            multiset: MultisetHash::fresh(),
            receipts: Receipts::new(head),
            observed: Observed::default(),
            seq: 0,
            hash: String::new(),
            overtaken: 0,
            after: None,
            expect,
        }
    }

    /// Replays all entries that end at or before `seq`.
    pub(super) async fn run_to(&mut self, context: &mut AuditContext<'_>, seq: u64) -> Result<(), Failure> {
        self.expectations(context);
        let mut more = true;
        while more {
            let page = match journal::page(context.link, context.keys, self.after.as_deref(), PAGE).await {
                Ok(page) => page,
                Err(failure) => {
                    let found = damage(failure)?;
                    context.findings.violation(
                        Check::G9,
                        "journal",
                        &[],
                        "a stream",
                        found,
                        "the journal cannot be read",
                    );
                    break;
                }
            };
            more = page.len() == PAGE;
            for row in page {
                match row {
                    // Newer than what is compared: read again by the next call.
                    Ok(entry) if entry.seq_last > seq => {
                        more = false;
                        break;
                    }
                    Ok(entry) => {
                        self.stock(context, &entry).await?;
                        self.entry(context, entry);
                    }
                    Err(JournalDamage { entry, what }) => {
                        let positions: Vec<u64> =
                            entry.split('-').next().and_then(|seq| seq.parse().ok()).into_iter().collect();
                        context.findings.violation(
                            Check::G9,
                            "journal",
                            &positions,
                            "entries that settle wrote",
                            format!("entry {entry}"),
                            what,
                        );
                        self.after = Some(entry);
                    }
                }
            }
            self.receipts.flush_if_many(context).await?;
            (context.progress)(Progress { partition: context.partition.number(), seq: self.seq, of: seq });
        }
        self.receipts.flush(context).await
    }

    /// Reads the lists of items that lines of this entry load, and tells those that are not what their lines say.
    async fn stock(&mut self, context: &mut AuditContext<'_>, entry: &Entry) -> Result<(), Failure> {
        for damage in stock::read_loaded(context.link, context.keys, &mut self.model, entry).await? {
            let name = Resource::Inventory(&damage.inventory).to_string();
            let expected = "the items that it was loaded with";
            let what = "the list of its items is not what it was loaded with: nothing proves its sales";
            context.findings.violation(Check::G1, name, &[damage.seq], expected, damage.what, what);
        }
        Ok(())
    }

    fn entry(&mut self, context: &mut AuditContext<'_>, entry: Entry) {
        let (first, next) = (entry.seq_first(), self.seq + 1);
        // A note behind the first half of its stream id names the last line before it, and has none itself.
        let is_contiguous = first == next && (entry.seq_last >= next || entry.note.is_some());
        if !is_contiguous {
            let (expected, found) =
                (format!("line {next} next"), format!("lines {first} to {}", entry.seq_last));
            let what = if first > next {
                "lines are missing"
            } else {
                "an entry has more lines than its place allows"
            };
            context.findings.violation(Check::G9, "journal", &[next, entry.seq_last], expected, found, what);
        } else {
            let expected = entry.expected_hash(&self.hash);
            if expected != entry.hash {
                let what = "this entry, its hash, or the hash of the entry before it was changed";
                context.findings.violation(
                    Check::G9,
                    "journal",
                    &[first, entry.seq_last],
                    expected,
                    &entry.hash,
                    what,
                );
            }
        }
        context.findings.checked.entries += 1;
        for line in entry.each_line() {
            match line {
                Ok(line) => self.line(context, line, is_contiguous),
                Err(damage) => {
                    let expected = "a line that settle wrote";
                    context.findings.violation(
                        Check::G9,
                        "journal",
                        &[entry.seq_last],
                        expected,
                        damage.entry,
                        damage.what,
                    );
                }
            }
        }
        self.overtaken(context, &entry);
        self.after = Some(entry.stream_id());
        self.seq = entry.seq_last;
        self.hash = entry.hash;
        self.expectations(context);
    }

    /// A parked job goes with a decision only if that decided the request that waited.
    fn overtaken(&mut self, context: &mut AuditContext<'_>, entry: &Entry) {
        for overtaken in entry.overtaken() {
            self.overtaken += 1;
            let Some(Overtaken { id, fingerprint }) = overtaken else {
                let (expected, found) = ("ids and fingerprints", format!("{:?}", entry.overtaken_text));
                let what = "the parked jobs that went with the decisions cannot be read";
                context.findings.violation(Check::G9, "journal", &[entry.seq_last], expected, found, what);
                continue;
            };
            let decided = entry.each_line().flatten().find(|line| line.id == id);
            let found = decided.as_ref().map(|line| Fingerprint::of(&line.event).to_string());
            if found.as_ref() != Some(&fingerprint.to_string()) {
                let positions: Vec<u64> = decided.iter().map(|line| line.seq).collect();
                let found = found.unwrap_or_else(|| "no decision".to_owned());
                let what = "a parked job is gone that nobody discarded: its id was taken by another request";
                context.findings.violation(
                    Check::G5,
                    format!("parked:{id}"),
                    &positions,
                    fingerprint,
                    found,
                    what,
                );
            }
        }
    }

    fn line(&mut self, context: &mut AuditContext<'_>, line: Line, is_contiguous: bool) {
        context.findings.checked.lines += 1;
        context.findings.asked_by(&line.by);
        let resource = line.event.resource();
        for resource in [Some(resource), line.event.other_resource()].into_iter().flatten() {
            let home = Partition::of(resource.id(), context.tollgate.partitions());
            if home == context.partition {
                continue;
            }
            let what = "a line of a resource of another partition";
            context.findings.violation(
                Check::G9,
                resource.to_string(),
                &[line.seq],
                home,
                context.partition,
                what,
            );
        }
        let rule = ReceiptRule::of(&line, &self.model);
        let multiset = &self.multiset;
        if let Some(decision) = rules::apply(&mut self.model, &line, &|customer, count| {
            multiset.of_holder(customer.as_bytes(), count)
        }) {
            let check = match resource {
                Resource::Campaign(_) | Resource::Inventory(_) | Resource::Case(_) => Check::G1,
                Resource::Account(_) if matches!(line.event, Event::Payout(_)) => Check::G14,
                Resource::Account(_) => Check::G2,
            };
            let said = |code: Code, after: &[u64], told: &Option<String>| {
                let mut text = code.to_string();
                for (name, number) in line.event.kind().spec().after.iter().zip(after) {
                    text += &match (resource, *name) {
                        (Resource::Account(id), "available") => {
                            let currency = self.model.accounts.get(id).map_or("", |account| account.currency);
                            format!(", {} available", money(u128::from(*number), currency))
                        }
                        _ => format!(", {name} {number}"),
                    };
                }
                let told = told.iter().flat_map(|told| told.split('\t'));
                for (name, told) in line.event.kind().spec().told.iter().zip(told) {
                    text += &format!(", {name} {told}");
                }
                text
            };
            let expected = said(decision.code, &decision.after, &decision.told);
            let found = said(line.code, &line.after, &line.told);
            let by = if line.by.is_empty() { String::new() } else { format!(" (by {})", line.by) };
            let what = format!("job {}{by} was decided otherwise than the lines before it demand", line.id);
            context.findings.violation(check, resource.to_string(), &[line.seq], expected, found, what);
        } else if line.code == Code::PaidAfterVoid {
            let what = format!("the gateway paid {} after its money had gone back", line.id);
            let (expected, found) = ("paid or given back, not both", line.code);
            context.findings.violation(Check::G28, resource.to_string(), &[line.seq], expected, found, what);
        }
        self.observed.resolve(context.findings, &self.model, &line);
        self.receipts.originals.push(&line);
        if let Some(rule) = rule {
            self.receipts.push(line.id, line.seq, line.code, rule, is_contiguous);
        }
    }

    /// Checks the receipts of the payouts and reservations that are open: the last line of their ids is the last so far.
    pub(super) async fn open_payouts(&mut self, context: &mut AuditContext<'_>) -> Result<(), Failure> {
        for (id, hold) in &self.model.holds {
            self.receipts.push(id.clone(), hold.seq, hold.state, ReceiptRule::Open(hold.fingerprint), true);
        }
        for (id, order) in &self.model.reservations {
            if let Some(hold) = order.hold {
                let rule = ReceiptRule::Open(hold.fingerprint);
                self.receipts.push(id.clone(), order.seq, Code::Reserved, rule, true);
            }
        }
        self.receipts.flush(context).await
    }

    /// Judges the expectations at this position, and those that the replay has passed.
    fn expectations(&mut self, context: &mut AuditContext<'_>) {
        while let Some(position) = self.expect.pop_if(|position| position.seq <= self.seq) {
            if position.seq != self.seq || position.hash != self.hash {
                let found = match position.seq == self.seq {
                    true => self.hash.clone(),
                    false => format!("an entry that ends at {}", self.seq),
                };
                let what = "timeline_regressed: the history is another one than the one that was audited";
                context.findings.violation(
                    Check::G13,
                    "journal",
                    &[position.seq],
                    position.hash,
                    found,
                    what,
                );
            }
        }
    }

    /// After the last entry: compares with the head, and judges what nothing has answered.
    pub(super) fn finish(&mut self, context: &mut AuditContext<'_>, head: Option<&Head>) {
        context.findings.head(self.seq, &self.hash);
        context.findings.checked.campaigns += self.model.campaigns.len() as u64;
        context.findings.checked.accounts += self.model.accounts.len() as u64;
        context.findings.checked.inventories += self.model.inventories.len() as u64;
        context.findings.checked.cases += self.model.cases.len() as u64;
        context.findings.checked.holds += self.model.holds.len() as u64;
        if let Some(head) = head {
            let positions = [head.seq, self.seq];
            if head.seq != self.seq {
                let (expected, found) = (format!("seq {}", self.seq), format!("seq {}", head.seq));
                let what = "the head names another seq than the journal's last entry";
                context.findings.violation(Check::G9, "head", &positions, expected, found, what);
            } else if head.hash != self.hash {
                let what = "the head names another hash than the journal's last entry";
                context.findings.violation(Check::G9, "head", &positions[..1], &self.hash, &head.hash, what);
            } else if head.overtaken.is_some_and(|overtaken| overtaken != self.overtaken) {
                let (expected, found) = (self.overtaken, head.overtaken.unwrap_or_default());
                let what =
                    "the head counts other parked jobs that went with a decision than the journal names";
                context.findings.violation(Check::G10, "head", &positions[..1], expected, found, what);
            }
        }
        for position in std::mem::take(&mut self.expect) {
            let lost = position.seq - self.seq;
            let (expected, found) = (format!("seq {}", position.seq), format!("seq {}", self.seq));
            let what = format!("timeline_regressed: {lost} lines are lost");
            context.findings.violation(
                Check::G13,
                "journal",
                &[self.seq, position.seq],
                expected,
                found,
                what,
            );
        }
        self.observed.unresolved(context.findings, &self.model);
    }
}
