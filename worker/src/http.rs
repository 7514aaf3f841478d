//! `--listen`: `/metrics` for Prometheus, `/healthz` (the process lives), `/readyz` (it takes jobs).
//!
//! Must not be reachable from other machines unless the address says so, and must not call Redis.

mod bounded;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tracing::warn;

use self::bounded::Bounded;
use crate::failpoint::failpoint;
use crate::health::Health;
use crate::log;
use crate::metrics::Now;
use crate::metrics::page::Format;
use crate::shutdown::Phase;
use crate::supervisor::Supervisor;
use crate::worker::Worker;

/// What the pages show. The worker comes later than the pages: they answer also while it waits for Redis.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) health: Arc<Health>,
    pub(crate) worker: Arc<OnceLock<Arc<Worker>>>,
}

impl Pages {
    fn metrics(&self, format: Format) -> String {
        let worker = self.worker.get();
        let readiness = self.health.readiness();
        let now = Now {
            up: readiness.is_ready(),
            incidents: readiness.incidents,
            log_lines_dropped: log::dropped(),
            redirected: worker.and_then(|worker| worker.tollgate.server().redirected()).unwrap_or_default(),
            entries_in_flight: worker.map_or(0, |worker| worker.in_flight.len()),
            settle_calls_in_flight: worker.map_or(0, |worker| worker.slots.busy()),
        };
        self.health.metrics.page(now, format)
    }

    fn ready(&self) -> (StatusCode, String) {
        let readiness = self.health.readiness();
        let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, format!("{readiness}\n"))
    }
}

/// Serves the pages until the process ends.
///
/// # Errors
/// The address cannot be listened at.
pub(crate) fn serve(
    supervisor: &Supervisor,
    address: SocketAddr,
    pages: Pages,
) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    supervisor.keep("http", Phase::Over, move || {
        let (listener, pages) = (listener.try_clone(), pages.clone());
        async move {
            failpoint!(task "in", "http");
            let served = match listener.and_then(TcpListener::from_std) {
                Ok(listener) => axum::serve(Bounded::new(listener), router(pages)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                warn!("the pages cannot be served: {error}");
            }
        }
    });
    Ok(address)
}

fn router(pages: Pages) -> Router {
    let ready = pages.clone();
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(async move || ready.ready()))
        .route("/metrics", get(async move |asked: HeaderMap| metrics(&pages, &asked)))
}

fn metrics(pages: &Pages, asked: &HeaderMap) -> impl IntoResponse + use<> {
    let accept = asked.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    ([(header::CONTENT_TYPE, format.content_type())], pages.metrics(format))
}
