//! `--listen`: `/metrics` for Prometheus, `/healthz` (the process lives), `/readyz` (it takes jobs).
//!
//! Must not be reachable from other machines unless the address says so, and must not call Redis.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::health::Health;
use crate::metrics::Now;
use crate::process::Worker;

/// What the pages show. The worker comes later than the pages: they answer also while it waits for Redis.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) health: Arc<Health>,
    pub(crate) worker: Arc<OnceLock<Arc<Worker>>>,
}

impl Pages {
    fn metrics(&self) -> String {
        let worker = self.worker.get();
        self.health.metrics.page(Now {
            up: self.health.unready().is_none(),
            entries_in_hand: worker.map_or(0, |worker| worker.hand.len()),
            slots_busy: worker.map_or(0, |worker| worker.slots.busy()),
        })
    }

    fn ready(&self) -> (StatusCode, String) {
        match self.health.unready() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }
}

/// Serves the pages until the process ends.
///
/// # Errors
/// The address cannot be listened at.
pub(crate) async fn serve(address: SocketAddr, pages: Pages) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let ready = pages.clone();
    let router = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(async move || ready.ready()))
        .route("/metrics", get(async move || metrics(&pages)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

fn metrics(pages: &Pages) -> impl IntoResponse + use<> {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, TYPE)], pages.metrics())
}
