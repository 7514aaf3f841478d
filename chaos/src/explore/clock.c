/* The server's clock, moved by the explorer: microseconds since 1970 in the file TOLLGATE_CLOCK. Preloaded into
 * redis-server. Allocates nothing; monotonic clocks are left alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void) {
  static const volatile int64_t *page;
  if (!page) {
    int file = open(getenv("TOLLGATE_CLOCK"), O_RDONLY);
    void *mapped = mmap(0, sizeof *page, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) _exit(97);
    close(file);
    page = mapped;
  }
  return *page;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return (int)syscall(SYS_clock_gettime, clock, at);
  int64_t us = now_us();
  at->tv_sec = us / 1000000;
  at->tv_nsec = us % 1000000 * 1000;
  return 0;
}

int gettimeofday(struct timeval *at, void *zone) {
  (void)zone;
  int64_t us = now_us();
  at->tv_sec = us / 1000000;
  at->tv_usec = us % 1000000;
  return 0;
}

time_t time(time_t *at) {
  time_t now = now_us() / 1000000;
  if (at) *at = now;
  return now;
}
