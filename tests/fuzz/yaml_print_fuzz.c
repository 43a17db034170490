// SPDX-License-Identifier: Apache-2.0

/* Any JSON, printed as YAML, is read as the same. */
#include <assert.h>
#include <stdint.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"
#include "lib/base/yaml.h"
#include "lib/base/yaml_print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The reader takes no more levels. */
#define DEPTH_MAX 60

static unsigned depth_of(const cJSON *json)
{
    const cJSON *item;
    unsigned deepest = 0;

    cJSON_ArrayForEach(item, json)
    {
        unsigned depth = depth_of(item);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* JSON allows a key twice; an object of the API has it once. Numbers are doubles in both. */
static bool is_plain(const cJSON *json)
{
    const cJSON *item;

    if (cJSON_IsNumber(json) && !(json->valuedouble > -1e15 && json->valuedouble < 1e15))
        return false;
    cJSON_ArrayForEach(item, json)
    {
        if (item->string && cJSON_GetObjectItemCaseSensitive(json, item->string) != item)
            return false;
        if (!is_plain(item))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = BUF_INIT(64 * 1024 * 1024);
    cJSON *json, *documents;

    alloc_init();
    if (!utf8_valid((const char *) data, size) ||
        json_parse((const char *) data, size, &json, NULL) < 0)
        return 0;
    if (depth_of(json) < DEPTH_MAX && is_plain(json)) {
        yaml_print(json, &text);
        assert(yaml_parse(buf_string(&text), text.len, &documents, NULL) == 0);
        if (cJSON_IsNull(json))
            assert(cJSON_GetArraySize(documents) == 0);
        else
            assert(json_equal(cJSON_GetArrayItem(documents, 0), json));
        json_free(documents);
    }
    buf_done(&text);
    json_free(json);
    return 0;
}
