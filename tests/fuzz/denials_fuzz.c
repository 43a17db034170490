// SPDX-License-Identifier: Apache-2.0

/*
 * An AppArmorNode's status that an agent finds and goes on from: what it keeps of it is within the
 * bounds of memory and API, and a further restart changes nothing of what it says.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/denial_status.h"
#include "lib/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *object_of(void *userdata, const char *profile)
{
    (void) userdata;
    return strncmp(profile, "web", 3) == 0 ? "web" : NULL;
}

static const char *revision_of(void *userdata, const char *object)
{
    (void) userdata;
    return strcmp(object, "web") == 0 ? "r1" : NULL;
}

/* What an agent that has found `status` says. */
static cJSON *restart(const cJSON *status)
{
    static const struct denials_options options = {.object_of = object_of,
                                                   .revision_of = revision_of};
    _cleanup_(denials_freep) struct denials *denials = denials_new(&options);
    cJSON *said = cJSON_CreateObject();

    denial_status_adopt(denials, status);
    assert(denials_size(denials) <= DENIALS_MAX);
    denial_status_add(denials, said);
    assert(cJSON_GetArraySize(json_get(said, STATUS_DENIALS)) <= DENIAL_STATUS_MAX);
    assert(cJSON_GetArraySize(json_get(said, STATUS_VIOLATIONS)) <= DENIAL_STATUS_VIOLATIONS_MAX);
    return said;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ cJSON *status = NULL, *first = NULL, *second = NULL;

    alloc_init();
    if (json_parse((const char *) data, size, &status, NULL) < 0)
        return 0;
    first = restart(status);
    /* What found no room is not listed, and not known to the next. */
    cJSON_DeleteItemFromObjectCaseSensitive(first, STATUS_DENIALS_NOT_LISTED);
    second = restart(first);
    cJSON_DeleteItemFromObjectCaseSensitive(second, STATUS_DENIALS_NOT_LISTED);
    assert(json_equal(first, second));
    return 0;
}
