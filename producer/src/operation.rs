//! Admin operations: settled directly, and told so that a person or a script knows what came of them.
//!
//! Relies on `settle` for everything: the same operation again is a replay, which is why an answer that did not
//! arrive is asked for again here. The id is printed before the send: if the process dies on the next instruction,
//! or the answer is lost, the same command under that id has no second effect. Must not decide anything itself.

use std::time::Duration;

use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::kinds::{Fields, Operation};
use tollgate::link::Link;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;

use crate::context::Context;
use crate::decision::explain;
use crate::exit::Exit;
use crate::expired::warn_if_young;
use crate::interrupt::Interrupt;
use crate::repeat::ChangeId;
use crate::report;

/// How often an operation is sent whose answer does not arrive, and the pause before the second time.
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// Settles one operation, prints what came of it, and says how the command ends.
pub(crate) async fn run(
    context: &Context,
    tollgate: &Tollgate,
    change: &ChangeId,
    request: &Operation,
) -> anyhow::Result<Exit> {
    let id = change.id();
    let mut link = tollgate.server().link().await?;
    change.announce();
    let ask = async |link: &mut Link| tollgate.settle_one(link, id, request).await;
    let answer = match insist(&mut link, ask).await? {
        Ok(answer) => answer,
        Err(error) => {
            let what = format!("{} of {} under the id {id}", request.kind(), request.resource());
            let exit = report::report(&anyhow::Error::from(error).context(what));
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
