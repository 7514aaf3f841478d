//! Decode: bytes become jobs that this partition can decide.
//!
//! What cannot become one is refused with a code; it keeps its bytes. Pure.

use tollgate::code::Code;
use tollgate::envelope::{Envelope, Poison};
use tollgate::fetch::Delivered;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::JobId;
use tollgate::job::Job;
use tollgate::kinds::Fields;
use tollgate::partition::{Partition, Partitions};

use crate::in_flight::Batch;

/// A job and the entry that carried it.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) delivered: &'a Delivered,
    pub(crate) job: Job,
    pub(crate) fingerprint: Fingerprint,
}

/// What is known of an entry that may have to be moved.
#[derive(Debug)]
pub(crate) struct EntryIdentity<'a> {
    pub(crate) delivered: &'a Delivered,
    pub(crate) id: JobId,
    pub(crate) fingerprint: Fingerprint,
}

/// A batch, decoded.
#[derive(Debug)]
pub(crate) struct DecodedBatch<'a> {
    pub(crate) jobs: Vec<Decoded<'a>>,
    pub(crate) refused: Vec<(EntryIdentity<'a>, Code)>,
}

pub(crate) fn decode(batch: &Batch, partitions: Partitions) -> DecodedBatch<'_> {
    let mut decoded = DecodedBatch { jobs: Vec::with_capacity(batch.entries.len()), refused: Vec::new() };
    for delivered in &batch.entries {
        match Envelope::decode_job(&delivered.job) {
            Ok(job) => {
                let fingerprint = Fingerprint::of(&job.request);
                let is_here = |id| Partition::of(id, partitions) == batch.partition;
                let code = match job.request.other_resource() {
                    _ if !is_here(job.request.resource().id()) => Some(Code::WrongPartition),
                    Some(other) if !is_here(other.id()) => Some(Code::TwoPartitions),
                    _ => None,
                };
                match code {
                    None => decoded.jobs.push(Decoded { delivered, job, fingerprint }),
                    Some(code) => {
                        let identity = EntryIdentity { delivered, id: job.id, fingerprint };
                        decoded.refused.push((identity, code));
                    }
                }
            }
            Err(poison) => {
                let code = poison.error.code;
                decoded.refused.push((identity_of_poison(delivered, batch, poison), code));
            }
        }
    }
    decoded
}

/// The identity of an entry, whatever it holds.
pub(crate) fn identify<'a>(delivered: &'a Delivered, batch: &Batch) -> EntryIdentity<'a> {
    match Envelope::decode_job(&delivered.job) {
        Ok(job) => EntryIdentity { delivered, fingerprint: Fingerprint::of(&job.request), id: job.id },
        Err(poison) => identity_of_poison(delivered, batch, poison),
    }
}

fn identity_of_poison<'a>(delivered: &'a Delivered, batch: &Batch, poison: Poison) -> EntryIdentity<'a> {
    EntryIdentity {
        delivered,
        id: poison.id.unwrap_or_else(|| JobId::poison(&batch.queue, &delivered.entry)),
        fingerprint: Fingerprint::of_poison(&delivered.job),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_flight::redelivery::Redelivery;
    use crate::in_flight::{Left, WentOn};
    use tollgate::fetch::Row;
    use tollgate::ids::QueueName;

    #[test]
    fn jobs_of_this_partition_pass_and_the_rest_is_refused_by_its_code() {
        let two = Partitions::new(2).unwrap();
        let job = |campaign: &str| {
            format!(r#"{{"id":"{campaign}","kind":"redeem","campaign":"{campaign}","customer":"c"}}"#)
        };
        let partition = Partition::of("here", two);
        let there =
            (0..).map(|n| format!("there{n}")).find(|id| Partition::of(id, two) != partition).unwrap();
        let across =
            format!(r#"{{"id":"across","kind":"transfer","from":"here","to":"{there}","amount":1}}"#);
        let bodies =
            [job("here"), across, job(&there), "{".to_owned(), r#"{"id":"x","kind":"deposit"}"#.to_owned()];
        let entries = bodies.iter().enumerate();
        let entries =
            entries.map(|(n, body)| Delivered { entry: format!("{n}-0"), job: body.clone().into() });
        let (queue, redelivery) = (QueueName::default(), Redelivery::None);
        let entries: Vec<Delivered> = entries.collect();
        let (left, went_on) = (Left::of(&entries), WentOn::now());
        let row = Row { key: "0-0".to_owned(), token: "0".to_owned() };
        let batch = Batch { partition, queue, row, entries, redelivery, left, went_on };

        let decoded = decode(&batch, two);
        assert_eq!(decoded.jobs.iter().map(|job| job.job.id.as_str()).collect::<Vec<_>>(), ["here"]);
        let refused: Vec<_> =
            decoded.refused.iter().map(|(identity, code)| (identity.id.as_str(), *code)).collect();
        assert_eq!(
            refused,
            [
                ("across", Code::TwoPartitions),
                (there.as_str(), Code::WrongPartition),
                ("entry/default/3-0", Code::MalformedJson),
                ("x", Code::MissingField)
            ]
        );
    }
}
