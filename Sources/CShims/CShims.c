#define _GNU_SOURCE
#include "CShims.h"
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

uint8_t nsgd_nfnl_message(uint16_t type) { return NFNL_MSG_TYPE(type); }
uint8_t nsgd_nfnl_subsystem(uint16_t type) { return NFNL_SUBSYS_ID(type); }

static int enlarge(int descriptor, int forced, int asked, int bytes)
{
    if (bytes > 0 && setsockopt(descriptor, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0)
        (void)setsockopt(descriptor, SOL_SOCKET, asked, &bytes, sizeof bytes);
    int size = 0;
    socklen_t length = sizeof size;
    return getsockopt(descriptor, SOL_SOCKET, asked, &size, &length) == 0 ? size : -1;
}

int nsgd_socket_send_buffer(int descriptor, int bytes)
{
    return enlarge(descriptor, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
}

int nsgd_socket_receive_buffer(int descriptor, int bytes)
{
    return enlarge(descriptor, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
}

int nsgd_peer_credentials(int descriptor, int *process, uint32_t *user, uint32_t *group)
{
    struct ucred credentials = {0};
    socklen_t length = sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
        return -1;
    *process = credentials.pid;
    *user = credentials.uid;
    *group = credentials.gid;
    return 0;
}

int nsgd_accept(int descriptor) { return accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }
