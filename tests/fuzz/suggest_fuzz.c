// SPDX-License-Identifier: Apache-2.0

/*
 * What `suggest` reads of a cluster, {"policy": text, "nodes": [AppArmorNode …]}, with whatever
 * names an attacker has been denied: what it makes of a policy has the same profiles, no include
 * that is forbidden, and just the rules that it says, none of which denies or audits.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cli/amend.h"
#include "cli/denial_set.h"
#include "cli/proposal.h"
#include "lib/base/alloc.h"
#include "lib/policy/headers.h"
#include "lib/policy/includes.h"
#include "lib/policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NODES_MAX 8

static const char POLICY[] = "include <tunables/global>\n"
                             "profile web {\n  ^hat {\n  }\n  profile kid { /kid r, }\n}\n"
                             "profile db { }\n";

struct counts {
    size_t headers, rules, special;
};

static int count_header(void *userdata, const struct policy_header *header, struct error *err)
{
    struct counts *counts = userdata;

    (void) header;
    (void) err;
    counts->headers++;
    return 0;
}

static void count_rule(void *userdata, const struct policy_rule *rule)
{
    struct counts *counts = userdata;

    counts->rules++;
    counts->special += rule->deny || rule->audit;
}

static bool count(const char *text, struct counts *ret)
{
    size_t len = strlen(text);

    *ret = (struct counts){0};
    return policy_includes_check(text, len, NULL) == 0 &&
           policy_headers_each(text, len, count_header, ret, NULL) == 0 &&
           policy_rules_each(text, len, count_rule, ret) == 0;
}

/* Of profiles that the text has. */
static size_t count_added(const struct map *added, const struct strv *missing)
{
    size_t position = 0, total = 0;
    const char *name;
    void *rules;

    while (map_next(added, &position, &name, &rules)) {
        bool there = true;

        for (size_t i = 0; i < missing->len; i++)
            there = there && strcmp(missing->items[i], name) != 0;
        total += there ? ((const struct strv *) rules)->len : 0;
    }
    return total;
}

static void check(const char *policy, const struct proposal *proposal, bool exact)
{
    _cleanup_strv_ struct strv missing = {0};
    _cleanup_free_ char *text = NULL;
    struct counts before, after;

    if (!count(policy, &before))
        return;
    assert(amend_policy(policy, proposal->added, &missing, &text, NULL) == 0);
    assert(count(text, &after));
    assert(after.headers == before.headers && after.special == before.special);
    assert(!exact || after.rules == before.rules + count_added(proposal->added, &missing));
}

static void describe_each(const cJSON *list)
{
    const cJSON *denial;

    cJSON_ArrayForEach(denial, list)
    {
        _cleanup_free_ char *words = denial_describe(denial);
        assert(words);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct proposal_options options = {.exact = size % 2};
    static const struct denial_filter any = {0};
    _cleanup_(denial_set_freep) struct denial_set *set = denial_set_new();
    _cleanup_json_ cJSON *json = NULL, *list = NULL;
    struct proposal proposal;
    const cJSON *node;
    size_t nodes = 0;

    alloc_init();
    if (json_parse((const char *) data, size, &json, NULL) < 0)
        return 0;
    cJSON_ArrayForEach(node, json_get(json, "nodes"))
    {
        if (nodes++ < NODES_MAX)
            denial_set_add_node(set, &any, node);
    }
    list = denial_set_json(set);
    describe_each(list);
    const char *own = json_string(json, "policy");
    proposal_init(&proposal, list, own ? own : POLICY, &options);
    check(POLICY, &proposal, true);
    if (own)
        check(own, &proposal, false);
    proposal_done(&proposal);
    return 0;
}
