// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/audit/access.h"

/*
 * The kind of rule that a record asks for. Kernels up to 6.4 name no class; later ones have
 * security/apparmor/audit.c's, which are not all kinds of rules ("domain" is several, "net" too).
 * `kernel_class` has no NUL and may be NULL, as may `operation` and `family`.
 */
enum audit_class audit_classify(const char *kernel_class, size_t kernel_class_len,
                                const char *operation, const char *family);
