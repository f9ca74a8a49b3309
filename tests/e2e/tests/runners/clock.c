/* A time of day that jumps: preloaded into a process, it shifts what the process is told of the time of day by the number
 * of milliseconds in the file that PETREL_TEST_CLOCK names, at any moment. Clocks that nobody sets are left alone, and what
 * waits until a time of day waits by the shifted one, as with a machine whose clock is set. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
/* How soon a jump is seen by who waits already. */
#define LOOK_NS (50 * 1000000LL)
/* No machine runs for thirty years: what is less is no time of day. */
#define OF_DAY_S 1000000000LL

static _Atomic int64_t none;
static _Atomic int64_t *ahead_ms = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("PETREL_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *ahead_ms, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) ahead_ms = page;
}

static int64_t in_ns(const struct timespec *time) { return time->tv_sec * NS + time->tv_nsec; }

static struct timespec of_ns(int64_t ns) { return (struct timespec){.tv_sec = ns / NS, .tv_nsec = ns % NS}; }

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = (int)syscall(SYS_clock_gettime, clock, time);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        *time = of_ns(in_ns(time) + atomic_load(ahead_ms) * 1000000LL);
    return failed;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *time, int base) {
    if (base != TIME_UTC) return 0;
    return clock_gettime(CLOCK_REALTIME, time) ? 0 : base;
}

/* Wakes now and then for nothing, which a condition may do. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    if (until->tv_sec < OF_DAY_S) return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, until);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = in_ns(until) - in_ns(&now);
    int64_t look = left < LOOK_NS ? (left > 0 ? left : 0) : LOOK_NS;
    clock_gettime(CLOCK_MONOTONIC, &now);
    now = of_ns(in_ns(&now) + look);
    int failed = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &now);
    return failed == ETIMEDOUT && look < left ? 0 : failed;
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until) {
    switch (pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until)) {
    case 0: return thrd_success;
    case ETIMEDOUT: return thrd_timedout;
    default: return thrd_error;
    }
}
