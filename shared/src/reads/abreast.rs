//! Several partitions at a time: one whose node does not answer keeps nobody from asking the others.

use futures_util::{Stream, StreamExt, stream};

use crate::protocol::partition::Partition;

/// How many partitions are visited at a time. Where there are more, the next begins when the first of these has ended,
/// so what is held of those that wait for their turn is bounded.
const ABREAST: usize = 16;

/// What `visit` answers for each partition, in their order; up to 16 are visited at a time. Held in a future that moves
/// between threads it is to be [`boxed`](StreamExt::boxed): the compiler does not see that of the bare one.
///
/// # Cancel safety
/// As `visit`: all that were begun are dropped with the stream.
pub fn abreast<F: Future>(
    partitions: impl IntoIterator<Item = Partition>,
    mut visit: impl FnMut(Partition) -> F,
) -> impl Stream<Item = (Partition, F::Output)> {
    let visits = stream::iter(partitions).map(move |partition| {
        let visit = visit(partition);
        async move { (partition, visit.await) }
    });
    visits.buffered(ABREAST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Barrier;

    use super::*;
    use crate::protocol::partition::Partitions;

    #[tokio::test(start_paused = true)]
    async fn none_waits_for_another_and_all_come_in_their_order() {
        let partitions = Partitions::new(ABREAST as u16).unwrap();
        let all_begun = Barrier::new(ABREAST);
        let numbers = abreast(partitions.iter(), |partition| {
            let all_begun = &all_begun;
            async move {
                all_begun.wait().await;
                // The last is the first to end.
                tokio::time::sleep(Duration::from_secs(100 - u64::from(partition.number()))).await;
                partition.number()
            }
        });
        let numbers = numbers.map(|(partition, number)| (partition.number(), number)).collect::<Vec<_>>();
        // Nothing moves this clock while something can go on.
        let numbers = tokio::time::timeout(Duration::from_secs(3600), numbers).await.expect("one waits");
        assert_eq!(numbers, (0..ABREAST as u16).map(|number| (number, number)).collect::<Vec<_>>());
    }
}
