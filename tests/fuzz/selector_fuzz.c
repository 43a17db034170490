// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdint.h>

#include "lib/base/alloc.h"
#include "lib/policy/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The input is {"selector": …, "labels": …}. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_json_ cJSON *json = NULL;

    alloc_init();
    if (json_parse((const char *) data, len, &json, NULL) < 0)
        return 0;
    const cJSON *selector = json_get(json, "selector");
    bool matches = policy_selector_matches(selector, json_get(json, "labels"));
    (void) policy_selector_matches(selector, NULL);
    if (policy_selector_check(selector, &err) < 0)
        assert(!matches && *error_message(&err));
    return 0;
}
