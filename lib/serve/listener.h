// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

/*
 * A listening TCP socket on the loop. libwebsockets could listen by itself, but takes interface
 * names for addresses, hides why a bind failed, and cannot stop accepting while it is full.
 */
struct listener;

/* The callee owns `fd`, which is non-blocking and close-on-exec. */
typedef void (*listener_fn)(void *userdata, int fd);

/* `address` is numeric; NULL: all interfaces, IPv4 and IPv6. Port 0: any. */
_must_check_ int listener_new(uv_loop_t *loop, const char *address, uint16_t port, listener_fn fn,
                              void *userdata, struct listener **ret, struct error *err);
void listener_free(struct listener *listener);
DEFINE_CLEANUP(struct listener *, listener_free)
uint16_t listener_port(const struct listener *listener);
/* While paused, connections wait in the kernel's queue. */
void listener_pause(struct listener *listener, bool paused);
