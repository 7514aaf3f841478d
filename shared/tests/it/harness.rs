//! The server that most tests share, and what their payouts are sent to.

use std::sync::LazyLock;

use tollgate::connect::Server;
use tollgate::ids::GatewayName;
use tollgate::link::Link;
use tollgate::payout_key::PayoutKey;
pub(crate) use tollgate_testkit::servers::{self, command as cmd};
pub(crate) use tollgate_testkit::wait::{SOON, until};

/// Where the payouts of a test go.
pub(crate) static GATEWAY: LazyLock<GatewayName> = LazyLock::new(|| "gateway".parse().unwrap());
/// Under which key, where it does not matter.
pub(crate) static PAYOUT_KEY: LazyLock<PayoutKey> = LazyLock::new(|| {
    PayoutKey::of(None, &"tests".parse().unwrap(), &"account".parse().unwrap(), &"job".parse().unwrap())
});

/// The server that the tests of this process share.
pub(crate) fn shared() -> Server {
    servers::open(servers::shared())
}

pub(crate) async fn link() -> Link {
    shared().link().await.unwrap()
}
