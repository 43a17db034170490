// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/selector.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

static cJSON *parse(const char *text)
{
    cJSON *json = NULL;
    struct error err = {0};

    alloc_init();
    if (!text)
        return NULL;
    cr_assert_eq(json_parse(text, strlen(text), &json, &err), 0, "%s: %s", text,
                 error_message(&err));
    return json;
}

static const char LABELS[] = "{\"zone\": \"a\", \"example.com/gpu\": \"\", \"n\": \"1\"}";

struct match_case {
    const char *selector;
    bool matches;
};

static const struct match_case MATCHES[] = {
    {NULL, true},
    {"null", true},
    {"{}", true},
    {"{\"matchLabels\": null, \"matchExpressions\": null}", true},
    {"{\"matchLabels\": {}, \"matchExpressions\": []}", true},
    {"{\"matchLabels\": {\"zone\": \"a\"}}", true},
    {"{\"matchLabels\": {\"zone\": \"b\"}}", false},
    {"{\"matchLabels\": {\"Zone\": \"a\"}}", false},
    {"{\"matchLabels\": {\"zone\": \"a\", \"other\": \"\"}}", false},
    {"{\"matchLabels\": {\"example.com/gpu\": \"\"}}", true},
    {"{\"matchExpressions\": [{\"key\": \"zone\", \"operator\": \"In\", \"values\": [\"b\", "
     "\"a\"]}]}",
     true},
    {"{\"matchExpressions\": [{\"key\": \"other\", \"operator\": \"In\", \"values\": [\"a\"]}]}",
     false},
    {"{\"matchExpressions\": [{\"key\": \"zone\", \"operator\": \"NotIn\", \"values\": [\"a\"]}]}",
     false},
    {"{\"matchExpressions\": [{\"key\": \"zone\", \"operator\": \"NotIn\", \"values\": [\"b\"]}]}",
     true},
    {"{\"matchExpressions\": [{\"key\": \"other\", \"operator\": \"NotIn\", \"values\": [\"a\"]}]}",
     true},
    {"{\"matchExpressions\": [{\"key\": \"zone\", \"operator\": \"Exists\"}]}", true},
    {"{\"matchExpressions\": [{\"key\": \"other\", \"operator\": \"Exists\", \"values\": []}]}",
     false},
    {"{\"matchExpressions\": [{\"key\": \"zone\", \"operator\": \"DoesNotExist\"}]}", false},
    {"{\"matchExpressions\": [{\"key\": \"other\", \"operator\": \"DoesNotExist\"}]}", true},
    {"{\"matchLabels\": {\"zone\": \"a\"}, \"matchExpressions\": [{\"key\": \"n\", \"operator\": "
     "\"In\", \"values\": [\"2\"]}]}",
     false},
};

Test(selector, matches_as_kubernetes_does)
{
    _cleanup_json_ cJSON *labels = parse(LABELS);

    for (size_t i = 0; i < ARRAY_SIZE(MATCHES); i++) {
        _cleanup_json_ cJSON *selector = parse(MATCHES[i].selector);
        _cleanup_error_ struct error err = {0};

        cr_expect_eq(policy_selector_check(selector, &err), 0, "%s: %s", MATCHES[i].selector,
                     error_message(&err));
        cr_expect_eq(policy_selector_matches(selector, labels), MATCHES[i].matches, "%s",
                     MATCHES[i].selector);
    }
}

Test(selector, without_labels_only_absence_matches)
{
    _cleanup_json_ cJSON *wanted = parse("{\"matchLabels\": {\"a\": \"b\"}}");
    _cleanup_json_ cJSON *unwanted =
        parse("{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"DoesNotExist\"}]}");

    cr_assert_not(policy_selector_matches(wanted, NULL));
    cr_assert(policy_selector_matches(unwanted, NULL));
    cr_assert(policy_selector_matches(NULL, NULL));
}

Test(selector, a_label_that_is_no_string_is_absent)
{
    _cleanup_json_ cJSON *labels = parse("{\"n\": 1}");
    _cleanup_json_ cJSON *selector =
        parse("{\"matchExpressions\": [{\"key\": \"n\", \"operator\": \"Exists\"}]}");

    cr_assert_not(policy_selector_matches(selector, labels));
}

struct refusal {
    const char *selector;
    const char *message; /* a part of it */
};

static const struct refusal REFUSALS[] = {
    {"[]", "must be an object"},
    {"{\"matchLabel\": {\"a\": \"b\"}}", "unknown field 'matchLabel'"},
    {"{\"matchLabels\": []}", "matchLabels: must be an object"},
    {"{\"matchLabels\": {\"a\": true}}", "quote it"},
    {"{\"matchLabels\": {\"a\": null}}", "quote it"},
    {"{\"matchLabels\": {\"a b\": \"\"}}", "'a b' is not a label key"},
    {"{\"matchLabels\": {\"\": \"\"}}", "is not a label key"},
    {"{\"matchLabels\": {\"/a\": \"\"}}", "is not a label key"},
    {"{\"matchLabels\": {\"Example.com/a\": \"\"}}", "is not a label key"},
    {"{\"matchLabels\": {\"a..b/c\": \"\"}}", "is not a label key"},
    {"{\"matchLabels\": {\"a/b/c\": \"\"}}", "is not a label key"},
    {"{\"matchLabels\": {\"a\": \"-b\"}}", "'-b' of 'a' is not a label value"},
    {"{\"matchLabels\": {\"a\": "
     "\"0123456789012345678901234567890123456789012345678901234567890123\"}}",
     "not a label value"},
    {"{\"matchExpressions\": {}}", "matchExpressions: must be a list"},
    {"{\"matchExpressions\": [3]}", "matchExpressions[0]: must be an object"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"Exists\"}, {\"key\": \"a\"}]}",
     "matchExpressions[1]: operator"},
    {"{\"matchExpressions\": [{\"operator\": \"Exists\"}]}", "key: missing"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"in\", \"values\": [\"b\"]}]}",
     "operator: must be In"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"In\"}]}", "needs at least one"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"NotIn\", \"values\": []}]}",
     "needs at least one"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"Exists\", \"values\": [\"b\"]}]}",
     "takes none"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"In\", \"values\": \"b\"}]}",
     "values: must be a list"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"In\", \"values\": [1]}]}",
     "quote it"},
    {"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"Exists\", \"value\": \"b\"}]}",
     "unknown field 'value'"},
};

Test(selector, an_invalid_one_is_refused_by_name_and_matches_nothing)
{
    _cleanup_json_ cJSON *labels = parse(LABELS);

    for (size_t i = 0; i < ARRAY_SIZE(REFUSALS); i++) {
        _cleanup_json_ cJSON *selector = parse(REFUSALS[i].selector);
        _cleanup_error_ struct error err = {0};

        cr_expect_eq(policy_selector_check(selector, &err), -EINVAL, "%s", REFUSALS[i].selector);
        cr_expect_not_null(strstr(error_message(&err), REFUSALS[i].message), "%s: %s",
                           REFUSALS[i].selector, error_message(&err));
        cr_expect_not(policy_selector_matches(selector, labels), "%s", REFUSALS[i].selector);
        cr_expect_not(policy_selector_matches(selector, NULL), "%s", REFUSALS[i].selector);
    }
}
