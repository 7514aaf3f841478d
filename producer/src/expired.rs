//! Says where an id that is `id_expired` cannot be so by its age.
//!
//! The floor lies the retention behind the time, so an id that is younger was passed by a floor that a wrong clock
//! raised (or that was raised while the retention was shorter). Reading only, and silent where it may not read.

use tollgate::Tollgate;
use tollgate::ids::{Bucket, HOUR_MS, JobId};
use tollgate::link::Link;
use tollgate::partition::Partition;

use crate::output::{hint, warn};

/// Warns on stderr if `id` is younger than the retention, although it is below the floor.
pub(crate) async fn warn_if_young(tollgate: &Tollgate, link: &mut Link, id: &JobId) {
    let Bucket::Hour(hour) = id.bucket() else { return };
    let Ok(now) = tollgate.now(link, Partition::FIRST).await else { return };
    let meta = Tollgate::meta(tollgate.server(), tollgate.namespace()).await;
    let Ok(Some(meta)) = meta else { return };
    let retention_ms = u64::try_from(meta.parameters.retention.as_millis()).unwrap_or(u64::MAX);
    // The bucket's last moment: the floor passes whole hours.
    let end_ms = hour.saturating_add(1).saturating_mul(HOUR_MS);
    if end_ms.saturating_add(retention_ms) > now.ms() {
        warn(format_args!(
            "{id} is younger than the retention: a floor above it was raised while the retention was shorter, or a clock is wrong"
        ));
        hint(
            "compare `redis-cli TIME` with the time; `receipts lower` takes back a floor that was raised wrongly",
        );
    }
}
