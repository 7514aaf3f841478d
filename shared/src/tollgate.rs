//! A namespace in a Redis: where programs begin. Opens or initialises it, knows its partitions and keys, and
//! does what producers do: settle one operation, enqueue jobs, look ids up.
//!
//! Relies on [`Server`] for connections and on `scripts` for everything atomic. Must not initialise unasked: after
//! a loss of data, starting from zero would issue everything again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::connect::Server;
use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::{Actor, Identity, JobId, Namespace, QueueName};
use crate::protocol::instant::Instant;
use crate::protocol::job::Job;
use crate::protocol::keys::Keys;
use crate::protocol::kinds::{Fields, JobRequest, Settle};
use crate::protocol::partition::{Partition, Partitions};
use crate::protocol::resource::Resource;
use crate::protocol::tag::Tag;
use crate::scripts::init::{FORMAT, HeadInit, MetaInit, MetaState, Parameters};
use crate::scripts::settle::{Answer, Item, Policy, settle_with};
use crate::scripts::{ScriptError, init, queue};

/// How long receipts of timed ids are kept at least, if not said otherwise.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);

mod remains;

/// For messages: the first of some keys, and how many more there are.
fn listed(found: &[String], count: usize) -> String {
    let first = found.join(", ");
    if count > found.len() { format!("{first} and {} more", count - found.len()) } else { first }
}

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
    #[error("namespace {0} is not initialised")]
    Empty(Namespace),
    /// Its initialisation goes on, or was cut off.
    #[error("namespace {0} is being initialised, or that was cut off")]
    Initialising(Namespace),
    /// It was initialised with another number of partitions, which never changes.
    #[error(
        "the number of partitions of namespace {namespace} is {found}, which cannot be changed to {asked}"
    )]
    OtherPartitions {
        /// The namespace.
        namespace: Namespace,
        /// What it has.
        found: u64,
        /// What was asked.
        asked: u16,
    },
    /// It was written by another release, whose format this one does not read.
    #[error(
        "namespace {namespace} has format {found}, and this release reads format {FORMAT} only; \
         use the release that wrote it, or another namespace"
    )]
    OtherFormat {
        /// The namespace.
        namespace: Namespace,
        /// What it has.
        found: String,
    },
    /// It is not initialised, and yet something of it is there.
    #[error(
        "namespace {namespace} is not initialised, but {count} of its keys are there: {}",
        listed(found, *count)
    )]
    Remains {
        /// The namespace.
        namespace: Namespace,
        /// The first of the keys.
        found: Vec<String>,
        /// How many there are.
        count: usize,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceMeta {
    /// Whether every partition has its head.
    pub state: MetaState,
    /// Its identity, its number of partitions and its retention.
    pub parameters: Parameters,
    /// The hash tag of each partition.
    pub tags: Vec<Tag>,
}

/// A job as it goes into its stream.
#[derive(Debug, Clone)]
pub struct Packed {
    partition: Partition,
    envelope: String,
}

/// What an [`init`](Tollgate::init_with) is asked for; what is left out stays as it is, or becomes the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Init {
    /// How many partitions, for ever.
    pub partitions: Option<Partitions>,
    /// How long receipts of timed ids are kept at least.
    pub retention: Option<Duration>,
    /// Whether to begin although keys of the namespace are there.
    pub over_remains: bool,
}

/// An initialised namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tollgate {
    server: Server,
    namespace: Namespace,
    identity: Identity,
    keys: Arc<[Keys]>,
    partitions: Partitions,
    by: Option<Arc<Actor>>,
}

impl Tollgate {
    /// Opens a namespace that is ready and whose heads are its own. From then on the server is inspected, on each new
    /// connection and once a minute, and no call is made to one that may lose or evict what it holds, unless
    /// [`Server::inspect`] was told otherwise.
    ///
    /// # Errors
    /// [`OpenError::Empty`] or [`OpenError::Initialising`] if it is not ready; [`OpenError::Corrupt`] if a head is of
    /// another namespace.
    pub async fn open(server: Server, namespace: Namespace) -> Result<Self, OpenError> {
        let tollgate = Self::open_unchecked(server, namespace).await?;
        tollgate.check_heads().await?;
        Ok(tollgate)
    }

    /// [`Tollgate::open`] without a look at the heads: for an audit, which names what is wrong with them.
    ///
    /// # Errors
    /// As [`Tollgate::open`].
    pub async fn open_unchecked(server: Server, namespace: Namespace) -> Result<Self, OpenError> {
        match Self::meta(&server, &namespace).await? {
            None => Err(OpenError::Empty(namespace)),
            Some(NamespaceMeta { state: MetaState::Initialising, .. }) => {
                Err(OpenError::Initialising(namespace))
            }
            Some(NamespaceMeta { state: MetaState::Ready, parameters, tags }) => {
                Ok(Self::new(server, namespace, &parameters, &tags))
            }
        }
    }

