//! What settle did, judged by its answers: each has its receipt, its line, its acknowledgement, and its resource as the
//! line says; and no other key has changed.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{Bucket, JobId};
use tollgate::journal::Line;
use tollgate::kinds::{AccountOpen, Event, Fields, JobRequest, Operation, Payout, Redeem, Request};
use tollgate::scripts::settle::{Answer, Settlement};

use super::expect;
use crate::space::*;

/// A hash; nothing if the key is absent or of another type.
pub(super) fn rows(dump: &Dump, key: &str) -> BTreeMap<String, String> {
    dump.fields(key).unwrap_or_default()
}

fn number(rows: &BTreeMap<String, String>, field: &str) -> i128 {
    rows.get(field).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The entries that lie in a row; `whole` are those of the one that nothing has left.
fn in_flight(dump: &Dump, whole: &[String]) -> BTreeSet<String> {
    let place = |entry: &str| {
        let (ms, seq) = entry.split_once('-')?;
        Some((ms.parse::<u64>().ok()?, seq.parse::<u64>().ok()?))
    };
    let mut found = BTreeSet::new();
    for (key, row) in rows(dump, "in_flight:default") {
        let words: Vec<&str> = row.split('\t').collect();
        let (Some(last), Some(ids)) = (words.get(4), words.get(6)) else { continue };
        let is_in = |entry: &&String| place(entry) > place(&key) && place(entry) <= place(last);
        found.extend(ids.split_whitespace().map(str::to_owned));
        if ids.is_empty() {
            found.extend(whole.iter().filter(is_in).cloned());
        }
    }
    found
}

/// The reason in a parked row, if it can be read and has one.
fn reason(row: &str) -> Option<&str> {
    let words: Vec<&str> = row.splitn(8, '\t').collect();
    let [state, fingerprint, attempts, _, reason, at_ms, length, _] = words[..] else { return None };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = !state.is_empty()
        && state.bytes().all(|byte| byte.is_ascii_lowercase())
        && !fingerprint.is_empty()
        && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit())
        && [attempts, at_ms].iter().all(|text| !text.is_empty() && is_number(text))
        && is_number(length);
    (is_whole && !reason.is_empty()).then_some(reason)
}

/// A call of settle, and the partition before and after it.
pub(super) struct Effect<'a> {
    pub(super) jobs: &'a [(Option<&'a str>, &'a JobId, &'a Request)],
    pub(super) settlement: &'a Settlement,
    /// The entries of the row that nothing has left.
    pub(super) whole: &'a [String],
    pub(super) before: &'a Dump,
    pub(super) after: &'a Dump,
}

/// What is asked of an answer.
type IsSo = fn(&Answer) -> bool;

/// The keys that may have changed.
type Allowed = BTreeSet<String>;

