// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/selector.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

enum { LABEL_PART_MAX = 63, LABEL_PREFIX_MAX = 253 };

enum operator{ OPERATOR_IN, OPERATOR_NOT_IN, OPERATOR_EXISTS, OPERATOR_DOES_NOT_EXIST };

static const char *const OPERATORS[] = {
    [OPERATOR_IN] = "In",
    [OPERATOR_NOT_IN] = "NotIn",
    [OPERATOR_EXISTS] = "Exists",
    [OPERATOR_DOES_NOT_EXIST] = "DoesNotExist",
};

static bool is_null(const cJSON *json)
{
    return !json || cJSON_IsNull(json);
}

static bool alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits, '-', '_' and '.' between letters or digits; at most 63 characters. */
static bool label_part_valid(const char *text, size_t len)
{
    if (len == 0 || len > LABEL_PART_MAX)
        return false;
    if (!alphanumeric(text[0]) || !alphanumeric(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!alphanumeric(text[i]) && !strchr("-_.", text[i]))
            return false;
    }
    return true;
}

static bool dns_label_valid(const char *text, size_t len)
{
    if (len == 0 || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '-' && (!alphanumeric(text[i]) || isupper((unsigned char) text[i])))
            return false;
    }
    return true;
}

static bool dns_subdomain_valid(const char *text, size_t len)
{
    if (len == 0 || len > LABEL_PREFIX_MAX)
        return false;
    for (size_t start = 0;;) {
        const char *dot = memchr(text + start, '.', len - start);
        size_t end = dot ? (size_t) (dot - text) : len;

        if (!dns_label_valid(text + start, end - start))
            return false;
        if (!dot)
            return true;
        start = end + 1;
    }
}

static bool label_key_valid(const char *key)
{
    const char *slash = strchr(key, '/');
    const char *name = slash ? slash + 1 : key;

    if (slash && !dns_subdomain_valid(key, (size_t) (slash - key)))
        return false;
    return label_part_valid(name, strlen(name));
}

static bool label_value_valid(const char *value)
{
    return !*value || label_part_valid(value, strlen(value));
}

static int check_key(const char *key, const char *where, struct error *err)
{
    if (label_key_valid(key))
        return 0;
    return error_set(err, -EINVAL,
                     "%s: '%.300s' is not a label key: write [prefix/]name, the name of at most 63 "
                     "letters, digits, '-', '_' and '.'",
                     where, key);
}

static int check_value(const cJSON *value, const char *where, const char *key, struct error *err)
{
    if (!cJSON_IsString(value))
        return error_set(err, -EINVAL, "%s: the value of '%s' must be a string: quote it", where,
                         key);
    if (!label_value_valid(value->valuestring))
        return error_set(err, -EINVAL,
                         "%s: '%.300s' of '%s' is not a label value: at most 63 letters, digits, "
                         "'-', '_' and '.'",
                         where, value->valuestring, key);
    return 0;
}

