// SPDX-License-Identifier: Apache-2.0

/*
 * Accesses as a kernel records them, with whatever names an attacker gives: what is made of them is
 * one rule of one line, within its profile, without any include.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/audit/rule.h"
#include "lib/base/alloc.h"
#include "lib/policy/headers.h"
#include "lib/policy/includes.h"
#include "lib/policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_header(void *userdata, const struct policy_header *header, struct error *err)
{
    size_t *count = userdata;

    (void) header;
    (void) err;
    ++*count;
    return 0;
}

static void count_rule(void *userdata, const struct policy_rule *rule)
{
    size_t *count = userdata;

    assert(!rule->deny && !rule->audit);
    ++*count;
}

static void check(const char *rule)
{
    _cleanup_free_ char *text = xasprintf("profile web {\n  %s\n}\n", rule);
    size_t headers = 0, rules = 0, len = strlen(text);

    assert(!strchr(rule, '\n'));
    assert(policy_includes_check(text, len, NULL) == 0);
    assert(policy_headers_each(text, len, count_header, &headers, NULL) == 0);
    assert(headers == 1);
    assert(policy_rules_each(text, len, count_rule, &rules) == 0);
    assert(rules == 1);
}

/* Fields are separated by line breaks: class, flags, then texts in their order. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct audit_access access = {0};
    struct audit_rule_options options = {0};
    struct audit_rule rule;
    char *at = text;

    alloc_init();
    if (size < 2)
        return 0;
    access.class = (enum audit_class)(data[0] % AUDIT_CLASSES);
    access.owner = data[1] & 1;
    access.pattern = data[1] & 2;
    options.variables = data[1] & 4;
    options.exact = data[1] & 8;
    at = strlen(text) < 2 ? text + strlen(text) : text + 2;
    for (size_t i = 0; i < AUDIT_FIELDS && at; i++) {
        const char *field = strsep(&at, "\n");
        access.fields[i] = *field ? field : NULL;
    }
    if (!access.fields[AUDIT_FIELD_PROFILE])
        access.fields[AUDIT_FIELD_PROFILE] = "web";
    if (audit_rule_of(&access, &options, &rule, NULL) < 0)
        return 0;
    _cleanup_free_ char *printed = audit_rule_print(&rule);
    check(printed);
    audit_rule_done(&rule);
    return 0;
}
