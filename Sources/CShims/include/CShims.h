// C that Swift cannot say: macros, variadic calls, GNU extensions. Each function is the thinnest cover of its subject.
#pragma once
#include <netinet/in.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/epoll.h>

/// NFNL_MSG_TYPE and NFNL_SUBSYS_ID of <linux/netfilter/nfnetlink.h>.
uint8_t nsgd_nfnl_message(uint16_t type);
uint8_t nsgd_nfnl_subsystem(uint16_t type);

/// Enlarges a socket buffer with SO_SNDBUFFORCE or SO_RCVBUFFORCE, or, where that is refused, with SO_SNDBUF or SO_RCVBUF; 0
/// bytes leave it as it is.
/// Returns the size in force as getsockopt gives it (the kernel doubles what was asked), or -1 with errno.
int nsgd_socket_send_buffer(int descriptor, int bytes);
int nsgd_socket_receive_buffer(int descriptor, int bytes);

/// SO_PEERCRED. 0, or -1 with errno.
int nsgd_peer_credentials(int descriptor, int *process, uint32_t *user, uint32_t *group);

/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC, without the address. A descriptor, or -1 with errno.
int nsgd_accept(int descriptor);

/// From now on the signal is one byte, its number, to read from the pipe whose end is returned: one pipe for the process, never
/// closed. (Dispatch's signal sources lose signals on Linux: signalfd wants them blocked in every thread.) -1 with errno.
int nsgd_signal_descriptor(int signal);

/// CLOCK_REALTIME and CLOCK_MONOTONIC in nanoseconds. (In Swift, struct timespec belongs to whichever C module was built first, and
/// its fields are hidden from files that import another.)
uint64_t nsgd_clock_realtime(void);
uint64_t nsgd_clock_monotonic(void);

/// Holds the calling thread for so many nanoseconds; a signal does not shorten it.
void nsgd_sleep(uint64_t duration);

/// Waits until every packet that walks through the kernel's rules now has left them: they are read within RCU, and
/// MEMBARRIER_CMD_GLOBAL waits for all readers. 0, or -1 with errno where the kernel does not do that (`nohz_full`).
int nsgd_wait_for_packets(void);

/// mallopt: two arenas, and a heap that is not given back and taken again while work goes on (`nsgd_release_unused_memory`
/// does that once, at the end of it).
void nsgd_keep_heap_small(void);

/// malloc_trim(0), whose header is in no module of Swift's.
void nsgd_release_unused_memory(void);

/// Has the file system set room aside for bytes of a file without changing its length (`fallocate`,
/// FALLOC_FL_KEEP_SIZE). Returns 0 or an errno.
int nsgd_reserve(int descriptor, int64_t offset, int64_t count);

/// setns with CLONE_NEWNET: this thread's sockets belong to another network namespace from here on. 0, or -1 with errno.
int nsgd_enter_network_namespace(int descriptor);
