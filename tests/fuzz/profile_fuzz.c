// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"
#include "lib/policy/profile.h"
#include "lib/policy/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;
    _cleanup_error_ struct error err = {0};
    _cleanup_json_ cJSON *json = NULL;

    alloc_init();
    if (json_parse((const char *) data, len, &json, NULL) < 0)
        return 0;
    if (policy_profile_check_fields(json, &err) < 0)
        assert(*error_message(&err));
    if (policy_profile_parse(json, &profile, &err) < 0) {
        assert(!profile && *error_message(&err));
        return 0;
    }
    assert(policy_name_check(profile->name, NULL) == 0);
    assert(profile->text_len > 0 && profile->text_len <= POLICY_TEXT_MAX);
    assert(strlen(profile->text) == profile->text_len);
    assert(utf8_valid(profile->text, profile->text_len));
    assert(profile->mode <= POLICY_UNCONFINED);
    assert(policy_selector_check(profile->selector, NULL) == 0);
    assert(strlen(profile->revision) == POLICY_REVISION_SIZE - 1);
    return 0;
}
