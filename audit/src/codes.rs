//! Lists of coupon codes: each must still be what its name says, since its name is the hash of its content.
//!
//! Nothing ever changes a list whose campaign or inventory exists, so it can be read at any time. Only the hash is known of what
//! should be there: a changed code is found, but not named; a missing one is.

use std::collections::BTreeMap;

use redis::{Pipeline, Value};

use tollgate::codes::Namer;
use tollgate::codes_name::CodesName;
use tollgate::failure::Failure;

use super::context::AuditContext;
use super::model::Model;
use super::read::{fields, judge};
use super::report::Check;

/// Codes of one HMGET, and HMGETs of one round trip.
const CHUNK: u64 = 500;
const CHUNKS: u64 = 10;

/// Reads every list that a campaign or an inventory of the model names, once.
pub(super) async fn check(context: &mut AuditContext<'_>, model: &Model) -> Result<(), Failure> {
    let mut lists = BTreeMap::new();
    let of_campaigns = model.campaigns.values().map(|campaign| (&campaign.codes, campaign.codes_count));
    let of_inventories =
        model.inventories.values().map(|inventory| (&inventory.codes, inventory.codes_count));
    for (name, count) in of_campaigns.chain(of_inventories) {
        if let Some(name) = name {
            lists.insert(name.as_str(), (name, count));
        }
    }
    for (name, count) in lists.into_values() {
        context.findings.checked.codes += count;
        if let Some((expected, found, what)) = damage(context, name, count).await? {
            let resource = format!("codes:{}", name.as_str());
            context.findings.violation(Check::G9, resource, &[], expected, found, what);
        }
    }
    Ok(())
}

/// What is wrong with a list: what should be there, what is, and why that matters.
async fn damage(
    context: &mut AuditContext<'_>,
    name: &CodesName,
    count: u64,
) -> Result<Option<(String, String, &'static str)>, Failure> {
    let key = context.keys.codes(name);
    match judge(context.link.run(redis::cmd("HLEN").arg(&key)).await)? {
        Ok(Value::Int(size)) if u64::try_from(size) == Ok(count) => {}
        Ok(size) => {
            let found =
                super::read::field(size).and_then(|size| String::from_utf8(size).ok()).unwrap_or_default();
            return Ok(Some((
                format!("{count} codes"),
                format!("{found} codes"),
                "codes are missing or were added",
            )));
        }
        Err(found) => return Ok(Some(("a hash".to_owned(), found, "the codes cannot be read"))),
    }
    let mut namer = Namer::default();
    let mut first = 1;
    while first <= count {
        let last = count.min(first + CHUNK * CHUNKS - 1);
        let mut pipeline = Pipeline::new();
        for from in (first..=last).step_by(CHUNK as usize) {
            pipeline.cmd("HMGET").arg(&key);
            (from..=last.min(from + CHUNK - 1)).for_each(|number| _ = pipeline.arg(number));
        }
        let mut number = first;
        for reply in context.link.run_pipeline(&pipeline).await? {
            let codes = judge(reply)?.map(fields).unwrap_or_default();
            for code in codes {
                let Some(code) = code else {
                    let what = "a code is missing: the redemption or the unit of its number would get none";
                    return Ok(Some((format!("code {number}"), "nothing".to_owned(), what)));
                };
                namer.add(&code);
                number += 1;
            }
        }
        first = last + 1;
    }
    let found = namer.name();
    if found.as_ref() == Some(name) {
        return Ok(None);
    }
    let shown = found.map(|found| found.as_str().to_owned()).unwrap_or_default();
    Ok(Some((name.as_str().to_owned(), shown, "the codes do not hash to their name: one was changed")))
}
