// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/strv.h"

/*
 * The first file of the host's folder of policy, in the order of names, that is not the agent's and
 * declares one of the profiles: what the host loads at its boot. NULL: there is none. Files that
 * the host's tools skip are not looked at; what is no policy, or more than a file of policy is,
 * declares nothing. The caller frees it.
 */
char *foreign_file_of(const char *folder, const struct strv *names);