    /// What the meta of a namespace says; `None` if there is none, so nobody has begun to initialise it.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] if it says what it cannot.
    pub async fn meta(server: &Server, namespace: &Namespace) -> Result<Option<NamespaceMeta>, OpenError> {
        let mut command = redis::cmd("HMGET");
        command.arg(Keys::meta(namespace)).arg(&[
            "format",
            "state",
            "partitions",
            "retention_ms",
            "identity",
            "tags",
        ]);
        let fields: [Option<String>; 6] = server.link().await?.query(&command).await?;
        let [format, Some(state), partitions, retention_ms, identity, tags] = fields else { return Ok(None) };
        if format.as_deref() != Some(FORMAT) {
            let found = format.unwrap_or_else(|| "none".to_owned());
            return Err(OpenError::OtherFormat { namespace: namespace.clone(), found });
        }
        let read = || {
            let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
            let partitions = Partitions::new(u16::try_from(number(partitions)?).ok()?)?;
            let state = match state.as_str() {
                "initialising" => MetaState::Initialising,
                "ready" => MetaState::Ready,
                _ => return None,
            };
            let parameters = Parameters {
                identity: Identity::parse(&identity?)?,
                partitions,
                retention: Duration::from_millis(number(retention_ms)?),
            };
            let tags = Tag::parse_all(&tags?, namespace, partitions)?;
            Some(NamespaceMeta { state, parameters, tags })
        };
        let damaged = || OpenError::Corrupt {
            namespace: namespace.clone(),
            what: format!("its {} cannot be read", Keys::meta(namespace)),
        };
        read().map(Some).ok_or_else(damaged)
    }

