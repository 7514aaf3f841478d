//! Admin operations: settled directly, and told so that a person or a script knows what came of them.
//!
//! Relies on `settle` for everything: the same operation again is a replay, which is why an answer that did not
//! arrive is asked for again here. The id is printed before the send: if the process dies on the next instruction,
//! or the answer is lost, the same command under that id has no second effect. Must not decide anything itself.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::code::{Class, Code, Stored};
use tollgate::failure::Failure;
use tollgate::ids::JobId;
use tollgate::job::{CampaignTerms, Request, Resource, Window};
use tollgate::journal;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::resources::{self, AccountState, CampaignState, Held};
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;

use crate::context::Context;
use crate::exit::{self, Exit};
use crate::expired::warn_if_young;
use crate::interrupt::Interrupt;
use crate::now;
use crate::repeat::ChangeId;

/// How often an operation is sent whose answer does not arrive, and the pause before the second time.
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// What came of one operation, as JSON `{id, partition, class, code, seq, replayed, field?}`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Decision {
    id: String,
    partition: u16,
    class: &'static str,
    #[serde(serialize_with = "name_of")]
    pub(crate) code: Code,
    seq: Option<u64>,
    replayed: bool,
    /// The first field in which what exists differs from what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// What does not exist, where that is the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// What is there now, in words that may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    /// Whether what was asked for is so, by this request or by an earlier one.
    #[serde(skip)]
    is_so: bool,
}

fn name_of<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name())
}

impl Decision {
    pub(crate) fn exit(&self) -> Exit {
        if self.is_so { Exit::Done } else { Exit::Refused }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match (self.field, self.code.class()) {
            (Some(field), _) => write!(f, ": {}, and its {field} differs", self.code.meaning())?,
            (None, Class::Applied) => {}
            (None, _) => write!(f, ": {}", self.code.meaning())?,
        }
        if let Some(missing) = &self.missing {
            write!(f, ": {missing}")?;
        }
        if let Some(now) = &self.now {
            write!(f, "; {now}")?;
        }
        if self.is_so && self.code.class() != Class::Applied {
            f.write_str(" (by an earlier request: nothing is left to do)")?;
        }
        if self.replayed {
            f.write_str(" (replayed: decided before)")?;
        }
        Ok(())
    }
}

/// Settles one operation, prints what came of it, and says how the command ends.
pub(crate) async fn run(
    context: &Context,
    tollgate: &Tollgate,
    change: &ChangeId,
    request: &Request,
) -> anyhow::Result<Exit> {
    let id = change.id();
    let mut link = tollgate.server().link().await?;
    change.announce();
    let ask = async |link: &mut Link| tollgate.settle_one(link, id, request).await;
    let answer = match insist(&mut link, ask).await? {
        Ok(answer) => answer,
        Err(error) => {
            let what = format!("{} of {} under the id {id}", request.kind(), request.resource());
            let exit = exit::report(&anyhow::Error::from(error).context(what));
            // Also where nothing was applied: under this id it is the same request whenever it is sent.
            change.hint_to_repeat();
            return Ok(exit);
        }
    };
    let decision = explain(tollgate, &mut link, id, request, answer).await;
    if decision.code == Code::IdExpired {
        warn_if_young(tollgate, &mut link, id).await;
    }
    let told = format!("{decision}\n  {}, id {id}", request.resource());
    Ok(decision.exit().combine(context.output().answer(&decision, told)))
}

/// Asks until there is an answer, or a signal. The outer error: no signal can be listened to.
pub(crate) async fn insist(
    link: &mut Link,
    ask: impl AsyncFnMut(&mut Link) -> Result<Answer, ScriptError>,
) -> anyhow::Result<Result<Answer, ScriptError>> {
    let mut interrupt = Interrupt::listen()?;
    Ok(tokio::select! {
        settled = settle(link, ask) => settled,
        () = interrupt.told() => Err(Failure::unknown("interrupted before the answer came").into()),
    })
}

