#include "CShims.h"
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t nsgd_clock_realtime(void) { return nanoseconds(CLOCK_REALTIME); }
uint64_t nsgd_clock_monotonic(void) { return nanoseconds(CLOCK_MONOTONIC); }

void nsgd_sleep(uint64_t duration)
{
    struct timespec rest = {.tv_sec = (time_t)(duration / 1000000000u), .tv_nsec = (long)(duration % 1000000000u)};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

int nsgd_wait_for_packets(void)
{
    /* With one processor the kernel returns at once, though it may have been taken from a sender in the middle. */
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}
