//! What a process shows of itself, under the names that all Prometheus clients have for it. Read from `/proc`, so on
//! Linux alone; what cannot be read is not shown.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The figures as of now.
pub(super) fn figures() -> Registry {
    let mut registry = Registry::with_prefix("process");
    // Half of it is better than a page that fails.
    let _ = fill(&mut registry);
    registry
}

#[cfg(target_os = "linux")]
fn fill(registry: &mut Registry) -> procfs::ProcResult<()> {
    use procfs::WithCurrentSystemInfo as _;

    let process = procfs::process::Process::myself()?;
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let cpu: Counter<f64, AtomicU64> = Counter::default();
    cpu.inc_by((stat.utime + stat.stime) as f64 / ticks);
    registry.register("cpu_seconds", "Processor time, user and system", cpu);
    let mut gauge = |name: &str, help: &str, value: f64| {
        let gauge: Gauge<f64, AtomicU64> = Gauge::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    gauge("resident_memory_bytes", "Memory in use", stat.rss_bytes().get() as f64);
    gauge("virtual_memory_bytes", "Memory that is mapped", stat.vsize as f64);
    gauge("threads", "Threads", stat.num_threads as f64);
    let started = procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks;
    gauge("start_time_seconds", "When the process began, since the Unix epoch", started);
    gauge("open_fds", "Open file descriptors", process.fd_count()? as f64);
    let most = match process.limits()?.max_open_files.soft_limit {
        procfs::process::LimitValue::Value(most) => most as f64,
        procfs::process::LimitValue::Unlimited => f64::INFINITY,
    };
    gauge("max_fds", "How many may be open", most);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn fill(_registry: &mut Registry) -> std::io::Result<()> {
    Ok(())
}
