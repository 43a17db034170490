// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * Appends {namespace, pod, container, node, phase, profile} to `rows` for each container of the pod
 * that asks for one of the profiles; `names` NULL: for any Localhost profile.
 */
void users_add(cJSON *rows, const cJSON *pod, const struct strv *names);