static int check_match_labels(const cJSON *labels, struct error *err)
{
    const cJSON *item;

    if (is_null(labels))
        return 0;
    if (!cJSON_IsObject(labels))
        return error_set(err, -EINVAL, "matchLabels: must be an object of strings");
    cJSON_ArrayForEach(item, labels)
    {
        int r = check_key(item->string, "matchLabels", err);
        if (r == 0)
            r = check_value(item, "matchLabels", item->string, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int find_operator(const cJSON *expression, enum operator* ret)
{
    const char *text = json_string(expression, "operator");

    for (size_t i = 0; text && i < ARRAY_SIZE(OPERATORS); i++) {
        if (strcmp(text, OPERATORS[i]) == 0) {
            *ret = (enum operator) i;
            return 0;
        }
    }
    return -EINVAL;
}

static int check_values(const cJSON *values, enum operator op, const char *key, struct error *err)
{
    bool wanted = op == OPERATOR_IN || op == OPERATOR_NOT_IN;
    const cJSON *value;

    if (!is_null(values) && !cJSON_IsArray(values))
        return error_set(err, -EINVAL, "values: must be a list of strings");
    if (wanted && (is_null(values) || cJSON_GetArraySize(values) == 0))
        return error_set(err, -EINVAL, "values: operator %s needs at least one", OPERATORS[op]);
    if (!wanted && !is_null(values) && cJSON_GetArraySize(values) > 0)
        return error_set(err, -EINVAL, "values: operator %s takes none: remove them",
                         OPERATORS[op]);
    cJSON_ArrayForEach(value, values)
    {
        int r = check_value(value, "values", key, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * A misspelt field would widen the selection unseen where no API server prunes it with a warning.
 */
static int check_fields(const cJSON *object, const char *const *known, struct error *err)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        const char *const *name = known;
        while (*name && strcmp(item->string, *name) != 0)
            name++;
        if (!*name)
            return error_set(err, -EINVAL, "unknown field '%.100s': correct or remove it",
                             item->string);
    }
    return 0;
}

static int check_expression(const cJSON *expression, struct error *err)
{
    static const char *const FIELDS[] = {"key", "operator", "values", NULL};
    enum operator op;

    if (!cJSON_IsObject(expression))
        return error_set(err, -EINVAL, "must be an object with key, operator and values");

    int r = check_fields(expression, FIELDS, err);
    if (r < 0)
        return r;

    const char *key = json_string(expression, "key");
    if (!key)
        return error_set(err, -EINVAL, "key: missing, or not a string");
    r = check_key(key, "key", err);
    if (r < 0)
        return r;
    if (find_operator(expression, &op) < 0)
        return error_set(err, -EINVAL, "operator: must be In, NotIn, Exists or DoesNotExist");
    return check_values(cJSON_GetObjectItemCaseSensitive(expression, "values"), op, key, err);
}

int policy_selector_check(const cJSON *selector, struct error *err)
{
    static const char *const FIELDS[] = {"matchLabels", "matchExpressions", NULL};
    const cJSON *expression;
    int index = 0;

    if (is_null(selector))
        return 0;
    if (!cJSON_IsObject(selector))
        return error_set(err, -EINVAL, "must be an object with matchLabels or matchExpressions");

    int r = check_fields(selector, FIELDS, err);
    if (r == 0)
        r = check_match_labels(cJSON_GetObjectItemCaseSensitive(selector, "matchLabels"), err);
    if (r < 0)
        return r;

    const cJSON *expressions = cJSON_GetObjectItemCaseSensitive(selector, "matchExpressions");
    if (!is_null(expressions) && !cJSON_IsArray(expressions))
        return error_set(err, -EINVAL, "matchExpressions: must be a list");
    cJSON_ArrayForEach(expression, expressions)
    {
        r = check_expression(expression, err);
        if (r < 0) {
            error_wrap(err, "matchExpressions[%d]", index);
            return r;
        }
        index++;
    }
    return 0;
}

/* NULL when the object does not carry the label. */
static const char *label_value(const cJSON *labels, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, key));
}

static bool values_contain(const cJSON *values, const char *text)
{
    const cJSON *value;

    cJSON_ArrayForEach(value, values)
    {
        if (strcmp(value->valuestring, text) == 0)
            return true;
    }
    return false;
}

static bool expression_matches(const cJSON *expression, const cJSON *labels)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(expression, "values");
    const char *value = label_value(labels, json_string(expression, "key"));
    enum operator op;

    if (find_operator(expression, &op) < 0)
        return false;
    switch (op) {
    case OPERATOR_IN:
        return value && values_contain(values, value);
    case OPERATOR_NOT_IN: /* an absent label is in no list */
        return !value || !values_contain(values, value);
    case OPERATOR_EXISTS:
        return value;
    case OPERATOR_DOES_NOT_EXIST:
        return !value;
    }
    return false;
}

bool policy_selector_matches(const cJSON *selector, const cJSON *labels)
{
    const cJSON *item;

    if (is_null(selector))
        return true;
    if (policy_selector_check(selector, NULL) < 0)
        return false;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(selector, "matchLabels"))
    {
        const char *value = label_value(labels, item->string);
        if (!value || strcmp(value, item->valuestring) != 0)
            return false;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(selector, "matchExpressions"))
    {
        if (!expression_matches(item, labels))
            return false;
    }
    return true;
}
