// SPDX-License-Identifier: Apache-2.0

/*
 * What `convert` reads: profile files, ConfigMaps and objects of the Security Profiles Operator.
 * What is made of them is an AppArmorProfile that the API takes, and says what it says in profiles
 * of its own: no value of the abstract form ends its rule.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cli/convert.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/policy/headers.h"
#include "lib/policy/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_header(void *userdata, const struct policy_header *header, struct error *err)
{
    size_t *count = userdata;

    (void) err;
    *count += header->top;
    return 0;
}

static size_t count_profiles(const char *text)
{
    size_t count = 0;

    assert(policy_headers_each(text, strlen(text), count_header, &count, NULL) == 0);
    return count;
}

static void check_made(const struct convert *convert)
{
    const cJSON *object;

    cJSON_ArrayForEach(object, convert->made)
    {
        struct policy_profile *profile;

        assert(policy_profile_parse(object, &profile, NULL) == 0);
        assert(count_profiles(profile->text) > 0);
        policy_profile_free(profile);
    }
}

static void check_abstract(void *userdata, const struct input_object *object)
{
    _cleanup_buf_ struct buf text = BUF_INIT(256 * 1024);

    (void) userdata;
    if (convert_abstract(value_text(object->json, "metadata", "name"),
                         json_get(object->json, "spec"), &text, NULL) == 0)
        assert(count_profiles(buf_string(&text)) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = BUF_INIT(INPUT_SIZE_MAX);
    struct input input = {0};
    struct convert convert;

    alloc_init();
    if (size == 0 || buf_add(&text, data + 1, size - 1) < 0 ||
        input_parse(data[0] & 1 ? "f.yaml" : "f", &text, &input, NULL) < 0) {
        buf_done(&text);
        return 0;
    }
    convert_init(&convert);
    convert.keep_attachments = data[0] & 2;
    convert_input(&convert, &input);
    check_made(&convert);
    input_each(&input, check_abstract, NULL);
    convert_done(&convert);
    input_done(&input);
    return 0;
}
