// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads exactly the given bytes (the copy has no terminator for the sanitizer to miss), and what
 * was printed reads back as equal. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_json_ cJSON *json = NULL, *again = NULL;
    _cleanup_free_ char *exact = xmemdup(data, size);
    _cleanup_error_ struct error err = {0};

    alloc_init();
    if (json_parse(exact, size, &json, &err) < 0) {
        if (!err.message)
            abort();
        return 0;
    }
    if (!json_equal(json, json))
        abort();
    _cleanup_free_ char *text = json_print(json);
    if (json_parse(text, strlen(text), &again, NULL) < 0)
        abort();
    _cleanup_free_ char *once_more = json_print(again);
    if (strcmp(text, once_more) != 0)
        abort();
    return 0;
}
