//! What may go wrong, in one type.

use thiserror::Error;

use crate::connection::connect::ConnectError;
use crate::connection::failure::Failure;
use crate::protocol::code::Code;
use crate::protocol::input::InputError;
use crate::scripts::ScriptError;
use crate::tollgate::OpenError;

/// Why a call of a service has no answer.
///
/// | variant | what to do |
/// |---|---|
/// | [`Input`](Self::Input) | mend the request; nothing was sent |
/// | [`Connect`](Self::Connect) | mend the address, or what belongs to it |
/// | [`Open`](Self::Open) | see [`OpenError`]: the namespace, or the server, cannot be used |
/// | [`Redis`](Self::Redis) | ask [`is_transient`](Self::is_transient) and [`may_have_happened`](Self::may_have_happened) |
/// | [`Script`](Self::Script) | an operator has to look: the namespace is damaged, frozen, or gone |
/// | [`Corrupt`](Self::Corrupt) | likewise, of one resource |
///
/// Whatever it is, the same call under the same id is safe: it has one effect.
#[derive(Debug, Error)]
pub enum Error {
    /// Something that was given is not allowed; nothing was sent.
    #[error(transparent)]
    Input(#[from] InputError),
    /// What was said of the server is wrong, or the private server does not run.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The namespace cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Redis refused the call, or its answer did not come.
    #[error(transparent)]
    Redis(#[from] Failure),
    /// A script did nothing, for a reason that lies in the namespace.
    #[error(transparent)]
    Script(ScriptError),
    /// A resource's key was changed past the scripts.
    #[error("{resource} is damaged: {what}")]
    Corrupt {
        /// Which.
        resource: String,
        /// What is wrong with it.
        what: String,
    },
}

impl From<ScriptError> for Error {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::Failure(failure) => Self::Redis(failure),
            other => Self::Script(other),
        }
    }
}

impl Error {
    /// Whether what was asked for may have happened all the same: then ask again under the same id, which answers what
    /// was decided. If not, nothing happened.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Redis(failure) if failure.may_have_happened())
    }

    /// Whether the same call may succeed later without anybody mending anything: an outage, a failover, a
    /// full pool, an answer that was lost.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Redis(failure) | Self::Open(OpenError::Failure(failure)) => failure.is_transient(),
            _ => false,
        }
    }

    /// The stable code; `None` where nobody knows whether it happened, or nothing was asked yet.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Input(error) => Some(error.code),
            Self::Redis(failure) => ScriptError::Failure(failure.clone()).code(),
            Self::Script(error) => error.code(),
            Self::Corrupt { .. } => Some(Code::CorruptState),
            Self::Connect(_) | Self::Open(_) => None,
        }
    }
}
