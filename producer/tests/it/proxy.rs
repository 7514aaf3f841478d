//! A way to Redis on which answers are lost.

use std::path::Path;

use tollgate_testkit::proxy::Fate;
use tollgate_testkit::proxy::apart::Apart;

/// What happens to a request that holds the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Redis gets so many of them, and each time the connection breaks before the answer.
    Break(u32),
    /// As `Break`, and afterwards nobody can connect.
    BreakThenRefuse,
    /// Redis gets it; the answer never comes.
    Hang,
    /// Not even Redis gets it, and no answer comes.
    Hold,
}

/// A unix socket before another one, on a thread of its own: these tests wait for processes.
pub(crate) struct Proxy {
    proxy: Apart,
    of: &'static str,
    _dir: tempfile::TempDir,
}

impl Proxy {
    pub(crate) fn new(target: &str, of: &'static str, loss: Loss) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = Path::new(target.strip_prefix("unix://").unwrap());
        let proxy = Apart::listen(&dir.path().join("s"), target).unwrap();
        match loss {
            Loss::Break(times) => proxy.trap_times(Fate::ReplyLost, of, times.into()),
            Loss::BreakThenRefuse => proxy.trap_then_refuse(Fate::ReplyLost, of),
            Loss::Hang => proxy.trap_times(Fate::Hang, of, u64::MAX),
            Loss::Hold => proxy.trap_times(Fate::Hold, of, u64::MAX),
        }
        Self { proxy, of, _dir: dir }
    }

    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    /// Loses the next `times`.
    pub(crate) fn lose_again(&self, times: u32) {
        self.proxy.trap_times(Fate::ReplyLost, self.of, times.into());
    }

    /// How many answers were lost so far, or requests held back.
    pub(crate) fn lost(&self) -> u64 {
        let counts = self.proxy.counts().into_iter();
        counts.filter(|(fate, _)| *fate != Fate::Pass).map(|(_, count)| count).sum()
    }
}
