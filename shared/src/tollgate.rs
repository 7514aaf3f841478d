//! A namespace in a Redis: where programs begin. Opens or initialises it, knows its partitions and keys, and
//! does what producers do: settle one operation, enqueue jobs, look ids up.
//!
//! Relies on [`Server`] for connections and on `scripts` for everything atomic. Must not initialise unasked: after
//! a loss of data, starting from zero would issue everything again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::connect::Server;
use crate::failure::Failure;
use crate::fingerprint::Fingerprint;
use crate::ids::{JobId, Namespace, QueueName};
use crate::instant::Instant;
use crate::job::{Job, Request, Resource};
use crate::keys::Keys;
use crate::link::Link;
use crate::partition::{Partition, Partitions};
use crate::scripts::init::{HeadInit, MetaState};
use crate::scripts::settle::{Answer, Item, settle};
use crate::scripts::{ScriptError, init, queue};

/// How long receipts of timed ids are kept at least, if not said otherwise.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a namespace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Redis did not answer as it should.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// A script refused.
    #[error(transparent)]
    Script(ScriptError),
    /// Nobody has initialised it, and it holds nothing.
    #[error("namespace {0} is not initialised; run `tollgate-producer init`")]
    Empty(Namespace),
    /// An `init` was cut off.
    #[error("namespace {0} is being initialised; if that was cut off, run `tollgate-producer init` again")]
    Initialising(Namespace),
    /// It was initialised with another number of partitions, which never changes.
    #[error("namespace {namespace} has {found} partitions, which cannot be changed to {asked}")]
    OtherPartitions {
        /// The namespace.
        namespace: Namespace,
        /// What it has.
        found: u64,
        /// What was asked.
        asked: u16,
    },
    /// Keys that belong together are not all there.
    #[error("namespace {namespace} is damaged: {what}")]
    Corrupt {
        /// The namespace.
        namespace: Namespace,
        /// What is wrong.
        what: String,
    },
}

/// What a namespace says about itself, outside every partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signpost {
    /// Whether every partition has its head.
    pub state: MetaState,
    /// How many partitions it has, for ever.
    pub partitions: Partitions,
    /// How long receipts of timed ids are kept at least.
    pub retention: Duration,
}

/// A job as it goes into its stream.
#[derive(Debug, Clone)]
pub struct Packed {
    partition: Partition,
    envelope: String,
}

/// An initialised namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tollgate {
    server: Server,
    namespace: Namespace,
    keys: Arc<[Keys]>,
    partitions: Partitions,
}

impl Tollgate {
    /// Opens a namespace that is ready. From then on the server is inspected, on each new connection and once a minute,
    /// and no call is made to one that may lose or evict what it holds, unless [`Server::inspect`] was told otherwise.
    ///
    /// # Errors
    /// [`OpenError::Empty`] or [`OpenError::Initialising`] if it is not.
    pub async fn open(server: Server, namespace: Namespace) -> Result<Self, OpenError> {
        match Self::signpost(&server, &namespace).await? {
            None => Err(OpenError::Empty(namespace)),
            Some(Signpost { state: MetaState::Initialising, .. }) => Err(OpenError::Initialising(namespace)),
            Some(Signpost { state: MetaState::Ready, partitions, .. }) => {
                Ok(Self::new(server, namespace, partitions))
            }
        }
    }

    /// What the signpost of a namespace says; `None` if there is none, so nobody has begun to initialise it.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] if it says what it cannot.
    pub async fn signpost(server: &Server, namespace: &Namespace) -> Result<Option<Signpost>, OpenError> {
        let mut command = redis::cmd("HMGET");
        command.arg(Keys::meta(namespace)).arg("state").arg("partitions").arg("retention_ms");
        let fields: [Option<String>; 3] = server.link().await?.query(&command).await?;
        let [Some(state), partitions, retention_ms] = fields else { return Ok(None) };
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
        let partitions =
            number(partitions).and_then(|count| u16::try_from(count).ok()).and_then(Partitions::new);
        let state = match state.as_str() {
            "initialising" => Some(MetaState::Initialising),
            "ready" => Some(MetaState::Ready),
            _ => None,
        };
        match (state, partitions, number(retention_ms).map(Duration::from_millis)) {
            (Some(state), Some(partitions), Some(retention)) => {
                Ok(Some(Signpost { state, partitions, retention }))
            }
            _ => Err(OpenError::Corrupt {
                namespace: namespace.clone(),
                what: "its signpost cannot be read".to_owned(),
            }),
        }
    }

