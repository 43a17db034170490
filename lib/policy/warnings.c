// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/warnings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/blob.h"

void policy_warnings_done(struct policy_warnings *warnings)
{
    for (size_t i = 0; i < warnings->len; i++)
        free(warnings->items[i].message);
    free(warnings->items);
    *warnings = (struct policy_warnings){0};
}

static bool is_there(const struct policy_warnings *warnings, const char *reason,
                     const char *message)
{
    for (size_t i = 0; i < warnings->len; i++)
        if (strcmp(warnings->items[i].reason, reason) == 0 &&
            strcmp(warnings->items[i].message, message) == 0)
            return true;
    return false;
}

void policy_warn(struct policy_warnings *warnings, const char *reason, unsigned line,
                 const char *format, ...)
{
    _cleanup_free_ char *text = NULL, *message = NULL;
    va_list args;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    message = line > 0 ? xasprintf("line %u: %s", line, text) : TAKE_PTR(text);
    if (warnings->len == POLICY_WARNINGS_MAX || is_there(warnings, reason, message))
        return;
    warnings->items = xreallocarray(warnings->items, warnings->len + 1, sizeof(*warnings->items));
    warnings->items[warnings->len++] =
        (struct policy_warning){.reason = reason, .line = line, .message = TAKE_PTR(message)};
}

void policy_warn_attachment(struct policy_warnings *warnings, const struct blob *blob)
{
    for (size_t i = 0; i < blob->count; i++) {
        const struct blob_profile *profile = &blob->profiles[i];
        const char *place = profile->attachment ? profile->attachment : "the paths in its header";

        if (profile->attaches)
            policy_warn(warnings, POLICY_WARNING_ATTACHMENT, 0,
                        "profile \"%s\" attaches to %s and confines the host's programs there, "
                        "too, on every selected node",
                        profile->name, place);
    }
}
