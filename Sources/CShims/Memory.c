#include "CShims.h"
#include <malloc.h>

void nsgd_release_unused_memory(void) { malloc_trim(0); }
