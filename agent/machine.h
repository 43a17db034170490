// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/utsname.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * The labels of a machine that is no cluster's Node, for nodeSelector: what a kubelet would set,
 * and what the flags (KEY=VALUE) add. -EINVAL names the flag. The caller deletes the result.
 */
_must_check_ int machine_labels(const struct utsname *machine, const char *name,
                                const struct strv *flags, cJSON **ret, struct error *err);
