//! Bringing a namespace into being, in steps that can be repeated. Must not begin unasked: after a loss of data, starting
//! from zero would issue everything again.

use std::time::Duration;

use super::error::OpenError;
use super::namespace::{NamespaceMeta, Tollgate};
use super::remains;
use crate::connection::connect::Server;
use crate::connection::link::Link;
use crate::protocol::ids::{Identity, Namespace, QueueName};
use crate::protocol::partition::Partitions;
use crate::protocol::tag::Tag;
use crate::scripts::init::{self, HeadInit, MetaInit, MetaState, Parameters};
use crate::scripts::{ScriptError, queue};

/// How long receipts of timed ids are kept at least, if not said otherwise.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);

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

impl Tollgate {
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
        write_meta(&mut link, tollgate.namespace(), MetaState::Ready, &parameters, &tags).await?;
        Ok(tollgate)
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
