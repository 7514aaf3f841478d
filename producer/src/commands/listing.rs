//! Shows one campaign or account, or lists all: what the two nouns share.
//!
//! A list is read and printed page by page, so it takes no memory however long it is. A resource that cannot be
//! read is shown as `corrupt_state` among the others.

use std::ops::ControlFlow;

use tollgate::Tollgate;
use tollgate::code::Code;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::resource::Resource;
use tollgate::resources::{self, Held, Listed};

use crate::context::Context;
use crate::each::each_partition;
use crate::exit::Exit;
use crate::now;
use crate::output::complain;
use crate::resource_view::Shown;

/// How many resources one page reads: two commands each, far below a millisecond of Redis's time.
const PAGE: usize = 500;

/// Shows one resource.
pub(super) async fn show<T: Shown>(
    context: &Context,
    resource: Resource<'_>,
    id: &T::Id,
) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let keys = tollgate.keys(tollgate.partition_of(resource));
    let mut link = tollgate.server().link().await?;
    let Some((held, status, exit)) = read::<T>(&tollgate, &mut link, keys, id).await? else {
        return Ok(Exit::Refused);
    };
    let (id, state) = (resource.id(), held.state());
    context.output().data(&T::view(id, state, status), || line(id, state, status))?;
    Ok(exit)
}

/// Reads one resource: what it is, the status to tell, and what that means for the exit code. `None` if there is
/// none, which has been said.
pub(super) async fn read<T: Shown>(
    tollgate: &Tollgate,
    link: &mut Link,
    keys: &Keys,
    id: &T::Id,
) -> anyhow::Result<Option<(Held<T>, &'static str, Exit)>> {
    let held = resources::read::<T>(link, keys, std::slice::from_ref(id)).await?.pop();
    let Some(held @ (Held::State(_) | Held::Corrupt(_))) = held else {
        let meant = now::closest::<T>(tollgate, <T as Listed>::text(id)).await;
        let meant = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
        complain(format_args!("{}: {}: {id}{meant}", T::NOT_FOUND, T::NOT_FOUND.meaning()));
        return Ok(None);
    };
    let (_, status, exit) = judged(&id.to_string(), &held);
    Ok(Some((held, status, exit)))
}

/// Lists all resources of one type, partition after partition, in the order of their ids.
pub(super) async fn ls<T: Shown>(context: &Context) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut list = context.output().list();
    let mut exit = Exit::Done;
    let first =
        async |_, keys: &Keys, link: &mut Link| Ok(resources::page::<T>(link, keys, None, PAGE).await?);
    let listed = each_partition(&tollgate, first, async |partition, link, mut page| {
        loop {
            for (id, held) in &page.resources {
                let (state, status, worst) = judged(id, held);
                exit = exit.combine(worst);
                list.item(&T::view(id, state, status), || line(id, state, status))?;
            }
            if page.next.is_none() {
                return Ok(ControlFlow::Continue(()));
            }
            page = resources::page::<T>(link, tollgate.keys(partition), page.next, PAGE).await?;
        }
    })
    .await?;
    list.end()?;
    Ok(exit.combine(listed))
}

/// The state to show, the status to tell, and what that means for the exit code; damage is said on stderr.
fn judged<'a, T: Shown>(id: &str, held: &'a Held<T>) -> (Option<&'a T>, &'static str, Exit) {
    let what = match held {
        Held::State(state) => return (Some(state), state.status(), Exit::Done),
        Held::Corrupt(what) => what,
        Held::Absent => "no such key",
    };
    complain(format_args!("{}{id}: {}: {what}", T::PREFIX, Code::CorruptState));
    (None, Code::CorruptState.name(), Exit::Refused)
}

pub(super) fn line<T: Shown>(id: &str, state: Option<&T>, status: &str) -> String {
    match state {
        Some(state) => format!("{id}  {status}  {}", state.text()),
        None => format!("{id}  {status}"),
    }
}
