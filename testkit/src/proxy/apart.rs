//! A proxy with a thread and a directory of its own, for tests that block theirs.

use std::io;
use std::ops::Deref;
use std::path::Path;

use tokio::runtime::Runtime;

use super::Proxy;

/// Ends with the value.
pub struct Apart {
    proxy: Option<Proxy>,
    runtime: Option<Runtime>,
}

impl Apart {
    /// Listens at `socket`, and leads to the socket `upstream`.
    ///
    /// # Errors
    /// If it cannot listen there, or there is no thread to be had.
    pub fn listen(socket: &Path, upstream: &Path) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // Entered, not blocked on: the test may be on a runtime of its own.
        let listening = {
            let _entered = runtime.enter();
            Proxy::listen(socket, upstream, 0)
        };
        match listening {
            Ok(proxy) => Ok(Self { proxy: Some(proxy), runtime: Some(runtime) }),
            Err(problem) => {
                runtime.shutdown_background();
                Err(problem)
            }
        }
    }
}

impl Deref for Apart {
    type Target = Proxy;

    fn deref(&self) -> &Proxy {
        #[expect(clippy::expect_used, reason = "it is taken by drop alone")]
        self.proxy.as_ref().expect("a proxy")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.proxy.take();
        if let Some(runtime) = self.runtime.take() {
            // A test may be on another runtime, which must not wait for this one.
            runtime.shutdown_background();
        }
    }
}
