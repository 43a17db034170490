// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/compile/confine.h"

/*
 * What the agent and a held parser say to each other, over a SOCK_SEQPACKET pair: the parser a
 * hello when it is ready, then for each request with its descriptors a reply. Both are of one
 * build.
 */
#define PRELOAD_SOCKET_VARIABLE "APPARMOR_OPERATOR_FORK_SERVER" /* the descriptor's number */
#define PRELOAD_KEEP_VARIABLE "APPARMOR_OPERATOR_KEEP"          /* one that policy's process has */

enum preload_descriptor {
    PRELOAD_TEXT,
    PRELOAD_OUT,
    PRELOAD_ERR,
    PRELOAD_GO, /* a run begins when a byte comes, and ends when there is none to come */
    PRELOAD_DESCRIPTORS,
};

struct preload_request {
    struct confine_limits limits;
};

/* The process is of the server's group until its parent makes it lead one of its own, and gives it
 * the byte: what nobody has heard of is killed with the server. */
struct preload_reply {
    int32_t pid; /* a child of the server's own parent, or a negative errno; 0: the hello */
};
