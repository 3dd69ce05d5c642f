#include "CShims.h"
#include <malloc.h>

void nsgd_keep_heap_small(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

void nsgd_release_unused_memory(void) { malloc_trim(0); }
