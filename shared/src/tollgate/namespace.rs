//! A namespace in a Redis: where programs begin. Opens it, and knows its partitions and keys.

use std::sync::Arc;
use std::time::Duration;

use super::error::OpenError;
use crate::connection::connect::Server;
use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::{Actor, Identity, Namespace};
use crate::protocol::instant::Instant;
use crate::protocol::keys::Keys;
use crate::protocol::partition::{Partition, Partitions};
use crate::protocol::resource::Resource;
use crate::protocol::tag::Tag;
use crate::scripts::init::{FORMAT, MetaState, Parameters};

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

/// An initialised namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tollgate {
    server: Server,
    namespace: Namespace,
    identity: Identity,
    pub(super) keys: Arc<[Keys]>,
    partitions: Partitions,
    by: Option<Arc<Actor>>,
}

/// Of a cluster: why nothing begins although other nodes are there.
fn beginning(failure: Failure, namespace: &Namespace) -> Failure {
    if failure.node().is_none() {
        return failure;
    }
    let meta = Keys::meta(namespace);
    failure.in_words(|detail| {
        format!("{detail}; {meta} is on that node, and nothing begins without it: what runs already goes on elsewhere")
    })
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
        let fields: [Option<String>; 6] =
            server.link().await?.query(&command).await.map_err(|failure| beginning(failure, namespace))?;
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
                    // Nor does one whose node is away. What it holds is of this namespace: `init` is not done before
                    // every head is written.
                    Err(failure) if failure.node().is_some() => continue,
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

    pub(super) fn new(server: Server, namespace: Namespace, parameters: &Parameters, tags: &[Tag]) -> Self {
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

    pub(super) fn corrupt(&self, partition: Partition, what: &str) -> OpenError {
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

    /// The clock of the server that has a partition, by which everything in it is decided that depends on time.
    ///
    /// # Errors
    /// Redis's.
    pub async fn now(&self, link: &mut Link, partition: Partition) -> Result<Instant, Failure> {
        let said = link.run_beside(&self.keys(partition).head(), &redis::cmd("TIME")).await?;
        let (seconds, micros): (u64, u64) = redis::from_redis_value(said)
            .map_err(|error| Failure::unknown(format!("a time that cannot be read: {error}")))?;
        let at_ms = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        Instant::from_ms(at_ms).ok_or_else(|| Failure::unknown(format!("a server time of {at_ms} ms")))
    }
}