    /// Every head that is there has this namespace's identity and this release's format.
    async fn check_heads(&self) -> Result<(), OpenError> {
        /// Heads of one pipeline.
        const CHUNK: usize = 1_000;
        let mut link = self.server.link().await?;
        let partitions: Vec<Partition> = self.partitions.iter().collect();
        for chunk in partitions.chunks(CHUNK) {
            let mut pipeline = redis::Pipeline::with_capacity(chunk.len());
            for partition in chunk {
                pipeline.cmd("HMGET").arg(self.keys(*partition).head()).arg(&["format", "identity"]);
            }
            for (partition, reply) in chunk.iter().zip(link.run_pipeline(&pipeline).await?) {
                let fields: [Option<String>; 2] = match reply {
                    // A key of another type is told by whoever needs it, and hides no other partition.
                    Err(Failure::Server { .. }) => continue,
                    other => redis::from_redis_value(other?)
                        .map_err(|error| Failure::unknown(format!("a head that cannot be read: {error}")))?,
                };
                // A head that is missing is told by whoever needs it.
                let [Some(format), identity] = fields else { continue };
                if format != FORMAT {
                    return Err(OpenError::OtherFormat { namespace: self.namespace.clone(), found: format });
                }
                if identity.as_deref() != Some(self.identity.as_str()) {
                    let found = identity.unwrap_or_else(|| "none".to_owned());
                    let what = format!(
                        "its head has identity {found}, the namespace {}: one of them is left over from another",
                        self.identity
                    );
                    return Err(self.corrupt(*partition, &what));
                }
            }
        }
        Ok(())
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

    /// [`Tollgate::init_with`] exactly these.
    ///
    /// # Errors
    /// As [`Tollgate::init_with`].
    pub async fn init(
        server: Server,
        namespace: Namespace,
        partitions: Partitions,
        retention: Duration,
    ) -> Result<Self, OpenError> {
        let asked = Init { partitions: Some(partitions), retention: Some(retention), over_remains: false };
        Self::init_with(server, namespace, asked).await
    }

    /// Initialises a namespace, or finishes what an interrupted call began, or changes the retention of a ready one,
    /// or mends a lost meta by what every head says. Every step can be repeated; two at once do the same.
    ///
    /// Goes over the names of all keys in Redis where there is no meta: nothing may begin from zero beside what
    /// is left of a namespace.
    ///
    /// # Errors
    /// [`OpenError::OtherPartitions`]; [`OpenError::Remains`] if keys of the namespace are there without a meta;
    /// [`OpenError::Corrupt`] if a partition has history but no head.
    pub async fn init_with(server: Server, namespace: Namespace, asked: Init) -> Result<Self, OpenError> {
        let mut link = server.link().await?;
        let known = match Self::meta(&server, &namespace).await? {
            Some(NamespaceMeta { parameters, tags, .. }) => Some((parameters, tags)),
            None => {
                let remains = remains::find(&mut link, &namespace).await?;
                match remains.of_heads() {
                    // The meta alone is lost.
                    Some(mended) => Some(mended),
                    None if remains.count > 0 && !asked.over_remains => {
                        let (found, count) = (remains.first, remains.count);
                        return Err(OpenError::Remains { namespace, found, count });
                    }
                    None => None,
                }
            }
        };
        let (mut parameters, tags) = known.unwrap_or_else(|| {
            let partitions = asked.partitions.unwrap_or(Partitions::ONE);
            let (identity, retention) = (Identity::fresh(), RETENTION_DEFAULT);
            (Parameters { identity, partitions, retention }, Tag::all(&namespace, partitions))
        });
        let partitions = parameters.partitions;
        if let Some(asked) = asked.partitions.filter(|asked| *asked != partitions) {
            let (found, asked) = (partitions.count().into(), asked.count());
            return Err(OpenError::OtherPartitions { namespace, found, asked });
        }
        parameters.retention = asked.retention.unwrap_or(parameters.retention);
        // Of two that begin at once, both take the identity of the first.
        parameters.identity =
            write_meta(&mut link, &namespace, MetaState::Initialising, &parameters, &tags).await?;
        let tollgate = Self::new(server, namespace, &parameters, &tags);
        for partition in partitions.iter() {
            let keys = tollgate.keys(partition);
            let made = init::head(&mut link, keys, partition, &parameters).await;
            match made.map_err(OpenError::Script)? {
                HeadInit::Created | HeadInit::Changed => {}
                HeadInit::OtherParameters(what) => {
                    return Err(tollgate.corrupt(partition, &format!("its head is of another one: {what}")));
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
        write_meta(&mut link, &tollgate.namespace, MetaState::Ready, &parameters, &tags).await?;
        Ok(tollgate)
    }

    fn new(server: Server, namespace: Namespace, parameters: &Parameters, tags: &[Tag]) -> Self {
        server.inspect_by_default();
        let keys = tags.iter().map(Keys::tagged).collect();
        let Parameters { identity, partitions, .. } = parameters.clone();
        Self { server, namespace, identity, keys, partitions, by: None }
    }

    /// The same namespace, in which operations are journaled as asked by `actor`.
    pub fn acting_as(self, actor: Actor) -> Self {
        Self { by: Some(Arc::new(actor)), ..self }
    }

    /// Who asks for operations, if it was said.
    pub fn by(&self) -> Option<&Actor> {
        self.by.as_deref()
    }

    /// What tells this namespace from one of the same name that was there before or comes after.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The identity of the namespace that has this name now; `None` if there is none that can be read.
    ///
    /// # Errors
    /// Redis's.
    pub async fn identity_now(&self, link: &mut Link) -> Result<Option<Identity>, Failure> {
        let mut command = redis::cmd("HGET");
        command.arg(Keys::meta(&self.namespace)).arg("identity");
        match link.query::<Option<String>>(&command).await {
            // Of another type: that is for whoever opens it.
            Err(Failure::Server { .. }) => Ok(None),
            found => Ok(found?.and_then(|text| Identity::parse(&text))),
        }
    }

    fn corrupt(&self, partition: Partition, what: &str) -> OpenError {
        OpenError::Corrupt {
            namespace: self.namespace.clone(),
            what: format!("partition {partition}: {what}"),
        }
    }

    /// The same namespace, reached through another server's links: those behind a gate.
    #[cfg(feature = "explore")]
    pub fn through(&self, server: Server) -> Self {
        Self { server, ..self.clone() }
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

    async fn decide_one(
        &self,
        link: &mut Link,
        id: &JobId,
        request: &dyn Settle,
        policy: Policy<'_>,
    ) -> Result<Answer, ScriptError> {
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

/// Writes the metadata; answers the identity in force.
async fn write_meta(
    link: &mut Link,
    namespace: &Namespace,
    state: MetaState,
    parameters: &Parameters,
    tags: &[Tag],
) -> Result<Identity, OpenError> {
    match init::meta(link, namespace, state, parameters, tags).await.map_err(OpenError::Script)? {
        MetaInit::Written(identity) => Ok(identity),
        MetaInit::OtherPartitions(found) => Err(OpenError::OtherPartitions {
            namespace: namespace.clone(),
            found,
            asked: parameters.partitions.count(),
        }),
    }
}
