//! What is asked of a namespace by whoever has a link: decided at once, or sent.

use std::collections::BTreeSet;

use super::namespace::Tollgate;
use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::Code;
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::{JobId, QueueName};
use crate::protocol::input::InputError;
use crate::protocol::job::Job;
use crate::protocol::kinds::{Fields, JobRequest, Settle};
use crate::protocol::partition::Partition;
use crate::scripts::ScriptError;
use crate::scripts::settle::{Answer, Item, Policy, settle_with};

/// A job as it goes into its stream.
#[derive(Debug, Clone)]
pub struct Packed {
    partition: Partition,
    envelope: String,
}

impl Tollgate {
    /// Settles one operation directly, without a queue: what admin operations do. The same id and request again
    /// answer [`Answer::Replayed`].
    ///
    /// # Errors
    /// As [`settle_with`]: after an unknown failure the same call is safe.
    ///
    /// # Cancel safety
    /// As [`settle_with`].
    pub async fn settle_one(
        &self,
        link: &mut Link,
        id: &JobId,
        request: &dyn Settle,
    ) -> Result<Answer, ScriptError> {
        self.decide_one(link, id, request, Policy { by: self.by(), ..Policy::default() }).await
    }

    /// Decides against a job that waits for its time, or is back in its queue since then: `cancelled`, with a receipt,
    /// so that no other copy of it has an effect. `request` is what it asks for, as its parked row has it. The same
    /// again answers [`Answer::Replayed`]; what is decided already answers so with its own code, and what is not
    /// scheduled is [`Code::NotScheduled`](crate::protocol::code::Code::NotScheduled).
    ///
    /// # Errors
    /// As [`settle_with`]: after an unknown failure the same call is safe.
    ///
    /// # Cancel safety
    /// As [`settle_with`].
    pub async fn cancel(
        &self,
        link: &mut Link,
        id: &JobId,
        request: &JobRequest,
    ) -> Result<Answer, ScriptError> {
        let policy = Policy { by: self.by(), cancels: true, ..Policy::default() };
        self.decide_one(link, id, request, policy).await
    }

    /// What keeps a request from being decided here: its two resources lie in two partitions.
    ///
    /// # Errors
    /// Names the other resource, and what to do.
    pub fn check_partitions(&self, request: &dyn Fields) -> Result<(), InputError> {
        match (request.other_resource(), request.kind().spec().also) {
            (Some(other), Some(field))
                if self.partition_of(other) != self.partition_of(request.resource()) =>
            {
                let allowed =
                    format!("in the partition of {}: {}", request.resource(), Code::TwoPartitions.meaning());
                Err(InputError::new(Code::TwoPartitions, field, other.id(), &allowed))
            }
            _ => Ok(()),
        }
    }

    async fn decide_one(
        &self,
        link: &mut Link,
        id: &JobId,
        request: &dyn Settle,
        policy: Policy<'_>,
    ) -> Result<Answer, ScriptError> {
        if let Err(error) = self.check_partitions(request) {
            return Ok(Answer::Undecided(error.code));
        }
        let keys = self.keys(self.partition_of(request.resource()));
        let item = Item { entry: None, id, request, fingerprint: Fingerprint::of(request) };
        let settlement = settle_with(link, keys, &QueueName::default(), &[item], policy).await?;
        settlement
            .answers
            .first()
            .copied()
            .ok_or_else(|| Failure::unknown("a reply without an answer").into())
    }

    /// Sends jobs to the streams of their partitions, in order, in one pipeline; answers one result for each.
    /// There is no deduplication here: a job sent twice is settled once.
    ///
    /// The queue is registered in each of these partitions first, so that its jobs are seen though no worker may ever
    /// have heard of it. A user who lacks the right to that sends all the same: a worker finds such a queue by itself,
    /// within ten minutes.
    ///
    /// # Errors
    /// The outer error: nothing is known of any of them; sending the same jobs again is safe.
    ///
    /// # Cancel safety
    /// Any number of the jobs may have been sent; sending the same jobs again is safe.
    pub async fn enqueue(
        &self,
        link: &mut Link,
        queue: &QueueName,
        jobs: impl IntoIterator<Item = &Job>,
    ) -> Result<Vec<Result<(), Failure>>, Failure> {
        let packed: Vec<Packed> = jobs.into_iter().map(|job| self.pack(job)).collect();
        self.enqueue_packed(link, queue, &packed).await
    }

    /// Encodes a job for [`Tollgate::enqueue_packed`], on whichever thread has time for it.
    pub fn pack(&self, job: &Job) -> Packed {
        Packed { partition: self.partition_of(job.request.resource()), envelope: job.encode() }
    }

    /// [`Tollgate::enqueue`] of jobs that are encoded already.
    ///
    /// # Errors
    /// As [`Tollgate::enqueue`].
    ///
    /// # Cancel safety
    /// As [`Tollgate::enqueue`].
    pub async fn enqueue_packed(
        &self,
        link: &mut Link,
        queue: &QueueName,
        jobs: impl IntoIterator<Item = &Packed>,
    ) -> Result<Vec<Result<(), Failure>>, Failure> {
        let jobs: Vec<&Packed> = jobs.into_iter().collect();
        let partitions: BTreeSet<usize> =
            jobs.iter().map(|packed| usize::from(packed.partition.number())).collect();
        let mut pipeline = redis::Pipeline::with_capacity(partitions.len() + jobs.len());
        for partition in &partitions {
            pipeline.cmd("SADD").arg(self.keys[*partition].registered()).arg(queue.as_str());
        }
        let streams: Vec<String> = self.keys.iter().map(|keys| keys.queue(queue)).collect();
        for Packed { partition, envelope } in jobs {
            let stream = &streams[usize::from(partition.number())];
            let words = ["XADD", stream, "*", "job", envelope];
            // All at once: a command that grows word by word is moved in memory six times.
            let mut command =
                redis::Cmd::with_capacity(words.len(), words.iter().map(|word| word.len()).sum());
            command.arg(&words);
            pipeline.add_command(command);
        }
        let replies = link.run_pipeline(&pipeline).await?;
        Ok(replies.into_iter().skip(partitions.len()).map(|reply| reply.map(|_| ())).collect())
    }
}
