//! Parked jobs: each id in `scheduled` and `dead` has a row that says so, and each such row is in its set.
//!
//! Every move of a parked job changes one of a few numbers in the head, so what is read between two equal readings
//! of these is of one instant. A row that is back in its stream (`queued`) is in neither set; that its entry is in
//! the stream is what the conservation law counts.

use std::collections::HashSet;

use redis::{Pipeline, Value};

use tollgate::envelope::Envelope;
use tollgate::failure::Failure;
use tollgate::fingerprint::Fingerprint;
use tollgate::parked::Row;
use tollgate::scripts::lookup::ParkedState;

use super::context::AuditContext;
use super::read::{Field, fields, judge, scanned, shown};
use super::report::Check;

/// Ids of one look: few enough that the request is one read of the server's, and so seldom interrupted.
const CHUNK: usize = 64;
/// How often a look is repeated that was interrupted.
const TRIES: usize = 50;
/// What changes with every move of a parked job.
const WATCHED: [&str; 6] = ["overtaken", "seq", "to_scheduled", "to_dead", "requeued", "discarded"];

/// Checks rows against sets, and sets against rows.
pub(super) async fn check(context: &mut AuditContext<'_>) -> Result<(), Failure> {
    let mut told = HashSet::new();
    let (parked, scheduled, dead) = (context.keys.parked(), context.keys.scheduled(), context.keys.dead());
    for (command, key, name) in
        [("HSCAN", &parked, "parked"), ("ZSCAN", &scheduled, "scheduled"), ("ZSCAN", &dead, "dead")]
    {
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = redis::cmd(command);
            scan.arg(key).arg(&cursor).arg("COUNT").arg(CHUNK);
            let value = match judge(context.link.run(&scan).await)? {
                Ok(value) => value,
                Err(found) => {
                    let what = "the parked jobs cannot be read";
                    context.findings.violation(Check::G10, name, &[], "its own type", found, what);
                    break;
                }
            };
            let (next, items) = scanned(value);
            let ids: Vec<Vec<u8>> = items.into_iter().step_by(2).collect();
            if command == "HSCAN" {
                context.findings.checked.parked += ids.len() as u64;
            }
            for chunk in ids.chunks(CHUNK) {
                look(context, chunk, &mut told).await?;
            }
            if next == b"0" {
                break;
            }
            cursor = next;
        }
    }
    Ok(())
}

/// Reads the rows and the places of some ids at one instant, and judges them.
async fn look(
    context: &mut AuditContext<'_>,
    ids: &[Vec<u8>],
    told: &mut HashSet<Vec<u8>>,
) -> Result<(), Failure> {
    let mut pipeline = Pipeline::with_capacity(5);
    let watch = |pipeline: &mut Pipeline| _ = pipeline.cmd("HMGET").arg(context.keys.head()).arg(&WATCHED);
    watch(&mut pipeline);
    pipeline.cmd("HMGET").arg(context.keys.parked()).arg(ids);
    pipeline.cmd("ZMSCORE").arg(context.keys.scheduled()).arg(ids);
    pipeline.cmd("ZMSCORE").arg(context.keys.dead()).arg(ids);
    watch(&mut pipeline);
    for _ in 0..TRIES {
        let mut lists = Vec::with_capacity(5);
        for reply in context.link.run_pipeline(&pipeline).await? {
            // Of another type: told where it is scanned.
            lists.push(fields(judge(reply)?.unwrap_or(Value::Nil)));
        }
        let [before, rows, scheduled, dead, after] = lists.as_slice() else {
            return Err(Failure::unknown("a reply is missing"));
        };
        if before != after {
            continue;
        }
        let at = |list: &[Field], i: usize| list.get(i).cloned().flatten();
        for (i, id) in ids.iter().enumerate() {
            let (row, scheduled, dead) = (at(rows, i), at(scheduled, i), at(dead, i));
            if let Some((expected, found, what)) = judge_one(&row, &scheduled, &dead)
                && told.insert(id.clone())
            {
                let resource = format!("parked:{}", String::from_utf8_lossy(id));
                context.findings.violation(Check::G10, resource, &[], expected, found, what);
            }
        }
        return Ok(());
    }
    context.findings.checked.in_progress += ids.len() as u64;
    Ok(())
}

/// What is wrong with one id: what should be there, what is, and why that matters.
fn judge_one(row: &Field, scheduled: &Field, dead: &Field) -> Option<(String, String, &'static str)> {
    let score = |field: &Field| {
        let text = field.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok())?;
        text.parse::<f64>().ok().map(|score| score as u64)
    };
    let place = match (score(scheduled), score(dead)) {
        (None, None) => "in neither scheduled nor dead".to_owned(),
        (Some(at), None) => format!("in scheduled at {at}"),
        (None, Some(at)) => format!("in dead at {at}"),
        (Some(_), Some(_)) => "in scheduled and dead".to_owned(),
    };
    let Some(bytes) = row else {
        let gone = scheduled.is_some() || dead.is_some();
        return gone
            .then(|| ("a parked row".to_owned(), format!("none, but {place}"), "the job's bytes are lost"));
    };
    let Some(row) = Row::parse(bytes) else {
        return Some(("a parked row".to_owned(), shown(&Some(bytes.clone())), "the row cannot be read"));
    };
    let expected = match row.state {
        ParkedState::Scheduled => format!("in scheduled at {}", row.at_ms),
        ParkedState::Dead => format!("in dead at {}", row.at_ms),
        ParkedState::Queued => "in neither scheduled nor dead".to_owned(),
    };
    if expected != place {
        return Some((expected, place, "row and place do not agree: the job would be lost or run early"));
    }
    if row.stripped_bytes.is_some() {
        return None;
    }
    let poison = Fingerprint::of_poison(&row.envelope);
    let request = Envelope::decode(&row.envelope).ok().map(|envelope| Fingerprint::of(&envelope.request));
    if row.fingerprint != poison && Some(row.fingerprint) != request {
        let expected = request.unwrap_or(poison).to_string();
        return Some((expected, row.fingerprint.to_string(), "the row's fingerprint is not that of its job"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str) -> Field {
        let fingerprint = Fingerprint::of_poison(b"junk");
        Some(format!("{state}\t{fingerprint}\t0\tdefault\tmalformed_json\t17\t\tjunk").into_bytes())
    }

    #[test]
    fn a_row_must_be_where_it_says() {
        let at = |score: &str| Some(score.as_bytes().to_vec());
        assert_eq!(judge_one(&row("dead"), &None, &at("17")), None);
        assert_eq!(judge_one(&row("scheduled"), &at("17"), &None), None);
        assert_eq!(judge_one(&row("queued"), &None, &None), None);
        assert_eq!(judge_one(&None, &None, &None), None);
        for (row, scheduled, dead) in [
            (row("dead"), None, None),
            (row("dead"), None, at("18")),
            (row("dead"), at("17"), at("17")),
            (row("queued"), at("17"), None),
            (None, None, at("17")),
            (Some(b"junk".to_vec()), None, at("17")),
        ] {
            assert!(judge_one(&row, &scheduled, &dead).is_some(), "{row:?} {scheduled:?} {dead:?}");
        }
        let other = Some(b"dead\t0000000000000000\t0\tdefault\tx\t17\t\tjunk".to_vec());
        assert!(judge_one(&other, &None, &at("17")).unwrap().2.contains("fingerprint"));
    }
}
