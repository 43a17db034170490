// SPDX-License-Identifier: Apache-2.0
#include "cli/proposal.h"

#include <stdlib.h>
#include <string.h>

#include "cli/abstractions.h"
#include "cli/denial_set.h"
#include "cli/values.h"
#include "lib/base/alloc.h"

#define EVIDENCE_NAMES 5

static void strv_free(void *value)
{
    strv_done(value);
    free(value);
}

static const cJSON *denial(const struct proposal *proposal, size_t index)
{
    return cJSON_GetArrayItem(proposal->denials, (int) index);
}

/* --- rules ---------------------------------------------------------------------------------- */

static void note_not_covered(struct proposal *proposal, const cJSON *one, const char *why)
{
    _cleanup_free_ char *what = denial_describe(one);
    cJSON *row = cJSON_CreateObject();

    json_add_string(row, "profile", value_text(one, "profile"));
    json_add_string(row, "access", what);
    json_add_string(row, "why", why);
    json_append(proposal->not_covered, row);
}

static void make_rules(struct proposal *proposal, const struct audit_rule_options *options)
{
    const cJSON *one;
    size_t i = 0;

    cJSON_ArrayForEach(one, proposal->denials)
    {
        _cleanup_error_ struct error err = {0};
        struct audit_access access;

        if (!audit_access_read(one, &access))
            note_not_covered(proposal, one, "it is not understood");
        else if (audit_suggestions_add(&proposal->suggestions, &access, options, i, &err) < 0)
            note_not_covered(proposal, one, error_message(&err));
        i++;
    }
    audit_suggestions_arrange(&proposal->suggestions, options);
}

/* The rules for the very accesses of each suggestion. */
static struct strv *make_exact(const struct proposal *proposal)
{
    static const struct audit_rule_options exact = {.variables = true, .exact = true};
    const struct audit_suggestions *suggestions = &proposal->suggestions;
    struct strv *rules = xcalloc(suggestions->len + 1, sizeof(*rules));

    for (size_t i = 0; i < suggestions->len; i++) {
        const struct audit_suggestion *suggestion = &suggestions->items[i];

        for (size_t k = 0; k < suggestion->access_count; k++) {
            struct audit_access access;
            struct audit_rule rule;

            if (!audit_access_read(denial(proposal, suggestion->accesses[k]), &access) ||
                audit_rule_of(&access, &exact, &rule, NULL) < 0)
                continue;
            strv_take(&rules[i], audit_rule_print(&rule));
            audit_rule_done(&rule);
        }
    }
    return rules;
}

/* --- evidence ------------------------------------------------------------------------------- */

struct evidence {
    int64_t count;
    struct strv nodes, pods;
    cJSON *accesses;
};

static void add_names(struct strv *names, const cJSON *list)
{
    const cJSON *name;

    cJSON_ArrayForEach(name, list)
    {
        if (cJSON_IsString(name) && names->len < EVIDENCE_NAMES &&
            !strv_contains(names, name->valuestring))
            strv_add(names, name->valuestring);
    }
}

static void add_evidence(const struct proposal *proposal, struct evidence *evidence,
                         const struct audit_suggestion *suggestion)
{
    for (size_t i = 0; i < suggestion->access_count; i++) {
        const cJSON *one = denial(proposal, suggestion->accesses[i]);
        _cleanup_free_ char *what = denial_describe(one);

        evidence->count += json_int(json_get(one, "count"), 1);
        add_names(&evidence->nodes, json_get(one, "nodes"));
        add_names(&evidence->pods, json_get(one, "pods"));
        json_append_string(evidence->accesses, what);
    }
}

static cJSON *strings_json(const struct strv *strings)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < strings->len; i++)
        json_append_string(array, strings->items[i]);
    return array;
}

static void add_rule(struct proposal *proposal, const char *profile, const char *text,
                     struct evidence *evidence)
{
    struct strv *list = map_get(proposal->added, profile);
    cJSON *row = cJSON_CreateObject();

    if (!list) {
        list = xcalloc(1, sizeof(*list));
        map_set(proposal->added, profile, list);
    }
    strv_add(list, text);
    json_add_string(row, "profile", profile);
    json_add_string(row, "rule", text);
    json_add_int(row, "count", evidence->count);
    json_add(row, "nodes", strings_json(&evidence->nodes));
    json_add(row, "pods", strings_json(&evidence->pods));
    json_add(row, "accesses", TAKE_PTR(evidence->accesses));
    json_append(proposal->rules, row);
    strv_done(&evidence->nodes);
    strv_done(&evidence->pods);
}

/* --- all ------------------------------------------------------------------------------------ */

static void add_abstractions(struct proposal *proposal, const struct abstraction_choices *choices,
                             bool *covered)
{
    for (size_t i = 0; i < choices->len; i++) {
        const struct abstraction_choice *choice = &choices->items[i];
        _cleanup_free_ char *text = xasprintf("include <abstractions/%s>", choice->name);
        struct evidence evidence = {.accesses = cJSON_CreateArray()};

        for (size_t k = 0; k < choice->covered_count; k++) {
            covered[choice->covered[k]] = true;
            add_evidence(proposal, &evidence, &proposal->suggestions.items[choice->covered[k]]);
        }
        add_rule(proposal, choice->profile, text, &evidence);
    }
}

static void propose(struct proposal *proposal, const char *text,
                    const struct proposal_options *options, bool variables)
{
    struct audit_suggestions *suggestions = &proposal->suggestions;
    _cleanup_free_ bool *covered = xcalloc(suggestions->len + 1, sizeof(*covered));

    if (options->checker && variables) {
        struct abstraction_choices choices;
        struct strv *exact = make_exact(proposal);

        abstractions_choose(options->checker, text, suggestions, exact, &choices);
        add_abstractions(proposal, &choices, covered);
        abstraction_choices_done(&choices);
        for (size_t i = 0; i < suggestions->len; i++)
            strv_done(&exact[i]);
        free(exact);
    }
    for (size_t i = 0; i < suggestions->len; i++) {
        struct evidence evidence = {.accesses = covered[i] ? NULL : cJSON_CreateArray()};
        _cleanup_free_ char *rule = audit_rule_print(&suggestions->items[i].rule);

        if (covered[i])
            continue;
        add_evidence(proposal, &evidence, &suggestions->items[i]);
        add_rule(proposal, suggestions->items[i].rule.profile, rule, &evidence);
    }
}

void proposal_init(struct proposal *proposal, const cJSON *denials, const char *text,
                   const struct proposal_options *options)
{
    bool variables = strstr(text, "<tunables/global>") != NULL;
    const struct audit_rule_options rules = {.variables = variables, .exact = options->exact};

    *proposal = (struct proposal){
        .denials = denials,
        .rules = cJSON_CreateArray(),
        .not_covered = cJSON_CreateArray(),
        .added = map_new(strv_free),
    };
    make_rules(proposal, &rules);
    propose(proposal, text, options, variables);
}

void proposal_done(struct proposal *proposal)
{
    audit_suggestions_done(&proposal->suggestions);
    json_free(proposal->rules);
    json_free(proposal->not_covered);
    map_free(proposal->added);
}
