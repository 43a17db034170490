// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/rollout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read of the annotation is what writing it again gives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_free_ char *text = NULL, *printed = NULL;
    struct policy_rollout rollout, again;
    _cleanup_error_ struct error err = {0};

    alloc_init();
    text = xstrndup((const char *) data, len);
    if (policy_rollout_parse(text, &rollout, &err) < 0) {
        assert(*error_message(&err));
        return 0;
    }
    printed = policy_rollout_print(&rollout);
    assert(policy_rollout_parse(printed, &again, NULL) == 0);
    assert(policy_rollout_equal(&rollout, &again));
    return 0;
}
