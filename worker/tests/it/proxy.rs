//! A way to Redis on which connections can become half-open: the peer is there, and nothing comes any more.

use std::ops::Deref;
use std::path::Path;

use tollgate_testkit::proxy;

/// Ends with its runtime.
pub(crate) struct Proxy {
    proxy: proxy::Proxy,
    _dir: tempfile::TempDir,
}

impl Proxy {
    pub(crate) fn start(target: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { proxy: proxy::Proxy::listen(&dir.path().join("s"), target, 0).unwrap(), _dir: dir }
    }
}

impl Deref for Proxy {
    type Target = proxy::Proxy;

    fn deref(&self) -> &proxy::Proxy {
        &self.proxy
    }
}
