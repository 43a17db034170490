// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted is JSON: it prints, and reads back as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_json_ cJSON *documents = NULL, *again = NULL;

    alloc_init();
    if (yaml_parse((const char *) data, size, &documents, &err) < 0) {
        if (!err.message || err.code >= 0)
            abort();
        return 0;
    }
    _cleanup_free_ char *text = json_print(documents);
    if (json_parse(text, strlen(text), &again, &err) < 0)
        abort();
    return 0;
}
