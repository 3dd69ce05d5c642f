#define _GNU_SOURCE
#include "CBatches.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

int bench_send_batch(int descriptor, const void *packets, size_t length, unsigned count)
{
    struct iovec parts[BENCH_BATCH];
    struct mmsghdr messages[BENCH_BATCH];
    if (count > BENCH_BATCH)
        count = BENCH_BATCH;
    memset(messages, 0, sizeof messages[0] * count);
    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct iovec){(char *)packets + i * length, length};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(descriptor, messages, count, 0);
}

int bench_receive_batch(int descriptor)
{
    char bytes[BENCH_BATCH][2];
    struct sockaddr_in senders[BENCH_BATCH];
    struct iovec parts[BENCH_BATCH];
    struct mmsghdr messages[BENCH_BATCH];
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < BENCH_BATCH; i++) {
        parts[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &senders[i];
        messages[i].msg_hdr.msg_namelen = sizeof senders[i];
    }
    int count = recvmmsg(descriptor, messages, BENCH_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        if (messages[i].msg_len == 1 && !(messages[i].msg_hdr.msg_flags & MSG_TRUNC))
            (void)sendto(descriptor, bytes[i], 1, 0, (struct sockaddr *)&senders[i], sizeof senders[i]);
    return count;
}

int bench_stamp_arrivals(int descriptor)
{
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
}

int bench_receive_stamped(int descriptor, void *payload, size_t length, uint64_t *arrival)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec part = {payload, length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t received = recvmsg(descriptor, &message, 0);
    *arrival = 0;
    if (received < 0)
        return (int)received;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SO_TIMESTAMPNS)
            continue;
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(item), sizeof stamp);
        *arrival = (uint64_t)stamp.tv_sec * 1000000000u + (uint64_t)stamp.tv_nsec;
    }
    return (int)received;
}

static uint64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t bench_clock_realtime(void) { return now(CLOCK_REALTIME); }
uint64_t bench_clock_monotonic(void) { return now(CLOCK_MONOTONIC); }

void bench_sleep(uint64_t duration)
{
    struct timespec time = {(time_t)(duration / 1000000000u), (long)(duration % 1000000000u)};
    nanosleep(&time, NULL);
}
