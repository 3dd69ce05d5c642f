#define _GNU_SOURCE
#include "CShims.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int ends[2] = {-1, -1};

static void forward(int signal)
{
    int saved = errno;
    unsigned char byte = (unsigned char)signal;
    // A full pipe holds thousands of signals that nobody has taken; one more tells nothing new.
    ssize_t written = write(ends[1], &byte, 1);
    (void)written;
    errno = saved;
}

int nsgd_signal_descriptor(int signal)
{
    if (ends[0] < 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    struct sigaction action = {.sa_handler = forward, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, NULL) == 0 ? ends[0] : -1;
}
