// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/audit/record.h"
#include "lib/base/alloc.h"
#include "lib/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void check_text(const char *text, size_t max)
{
    size_t len = strlen(text);

    check(len <= max && utf8_valid(text, len));
    for (size_t i = 0; i < len; i++)
        check((unsigned char) text[i] >= ' ' && text[i] != 0x7f);
}

static char *key_of(const struct audit_access *access)
{
    struct buf key = BUF_INIT(1 << 20);

    audit_access_key(access, &key);
    check(!key.overflow);
    return buf_take(&key);
}

/*
 * A denial has a profile and an operation, and nothing in it can upset a log, a terminal or the
 * API. It comes back the same from JSON, and from a struct that held another record before.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct audit_record used;
    _cleanup_free_ char *text = xmalloc(size ? size : 1);
    _cleanup_audit_record_ struct audit_record record = {0};
    struct audit_access again;

    memcpy(text, data, size);
    enum audit_verdict verdict = audit_record_parse(text, size, &record);
    check(audit_record_parse(text, size, &used) == verdict);
    if (verdict != AUDIT_DENIAL)
        return 0;
    check(record.access.fields[AUDIT_FIELD_PROFILE] && record.access.fields[AUDIT_FIELD_OPERATION]);
    check(record.pid >= 0 && record.sender >= 0 && record.time_ms >= 0);
    check_text(record.comm, AUDIT_COMM_SIZE - 1);
    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        if (record.access.fields[i])
            check_text(record.access.fields[i], AUDIT_TEXT_MAX);

    _cleanup_json_ cJSON *json = audit_access_json(&record.access);
    check(audit_access_read(json, &again));
    _cleanup_free_ char *key = key_of(&record.access), *of_json = key_of(&again);
    _cleanup_free_ char *of_used = key_of(&used.access);
    check(strcmp(key, of_json) == 0 && strcmp(key, of_used) == 0);
    struct buf words = BUF_INIT(1 << 20);
    audit_access_describe(&record.access, &words);
    check(!words.overflow);
    buf_done(&words);
    return 0;
}
