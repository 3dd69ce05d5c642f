#define _GNU_SOURCE
#include "CShims.h"

#include <sched.h>

int nsgd_enter_network_namespace(int descriptor) { return setns(descriptor, CLONE_NEWNET); }
