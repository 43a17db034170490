// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"

/*
 * Whether a process that the runtime has begun in a container is confined as its pod asks. A
 * mistake may cost somebody a pod: what could be meant is no finding.
 */

/*
 * What a container's pod asks for and can be checked: "RuntimeDefault" or "Localhost/<profile>";
 * the caller frees it. NULL: nothing. RuntimeDefault of a privileged container is not: runtimes
 * differ in whether they confine it.
 */
char *confinement_asked(const cJSON *pod, const cJSON *container);
/* The profile's name in "Localhost/<profile>", else NULL. */
const char *confinement_profile(const char *asked);

/*
 * False when the process is unconfined, or under a runtime's default profile where another is asked
 * for. Any other profile will do: the one that is asked for may send it there (`px` rules,
 * change_profile), and what it may do is then for both to say.
 */
bool confinement_holds(const char *asked, const char *label);
