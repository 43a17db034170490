// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/kernel_features.h"
#include "lib/policy/warnings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct bounds {
    const char *start, *end;
    unsigned line;
};

/* Within the text, in its order. */
static void check_rule(void *userdata, const struct policy_rule *rule)
{
    struct bounds *bounds = userdata;

    assert(rule->word >= bounds->start && rule->word + rule->word_len <= bounds->end);
    assert(rule->line >= bounds->line);
    assert(rule->mode >= POLICY_ENFORCE && rule->mode <= POLICY_UNCONFINED);
    bounds->line = rule->line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *exact = xmemdup(len ? (const char *) data : "", len ? len : 1);
    struct bounds bounds = {exact, exact + len, 1};
    const struct policy_texts texts = {exact, len, exact, len, POLICY_MODE_UNSET};
    const struct policy_kernel kernel = {"fuzz", exact, len};
    _cleanup_warnings_ struct policy_warnings warnings = {0};

    (void) policy_rules_each(exact, len, check_rule, &bounds);
    policy_warn_deny(&warnings, &texts);
    policy_warn_kernels(&warnings, &texts, &kernel, 1);
    (void) kernel_features_have(exact, len, "namespaces/mask/userns_create");
    assert(warnings.len <= POLICY_WARNINGS_MAX);
    return 0;
}
