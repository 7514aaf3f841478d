//! Clocks that step, of the server, the workers or the producers: a small library that is loaded before each of them
//! adds what a file says to the time of day. Clocks that only go forward, by which time-outs are measured, stay.
//!
//! Relies on a C compiler (`cc`); where there is none the scenario is left out by name. It allocates nothing, so that
//! redis-server starts under it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Undo;
use crate::run::site::Site;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *offset_s;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *at = mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED) offset_s = at;
}

static time_t moved(void) { return offset_s ? *offset_s : 0; }

int clock_gettime(clockid_t clock, struct timespec *to) {
    int result = syscall(SYS_clock_gettime, clock, to);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) to->tv_sec += moved();
    return result;
}

int gettimeofday(struct timeval *to, void *zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    to->tv_sec = now.tv_sec;
    to->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
"#;
/// By how many seconds a clock steps: less than a claim idle time, more than any lease, and past a day.
const STEPS: [i64; 8] = [-86_400, -7_200, -30, -1, 1, 30, 7_200, 86_400];

/// A clock that can be stepped.
#[derive(Debug, Clone)]
pub(in crate::run) struct Clock {
    pub(in crate::run) whose: &'static str,
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// What a program is started with whose clock this is.
    pub(in crate::run) fn environment(&self) -> [(String, String); 2] {
        [("LD_PRELOAD", &self.library), ("CHAOS_CLOCK", &self.file)]
            .map(|(name, path)| (name.to_owned(), path.display().to_string()))
    }
}

/// Makes clocks that go right; says what is missing.
pub(in crate::run) fn make<const N: usize>(
    dir: &Path,
    whose: [&'static str; N],
) -> Result<[Clock; N], String> {
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    let not = |what: &dyn std::fmt::Display| format!("clocks that step need a C compiler (cc): {what}");
    std::fs::write(&source, SOURCE).map_err(|problem| not(&problem))?;
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).stdin(Stdio::null());
    let ended = cc.output().map_err(|problem| not(&problem))?;
    if !ended.status.success() {
        return Err(not(&String::from_utf8_lossy(&ended.stderr).lines().next().unwrap_or_default()));
    }
    let clock = |whose| Clock { whose, file: dir.join(format!("clock-{whose}")), library: library.clone() };
    let clocks = whose.map(clock);
    for clock in &clocks {
        std::fs::write(&clock.file, 0_i64.to_ne_bytes()).map_err(|problem| not(&problem))?;
    }
    Ok(clocks)
}

/// Steps one of them, either way.
pub(super) fn step(site: &Site, random: &mut ChaCha8Rng) -> anyhow::Result<(String, Undo)> {
    anyhow::ensure!(!site.clocks.is_empty(), "no clock of this scenario can be stepped");
    let clock = &site.clocks[random.random_range(0..site.clocks.len())];
    let seconds = STEPS[random.random_range(0..STEPS.len())];
    set(&clock.file, seconds)?;
    site.count(&format!("clock of the {} stepped", clock.whose), 1);
    Ok((format!("of the {}, by {seconds} s", clock.whose), Undo::Clock(clock.file.clone())))
}

/// In place: a file that is cut under those who have it mapped would end them.
pub(super) fn set(file: &Path, seconds: i64) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).open(file).context("the file of a clock")?;
    Ok(file.write_all_at(&seconds.to_ne_bytes(), 0)?)
}
