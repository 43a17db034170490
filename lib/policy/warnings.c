// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/warnings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/policy/blob.h"
#include "lib/policy/kernel_features.h"
#include "lib/policy/rules.h"

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

/* --- deny rules ---------------------------------------------------------------------- */

struct deny_search {
    enum policy_mode mode; /* of all profiles, or UNSET */
    unsigned first;        /* line; 0: none */
    size_t count;
};

/* `audit deny` is logged and allowed. */
static void find_deny(void *userdata, const struct policy_rule *rule)
{
    struct deny_search *search = userdata;
    enum policy_mode mode = search->mode == POLICY_MODE_UNSET ? rule->mode : search->mode;

    if (!rule->deny || rule->audit || mode != POLICY_COMPLAIN)
        return;
    if (search->count++ == 0)
        search->first = rule->line;
}

static struct deny_search search_deny(const char *text, size_t len, enum policy_mode mode)
{
    struct deny_search search = {.mode = mode};

    (void) policy_rules_each(text, len, find_deny, &search);
    return search;
}

void policy_warn_deny(struct policy_warnings *warnings, const struct policy_texts *texts)
{
    const struct deny_search own = search_deny(texts->text, texts->len, texts->mode);
    const struct deny_search all = search_deny(texts->flat, texts->flat_len, texts->mode);

    if (own.count == 1)
        policy_warn(warnings, POLICY_WARNING_DENY, own.first,
                    "an explicit deny rule is enforced in mode Complain, too, without a record: "
                    "make it `audit deny` to see what it would deny");
    else if (own.count > 1)
        policy_warn(warnings, POLICY_WARNING_DENY, own.first,
                    "this and %zu more explicit deny rules are enforced in mode Complain, too, "
                    "without a record: make them `audit deny` to see what they would deny",
                    own.count - 1);
    else if (all.count > 0)
        policy_warn(warnings, POLICY_WARNING_DENY, 0,
                    "what the policy includes has %zu explicit deny rule%s, which %s enforced in "
                    "mode Complain, too, without a record",
                    all.count, all.count == 1 ? "" : "s", all.count == 1 ? "is" : "are");
}

/* --- kernels ------------------------------------------------------------------------- */

/* Kernels that a message names. */
#define NAMED_MAX 3

struct kernel_search {
    struct policy_warnings *warnings;
    const struct policy_kernel *kernels;
    size_t count;
    struct strv told; /* kinds of rules */
};

/* "nodes with kernel features A, B and 2 others"; the caller frees it. */
static char *name_kernels(const struct kernel_search *search, const struct policy_rule *rule)
{
    struct buf out = BUF_INIT(1024);
    size_t named = 0, rest = 0;

    for (size_t i = 0; i < search->count; i++) {
        const struct policy_kernel *kernel = &search->kernels[i];

        if (kernel_features_enforce(kernel->features, kernel->len, rule))
            continue;
        if (named == NAMED_MAX) {
            rest++;
            continue;
        }
        (void) buf_addf(&out, "%s%s", named > 0 ? ", " : "", kernel->name);
        named++;
    }
    if (rest > 0)
        (void) buf_addf(&out, " and %zu other%s", rest, rest == 1 ? "" : "s");
    return buf_take(&out);
}

static void find_unenforced(void *userdata, const struct policy_rule *rule)
{
    struct kernel_search *search = userdata;
    _cleanup_free_ char *kind = xstrndup(rule->word, rule->word_len);
    size_t missing = 0;

    for (size_t i = 0; i < search->count; i++)
        missing +=
            !kernel_features_enforce(search->kernels[i].features, search->kernels[i].len, rule);
    if (missing == 0 || strv_contains(&search->told, kind))
        return;
    _cleanup_free_ char *names = name_kernels(search, rule);
    if (missing == search->count)
        policy_warn(search->warnings, POLICY_WARNING_NOT_ENFORCED, rule->line,
                    "%s rules are not enforced by the kernel of any node", kind);
    else
        policy_warn(search->warnings, POLICY_WARNING_NOT_ENFORCED, rule->line,
                    "%s rules are not enforced on nodes with kernel features %s", kind, names);
    strv_take(&search->told, TAKE_PTR(kind));
}

/* Of what is included, the shipped abstractions are full of such rules and nobody's to change. */
void policy_warn_kernels(struct policy_warnings *warnings, const struct policy_texts *texts,
                         const struct policy_kernel *kernels, size_t count)
{
    struct kernel_search search = {.warnings = warnings, .kernels = kernels, .count = count};

    (void) policy_rules_each(texts->text, texts->len, find_unenforced, &search);
    strv_done(&search.told);
}