impl Effect<'_> {
    /// All of it.
    pub(super) async fn judge(&self, space: &mut Space) -> Result<(), String> {
        let mut allowed = Allowed::from(["head".to_owned()]);
        self.judge_counts()?;
        self.judge_entries(&mut allowed)?;
        if self.count(|answer| matches!(answer, Answer::Decided { .. })) > 0 {
            let lines = self.judge_journal(space).await?;
            allowed.insert("journal".to_owned());
            self.judge_parked(&lines, &mut allowed)?;
            self.judge_receipts(&lines, &mut allowed)?;
            self.judge_resources(&lines, &mut allowed)?;
        }
        let changed = self.before.changed(self.after).into_iter();
        let stray: Vec<_> = changed.filter(|key| !allowed.contains(key)).collect();
        expect(stray.is_empty(), || format!("{stray:?} changed too"))
    }

    /// By how much a number of the head has grown.
    fn grown(&self, field: &str) -> i128 {
        number(&rows(self.after, "head"), field) - number(&rows(self.before, "head"), field)
    }

    /// How many answers are so; what does not lie in the caller's row is answered, and counts nothing.
    fn count(&self, is_so: IsSo) -> i128 {
        let in_flight = in_flight(self.before, self.whole);
        let owned = self.jobs.iter().map(|(entry, ..)| entry.is_none_or(|entry| in_flight.contains(entry)));
        let answers = self.settlement.answers.iter().zip(owned);
        answers.filter(|(answer, owned)| *owned && is_so(answer)).count() as i128
    }

    /// The head counts what was answered, and nothing else in it changes.
    fn judge_counts(&self) -> Result<(), String> {
        let counted: [(&str, IsSo); 4] = [
            ("seq", |answer| matches!(answer, Answer::Decided { .. })),
            ("replayed", |answer| matches!(answer, Answer::Replayed { .. })),
            ("mismatched", |answer| matches!(answer, Answer::Mismatch { .. })),
            ("expired", |answer| matches!(answer, Answer::Expired)),
        ];
        for (field, is_so) in counted {
            expect(self.grown(field) == self.count(is_so), || {
                format!("{field} grew by {}", self.grown(field))
            })?;
        }
        let own = ["hash", "acked", "acked:default", "rows:default", "overtaken"];
        let is_own = |field: &str| {
            own.contains(&field)
                || counted.iter().any(|(name, _)| *name == field)
                || field.starts_with("dead:")
        };
        let head = rows(self.after, "head");
        for (field, value) in rows(self.before, "head").iter().filter(|(field, _)| !is_own(field)) {
            expect(head.get(field) == Some(value), || format!("head: {field} changed"))?;
        }
        Ok(())
    }

    /// Every settled entry, and no other, left its row, and was counted.
    fn judge_entries(&self, allowed: &mut Allowed) -> Result<(), String> {
        let answered = self.jobs.iter().zip(&self.settlement.answers);
        let settled: BTreeSet<String> = answered
            .filter(|(_, answer)| !matches!(answer, Answer::Undecided(_) | Answer::NotOwner))
            .filter_map(|((entry, ..), _)| entry.map(str::to_owned))
            .collect();
        let (before, after) = (in_flight(self.before, self.whole), in_flight(self.after, self.whole));
        let expected: BTreeSet<String> = before.difference(&settled).cloned().collect();
        expect(after == expected, || format!("in flight: {after:?}"))?;
        let acknowledged = before.intersection(&settled).count() as i128;
        expect(self.grown("acked") == acknowledged, || format!("acked grew by {}", self.grown("acked")))?;
        if !settled.is_empty() {
            allowed.extend(["queue:default".to_owned(), "in_flight:default".to_owned()]);
        }
        Ok(())
    }

    /// One journal entry whose lines are the decisions, chained to the one before.
    async fn judge_journal(&self, space: &mut Space) -> Result<Vec<Line>, String> {
        let (keys, seq) = (space.keys.clone(), self.settlement.seq_before + 1);
        let entries = tollgate::journal::read(&mut space.link, &keys, seq, 10).await.unwrap();
        let entries = entries.map_err(|damage| damage.to_string())?;
        let [entry] = &entries[..] else { return Err(format!("{} new journal entries", entries.len())) };
        let hash = |dump| rows(dump, "head")["hash"].clone();
        expect(entry.expected_hash(&hash(self.before)) == entry.hash, || "the chain is broken".into())?;
        expect(hash(self.after) == entry.hash, || "the head has another hash than its entry".into())?;
        let lines = entry.lines().map_err(|damage| damage.to_string())?;
        let answered = self.jobs.iter().zip(&self.settlement.answers);
        let mut decisions = answered.filter_map(|((_, id, request), answer)| match answer {
            Answer::Decided { code, seq } => {
                Some(((*id).clone(), Event::from((*request).clone()), *code, *seq))
            }
            _ => None,
        });
        for line in &lines {
            let told = (line.id.clone(), line.event.clone(), line.code, line.seq);
            expect(decisions.next() == Some(told), || format!("a line that was not answered: {line:?}"))?;
        }
        expect(decisions.next().is_none(), || "a decision without a line".into())?;
        Ok(lines)
    }

    /// What is decided is parked no more, and was counted where it was.
    fn judge_parked(&self, lines: &[Line], allowed: &mut Allowed) -> Result<(), String> {
        let mut overtaken = 0;
        for Line { id, .. } in lines {
            // Without a row nobody looks at the indexes.
            if rows(self.before, "parked").contains_key(id.as_str()) {
                for index in ["scheduled", "dead"] {
                    let was_in = |dump: &Dump| dump.members_or_none(index).contains(&id.to_string());
                    allowed.extend([index.to_owned(), "parked".to_owned()]);
                    overtaken += i128::from(was_in(self.before));
                    expect(!was_in(self.after), || format!("{index} still has a decided id"))?;
                }
            }
            expect(!rows(self.after, "parked").contains_key(id.as_str()), || {
                "a parked row of a decided id".into()
            })?;
        }
        self.judge_dead_counts()?;
        expect(self.grown("overtaken") == overtaken, || {
            format!("overtaken grew by {}", self.grown("overtaken"))
        })
    }

    /// What left dead is counted no more under the reason that its row had.
    fn judge_dead_counts(&self) -> Result<(), String> {
        let (parked, dead) = (rows(self.before, "parked"), self.after.members_or_none("dead"));
        let of_reasons = |dump| -> BTreeMap<String, String> {
            rows(dump, "head").into_iter().filter(|(field, _)| field.starts_with("dead:")).collect()
        };
        let mut expected = of_reasons(self.before);
        for id in self.before.members_or_none("dead").iter().filter(|id| !dead.contains(id)) {
            let field =
                format!("dead:{}", parked.get(id).and_then(|row| reason(row)).unwrap_or("corrupt_state"));
            let count = expected.get(&field).and_then(|text| text.parse::<u64>().ok());
            let count = count.filter(|count| *count <= tollgate::amount::NUMBER_MAX).unwrap_or_default();
            expected.insert(field, count.saturating_sub(1).to_string());
        }
        let found = of_reasons(self.after);
        expect(found == expected, || format!("dead by reason: {found:?}, not {expected:?}"))
    }

    /// Each line has its receipt, where its id's is kept.
    fn judge_receipts(&self, lines: &[Line], allowed: &mut Allowed) -> Result<(), String> {
        let floor = number(&rows(self.before, "head"), "receipts_floor");
        let mut receipts: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for line in lines {
            let bucket = match line.id.bucket() {
                Bucket::Hour(hour) if i128::from(hour) >= floor => format!("receipts:{hour}"),
                _ => "receipts:kept".to_owned(),
            };
            let text = format!("{} {} {}", Fingerprint::of(&line.event), line.code, line.seq);
            let before = || rows(self.before, &bucket);
            receipts.entry(bucket.clone()).or_insert_with(before).insert(line.id.to_string(), text);
        }
        for (bucket, expected) in receipts {
            let found = rows(self.after, &bucket);
            expect(found == expected, || format!("{bucket}: {found:?}"))?;
            allowed.insert(bucket);
        }
        Ok(())
    }

    /// Each resource is as its last line says, its seq that of its last change; holders grew by what was redeemed.
    fn judge_resources(&self, lines: &[Line], allowed: &mut Allowed) -> Result<(), String> {
        let (before, after) = (self.before, self.after);
        let mut customers: BTreeMap<(String, String), i128> = BTreeMap::new();
        for line in lines {
            let key = line.event.resource().to_string();
            let now = rows(after, &key);
            let last = lines.iter().rfind(|other| other.event.resource() == line.event.resource()).unwrap();
            let name = if key.starts_with("account") { "available" } else { "issued" };
            let value = now.get(name).and_then(|text| text.parse::<u64>().ok());
            expect(value == last.after(name), || format!("{key} is {now:?}, its last line says {last:?}"))?;
            let changes =
                |line: &Line| line.code == Code::Held || line.code.class() == tollgate::code::Class::Applied;
            if !changes(line) {
                continue;
            }
            allowed.insert(key.clone());
            let mut of_same = lines.iter().filter(|other| other.event.resource() == line.event.resource());
            let changed = of_same.rfind(|other| changes(other)).unwrap();
            expect(now["seq"] == changed.seq.to_string(), || {
                format!("{key}: seq {} after {changed:?}", now["seq"])
            })?;
            match &line.event {
                Event::Job(JobRequest::Redeem(Redeem { campaign, customer, quantity })) => {
                    allowed.insert(format!("holders:{campaign}"));
                    let count = customers.entry((campaign.to_string(), customer.to_string()));
                    *count.or_default() += i128::from(quantity.get());
                }
                Event::Job(JobRequest::Payout(Payout { .. })) => {
                    allowed.extend([format!("hold:{}", line.id), "payouts".to_owned()]);
                    let hold = rows(after, &format!("hold:{}", line.id));
                    let told = [hold["state"].clone(), hold["seq"].clone()];
                    expect(told == ["held".to_owned(), line.seq.to_string()], || format!("{hold:?}"))?;
                    let queued = after.members("payouts").contains(&format!(
                        "{}\t{}",
                        line.event.resource().id(),
                        line.id
                    ));
                    expect(queued, || format!("{} is not in payouts", line.id))?;
                }
                Event::Operation(Operation::CampaignCreate(_))
                | Event::Operation(Operation::AccountOpen(AccountOpen { .. })) => {
                    allowed.insert("resources".to_owned());
                    expect(after.members("resources").contains(&key), || {
                        format!("{key} is not in the index")
                    })?;
                }
                _ => {}
            }
        }
        for ((campaign, customer), redeemed) in customers {
            let key = format!("holders:{campaign}");
            let held = |dump: &Dump| number(&rows(dump, &key), &customer);
            expect(held(after) - held(before) == redeemed, || format!("{key}: {customer} grew otherwise"))?;
        }
        Ok(())
    }
}
