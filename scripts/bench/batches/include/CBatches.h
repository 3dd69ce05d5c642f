// Many datagrams in one system call, and what of sockets Swift cannot say. Each function is the thinnest cover of its subject.
// No header of sockets or clocks here: in Swift their types would belong to this module, and be hidden from files that import Glibc.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// How many datagrams one call sends or receives at most.
#define BENCH_BATCH 64

/// sendmmsg of `count` datagrams of `length` bytes that lie one behind the other; the socket is connected. How many were
/// taken, or -1 with errno.
int bench_send_batch(int descriptor, const void *packets, size_t length, unsigned count);

/// recvmmsg that does not wait, and discards what they hold. A datagram of one byte is answered with one. How many were
/// received, or -1 with errno.
int bench_receive_batch(int descriptor);

/// SO_TIMESTAMPNS: from here on the kernel stamps what arrives. 0, or -1 with errno.
int bench_stamp_arrivals(int descriptor);

/// Receives one datagram; `arrival` is when it came in at the device, by CLOCK_REALTIME in nanoseconds, 0 without a stamp.
/// Its length, or -1 with errno.
int bench_receive_stamped(int descriptor, void *payload, size_t length, uint64_t *arrival);

/// CLOCK_REALTIME and CLOCK_MONOTONIC in nanoseconds.
uint64_t bench_clock_realtime(void);
uint64_t bench_clock_monotonic(void);

/// Gives the core away for so many nanoseconds, or until a signal.
void bench_sleep(uint64_t duration);
