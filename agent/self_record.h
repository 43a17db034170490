// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/error.h"
#include "lib/policy/marker.h"

/*
 * The file apparmor.io.agent in the host's /etc/apparmor.d: the agent's own profile, for the host's
 * tools, which remove from the kernel what they find no file of, and the digests that the kernel
 * shows of it, for the agent's next start. No object's file has that name.
 */

/* -ENOENT without a file, -EPERM for one that the agent has not written. */
_must_check_ int self_record_read(const char *host_root, struct marker **ret, struct error *err);
/* Creates or atomically replaces; -EPERM as above. */
_must_check_ int self_record_write(const char *host_root, const struct marker *marker,
                                   const char *text, size_t len, struct error *err);
