/* SPDX-License-Identifier: Apache-2.0
 *
 * A wall clock that leaps on command, for LD_PRELOAD: so many seconds as stand in the file CLOCK_CONTROL (shared
 * memory, one int64) are added to it. The monotonic clock goes on. Linux and glibc; tests/test_hard_times.py.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t still;
static const volatile int64_t *ahead = &still;

__attribute__((constructor)) static void start(void) {
    const char *name = getenv("CLOCK_CONTROL");
    int file = name == NULL ? -1 : open(name, O_RDONLY);
    void *shared = file < 0 ? MAP_FAILED : mmap(NULL, sizeof still, PROT_READ, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED)
        ahead = shared;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int done = (int)syscall(SYS_clock_gettime, clock, at);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += *ahead;
    return done;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int done = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return done;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at != NULL)
        *at = now.tv_sec;
    return now.tv_sec;
}
