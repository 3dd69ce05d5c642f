#define _GNU_SOURCE
#include "CShims.h"
#include <errno.h>
#include <fcntl.h>

int nsgd_reserve(int descriptor, int64_t offset, int64_t count) {
    int status;
    do {
        status = fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, count);
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}