/// Settles one operation; while its answer does not arrive, again: under the same id it has one effect. Once an
/// answer was lost, no later refusal proves that nothing happened.
async fn settle(
    link: &mut Link,
    mut ask: impl AsyncFnMut(&mut Link) -> Result<Answer, ScriptError>,
) -> Result<Answer, ScriptError> {
    let mut pause = PAUSE;
    let mut in_doubt = false;
    for tries in 1.. {
        let failure = match ask(link).await {
            Err(ScriptError::Failure(failure)) => failure,
            answer => return answer,
        };
        in_doubt |= failure.may_have_happened();
        match failure {
            failure if !in_doubt => return Err(failure.into()),
            failure if tries == TRIES_MAX || !failure.is_transient() => {
                return Err(Failure::unknown(failure.to_string()).into());
            }
            _ => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    unreachable!("the last try returns")
}

/// Turns an answer into words: names the field that differs where something else is there. What was decided
/// stands: if the details cannot be read, only they are missing.
pub(crate) async fn explain(
    tollgate: &Tollgate,
    link: &mut Link,
    id: &JobId,
    request: &Request,
    answer: Answer,
) -> Decision {
    let partition = tollgate.partition_of(request.resource());
    let (seq, replayed) = match answer {
        Answer::Decided { seq, .. } => (Some(seq), false),
        Answer::Replayed { seq, .. } => (Some(seq), true),
        _ => (None, false),
    };
    let (code, field) = match answer {
        Answer::Mismatch { seq } => {
            let line = journal::line_at(link, tollgate.keys(partition), seq).await;
            let line = line.ok().and_then(Result::ok).flatten();
            let field = line.and_then(|line| request.first_difference(&line.request));
            (exists_code(id, request).unwrap_or(Code::IdMismatch), field)
        }
        other => match other.direct_code() {
            code @ (Code::CampaignExists | Code::AccountExists) => {
                (code, difference_to_what_exists(tollgate, link, partition, request).await.ok().flatten())
            }
            code => (code, None),
        },
    };
    let id = id.to_string();
    // Who asks to close what is closed has what was asked for.
    let was_closed = matches!(
        (request, code),
        (Request::AccountClose { .. }, Code::AccountClosed) | (Request::CampaignClose { .. }, Code::Ended)
    );
    let class = if seq.is_some() { code.class_of_decision() } else { code.class() };
    let missing = missing(code, request);
    let now = now::of(tollgate, link, code, replayed, request).await;
    let is_so = class == Class::Applied || was_closed;
    Decision {
        id,
        partition: partition.number(),
        class: class.name(),
        code,
        seq,
        replayed,
        field,
        missing,
        now,
        is_so,
    }
}

/// The id of what a request asks for, if the code says that it does not exist.
pub(crate) fn missing(code: Code, request: &Request) -> Option<String> {
    (code.stored() == Stored::PastBound).then(|| request.resource().id().to_owned())
}

/// What a mismatch means under an id that the resource itself gives: the resource exists, on other terms.
fn exists_code(id: &JobId, request: &Request) -> Option<Code> {
    match request {
        Request::CampaignCreate(terms) if *id == JobId::create_campaign(&terms.campaign) => {
            Some(Code::CampaignExists)
        }
        Request::AccountOpen { account, .. } if *id == JobId::create_account(account) => {
            Some(Code::AccountExists)
        }
        _ => None,
    }
}

/// The field in which a resource that was made under another id differs; at least that id.
async fn difference_to_what_exists(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    request: &Request,
) -> Result<Option<&'static str>, Failure> {
    let keys = tollgate.keys(partition);
    let made_under_another = Some("id");
    Ok(match (request, request.resource()) {
        (Request::CampaignCreate(_), Resource::Campaign(id)) => {
            match resources::read::<CampaignState>(link, keys, std::slice::from_ref(id)).await?.pop() {
                Some(Held::State(state)) => {
                    let there = Request::CampaignCreate(CampaignTerms {
                        campaign: id.clone(),
                        limit: state.limit,
                        per_customer: state.per_customer,
                        window: Window::new(state.opens_at, state.closes_at).unwrap_or_default(),
                        codes: state.codes,
                    });
                    request.first_difference(&there).or(made_under_another)
                }
                _ => None,
            }
        }
        (Request::AccountOpen { currency, .. }, Resource::Account(id)) => {
            match resources::read::<AccountState>(link, keys, std::slice::from_ref(id)).await?.pop() {
                Some(Held::State(state)) if state.currency != *currency => Some("currency"),
                Some(Held::State(_)) => made_under_another,
                _ => None,
            }
        }
        _ => None,
    })
}