    /// Opens a namespace, and initialises it with one partition and the default retention if it is completely
    /// empty: what a producer does for a newcomer. A worker never does.
    ///
    /// # Errors
    /// As [`Tollgate::open`] and [`Tollgate::init`].
    pub async fn open_or_init(server: Server, namespace: Namespace) -> Result<Self, OpenError> {
        match Self::open(server.clone(), namespace.clone()).await {
            Err(OpenError::Empty(_)) => {
                Self::init(server, namespace, Partitions::ONE, RETENTION_DEFAULT).await
            }
            other => other,
        }
    }

    /// Initialises a namespace, or finishes what an interrupted call with the same `partitions` began, or changes
    /// the retention of a ready one. Every step can be repeated; two at once do the same.
    ///
    /// # Errors
    /// [`OpenError::OtherPartitions`]; [`OpenError::Corrupt`] if a partition has history but no head.
    pub async fn init(
        server: Server,
        namespace: Namespace,
        partitions: Partitions,
        retention: Duration,
    ) -> Result<Self, OpenError> {
        let mut link = server.link().await?;
        let tollgate = Self::new(server, namespace, partitions);
        tollgate.write_meta(&mut link, MetaState::Initialising, retention).await?;
        for partition in partitions.iter() {
            let keys = tollgate.keys(partition);
            let made = init::head(&mut link, keys, partition, partitions, retention).await;
            match made.map_err(OpenError::Script)? {
                HeadInit::Created | HeadInit::Changed => {}
                HeadInit::OtherParameters => {
                    return Err(tollgate.corrupt(partition, "its head is of another one"));
                }
                HeadInit::CorruptState => {
                    return Err(
                        tollgate.corrupt(partition, "it has history but no head: restore what was lost")
                    );
                }
            }
            match queue::queue(&mut link, keys, &QueueName::default(), None).await {
                // That is for a repair; the rest of the namespace is none the worse for it.
                Ok(_) | Err(ScriptError::QueueLost { .. }) => {}
                Err(error) => return Err(OpenError::Script(error)),
            }
        }
        tollgate.write_meta(&mut link, MetaState::Ready, retention).await?;
        Ok(tollgate)
    }

    fn new(server: Server, namespace: Namespace, partitions: Partitions) -> Self {
        server.inspect_by_default();
        let keys = partitions.iter().map(|partition| Keys::new(&namespace, partition)).collect();
        Self { server, namespace, keys, partitions }
    }

    async fn write_meta(
        &self,
        link: &mut Link,
        state: MetaState,
        retention: Duration,
    ) -> Result<(), OpenError> {
        let written = init::meta(link, &self.namespace, state, self.partitions, retention).await;
        written.map_err(OpenError::Script)?.map_err(|found| OpenError::OtherPartitions {
            namespace: self.namespace.clone(),
            found,
            asked: self.partitions.count(),
        })
    }

    fn corrupt(&self, partition: Partition, what: &str) -> OpenError {
        OpenError::Corrupt {
            namespace: self.namespace.clone(),
            what: format!("partition {partition}: {what}"),
        }
    }

    /// The server it lives on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Its name.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> Partitions {
        self.partitions
    }

    /// The partition of a resource.
    pub fn partition_of(&self, resource: Resource<'_>) -> Partition {
        Partition::of(resource.id(), self.partitions)
    }

    /// The keys of a partition of this namespace.
    pub fn keys(&self, partition: Partition) -> &Keys {
        &self.keys[usize::from(partition.number())]
    }

    /// The server's clock, by which everything is decided that depends on time.
    ///
    /// # Errors
    /// Redis's.
    pub async fn now(&self, link: &mut Link) -> Result<Instant, Failure> {
        let (seconds, micros): (u64, u64) = link.query(&redis::cmd("TIME")).await?;
        let at_ms = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        Instant::from_ms(at_ms).ok_or_else(|| Failure::unknown(format!("a server time of {at_ms} ms")))
    }

    /// Settles one operation directly, without a queue: what admin operations do. The same id and request again
    /// answer [`Answer::Replayed`].
    ///
    /// # Errors
    /// As [`settle`]: after an unknown failure the same call is safe.
    ///
    /// # Cancel safety
    /// As [`settle`].
    pub async fn settle_one(
        &self,
        link: &mut Link,
        id: &JobId,
        request: &Request,
    ) -> Result<Answer, ScriptError> {
        let keys = self.keys(self.partition_of(request.resource()));
        let item = Item { entry: None, id, request, fingerprint: Fingerprint::of(request) };
        let settlement = settle(link, keys, &QueueName::default(), &[item]).await?;
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
