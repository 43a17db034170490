// SPDX-License-Identifier: Apache-2.0
#include "controller/patch.h"

static void merge_patch_into(cJSON *patch, const cJSON *old, const cJSON *new)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, new)
    {
        const cJSON *before = cJSON_GetObjectItemCaseSensitive(old, item->string);

        if (json_equal(before, item))
            continue;
        if (cJSON_IsObject(item))
            merge_patch_into(json_add_object(patch, item->string),
                             cJSON_IsObject(before) ? before : NULL, item);
        else
            json_add(patch, item->string, cJSON_Duplicate(item, true));
    }
    cJSON_ArrayForEach(item, old)
    {
        if (!cJSON_GetObjectItemCaseSensitive(new, item->string))
            json_add(patch, item->string, cJSON_CreateNull());
    }
}

cJSON *merge_patch(const cJSON *old, const cJSON *new)
{
    cJSON *patch;

    if (json_equal(old, new))
        return NULL;
    patch = cJSON_CreateObject();
    merge_patch_into(patch, old, new);
    return patch;
}
