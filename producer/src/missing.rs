//! What does not exist, behind a code that says that something does not.
//!
//! Reading only, after the decision, as `now.rs`.

use tollgate::Tollgate;
use tollgate::code::{Code, Stored};
use tollgate::ids::AccountId;
use tollgate::kinds::Fields;
use tollgate::link::Link;
use tollgate::resource::Resource;
use tollgate::resources::{self, AccountState, Held};

/// The id of what a request asks for and is not there, if the code says so; of an item `now.rs` says which.
pub(crate) async fn of(
    tollgate: &Tollgate,
    link: &mut Link,
    code: Code,
    request: &dyn Fields,
) -> Option<String> {
    let resource = request.resource();
    match code {
        Code::OrderNotFound => order_of(request),
        Code::AccountNotFound => match (resource, request.other_resource()) {
            (Resource::Account(from), Some(Resource::Account(to))) => {
                Some(of_two(tollgate, link, [from, to]).await)
            }
            _ => Some(resource.id().to_owned()),
        },
        code if code.stored() == Stored::PastBound && code != Code::ItemNotFound => {
            Some(resource.id().to_owned())
        }
        _ => None,
    }
}

/// The order that a request goes on with.
pub(crate) fn order_of(request: &dyn Fields) -> Option<String> {
    let mut named = None;
    request.each_field(&mut |field, text| {
        if let ("order" | "reservation", Some(text)) = (field.name, text) {
            named = Some(text.into_owned());
        }
    });
    named
}

/// Of two accounts of one partition, which are not there; both where nobody can tell.
async fn of_two(tollgate: &Tollgate, link: &mut Link, both: [&AccountId; 2]) -> String {
    let keys = tollgate.keys(tollgate.partition_of(Resource::Account(both[0])));
    let ids = both.map(AccountId::clone);
    let held = resources::read::<AccountState>(link, keys, &ids).await.unwrap_or_default();
    let is_there = |at: usize| matches!(held.get(at), Some(Held::State(_) | Held::Corrupt(_)));
    let missing: Vec<&str> = (0..2).filter(|at| !is_there(*at)).map(|at| both[at].as_str()).collect();
    missing.join(" or ")
}
