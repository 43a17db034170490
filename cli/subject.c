// SPDX-License-Identifier: Apache-2.0
#include "cli/subject.h"

#include <stdlib.h>
#include <string.h>

#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/compile/check.h"

/* How far a rule may be from where the compiler misses its end. */
#define LINES_BACK 20

/* --- life ----------------------------------------------------------------------------------- */

void subject_free(struct subject *subject)
{
    if (!subject)
        return;
    strv_done(&subject->path);
    policy_profile_free(subject->profile);
    free(subject->object);
    free(subject);
}

/* --- places --------------------------------------------------------------------------------- */

/* Line `number` from 1; NULL when there is none. */
static const char *find_line(const char *text, size_t number, size_t *ret_len)
{
    while (--number > 0) {
        text = strchr(text, '\n');
        if (!text)
            return NULL;
        text++;
    }
    *ret_len = strcspn(text, "\r\n");
    return text;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "'word'", "\"word\"" or "variable NAME" of the message, when the line has it. */
static bool mark_word(const char *line, size_t len, const char *message, size_t *ret_start,
                      size_t *ret_len)
{
    for (const char *quote = strpbrk(message, "'\""); quote; quote = strpbrk(quote + 1, "'\"")) {
        size_t size = strcspn(quote + 1, "'\"");
        const char *found = size > 0 ? memmem(line, len, quote + 1, size) : NULL;

        if (found && quote[size + 1]) {
            *ret_start = (size_t) (found - line);
            *ret_len = size;
            return true;
        }
    }
    const char *variable = strstr(message, "variable ");
    if (variable) {
        size_t size = strcspn(variable + 9, " ,");
        _cleanup_free_ char *use = xasprintf("@{%.*s}", (int) size, variable + 9);
        const char *found = memmem(line, len, use, strlen(use));

        *ret_start = found ? (size_t) (found - line) : 0;
        *ret_len = strlen(use);
        return found != NULL;
    }
    return false;
}

void subject_mark(const char *line, size_t len, const char *message, size_t *ret_start,
                  size_t *ret_len)
{
    size_t first = 0;

    while (len > 0 && is_blank(line[len - 1]))
        len--;
    if (mark_word(line, len, message, ret_start, ret_len))
        return;
    while (first < len && is_blank(line[first]))
        first++;
    *ret_start = first;
    *ret_len = len - first;
}

/*
 * A rule without its comma is noticed in a line further down: the compiler then says which rule it
 * is, "(entry: PATH)".
 */
static size_t line_of_entry(const char *text, size_t number, const char *message)
{
    const char *entry = strstr(message, "(entry: ");
    size_t size = entry ? strcspn(entry + 8, ")") : 0;

    for (size_t back = 0; size > 0 && back < LINES_BACK && back + 1 < number; back++) {
        size_t len;
        const char *line = find_line(text, number - back, &len);

        if (line && memmem(line, len, entry + 8, size))
            return number - back;
    }
    return number;
}

/* Where a line of the policy stands in the file. In a literal block each line is one of the file.
 */
static void place_line(const struct subject *subject, size_t policy_line, struct finding *finding)
{
    const char *text = subject->profile->text, *line, *in_file;
    size_t len, file_len, mark;

    policy_line = line_of_entry(text, policy_line, finding->message);
    line = find_line(text, policy_line, &len);
    if (!line)
        return;
    subject_mark(line, len, finding->message, &mark, &finding->mark_len);
    finding->source = xstrndup(line, len);
    finding->mark = mark;
    if (!subject->object) {
        finding->line = policy_line;
        finding->column = mark + 1;
        return;
    }
    finding->policy_line = policy_line;
    finding->line = subject->policy.line;
    finding->column = subject->policy.column;
    if (!subject->policy.literal)
        return;
    in_file =
        find_line(buf_string(&subject->input->text), subject->policy.line + policy_line, &file_len);
    if (in_file && file_len >= len && memcmp(in_file + file_len - len, line, len) == 0) {
        finding->line = subject->policy.line + policy_line;
        finding->column = file_len - len + mark + 1;
    }
}

/* "spec.nodeSelector: …": the field, or what of it is there. */
static void place_field(const struct subject *subject, const char *message, struct finding *finding)
{
    _cleanup_strv_ struct strv path = {0};
    _cleanup_free_ char *field = xstrndup(message, strcspn(message, ":"));
    struct yaml_place place;
    size_t own = subject->path.len, found;

    strv_copy(&path, &subject->path);
    for (char *at = field, *part; (part = strsep(&at, "."));)
        strv_add(&path, part);
    found = yaml_locate(buf_string(&subject->input->text), subject->input->text.len,
                        subject->document, &path, &place);
    finding->line = found > own ? place.key_line : place.line;
    finding->column = found > own ? place.key_column : place.column;
}

/* --- findings ------------------------------------------------------------------------------- */

static struct finding *add(const struct subject *subject, struct findings *findings, bool warning,
                           const char *reason)
{
    struct finding *finding = findings_add(findings);

    finding->warning = warning;
    finding->file = xstrdup(subject->input->name);
    finding->object = xstrdup(subject->object);
    finding->reason = xstrdup(reason);
    return finding;
}

/* The next "; line N: " or "; abstractions/base, line N: ", where a further message begins. */
static const char *find_joint(const char *message)
{
    for (const char *joint = strstr(message, "; "); joint; joint = strstr(joint + 1, "; ")) {
        const char *next = joint + 2, *comma = strstr(next, ", line ");
        size_t word = strcspn(next, " ");

        if (verdict_line(next) > 0)
            return joint;
        if (comma && next + word == comma + 1 && verdict_line(comma + 2) > 0)
            return joint;
    }
    return NULL;
}

static void find_one(const struct subject *subject, struct findings *findings, bool warning,
                     const char *reason, const char *message)
{
    struct finding *finding = add(subject, findings, warning, reason);
    unsigned line = verdict_line(message);

    if (line == 0) {
        finding->message = xstrdup(message);
        if (subject->object)
            finding->line = subject->policy.key_line;
        return;
    }
    message = strchr(message, ':') + 1;
    finding->message = xstrdup(message + strspn(message, " "));
    place_line(subject, line, finding);
}

void subject_find(const struct subject *subject, struct findings *findings, bool warning,
                  const char *reason, const char *message)
{
    for (const char *joint; (joint = find_joint(message)); message = joint + 2) {
        _cleanup_free_ char *piece = xstrndup(message, (size_t) (joint - message));
        find_one(subject, findings, warning, reason, piece);
    }
    find_one(subject, findings, warning, reason, message);
}

void subject_find_object(const struct subject *subject, struct findings *findings, bool warning,
                         const char *reason, const char *message)
{
    struct finding *finding = add(subject, findings, warning, reason);

    finding->message = xstrdup(message);
    if (subject->object)
        place_field(subject, "metadata.name", finding);
}

/* --- subjects ------------------------------------------------------------------------------- */

static void find_invalid(const struct subject *subject, struct findings *findings,
                         const struct error *err)
{
    struct finding *finding =
        add(subject, findings, false, error_reason(err, POLICY_REASON_INVALID));

    finding->message = xstrdup(error_message(err));
    if (subject->object)
        place_field(subject, finding->message, finding);
}

struct subject *subject_of_object(const struct input_object *object, struct findings *findings)
{
    struct subject *subject = xcalloc(1, sizeof(*subject));
    _cleanup_strv_ struct strv path = {0};
    _cleanup_error_ struct error err = {0};

    subject->input = object->input;
    subject->document = object->document;
    strv_copy(&subject->path, &object->path);
    subject->object = xstrdup(value_text(object->json, "metadata", "name"));
    strv_copy(&path, &object->path);
    strv_add(&path, "spec");
    strv_add(&path, "policy");
    yaml_locate(buf_string(&object->input->text), object->input->text.len, object->document, &path,
                &subject->policy);
    if (policy_profile_check_fields(object->json, &err) < 0)
        find_invalid(subject, findings, &err);
    error_done(&err);
    if (policy_profile_parse(object->json, &subject->profile, &err) < 0)
        find_invalid(subject, findings, &err);
    return subject;
}

/* As it would stand in an AppArmorProfile, which may then attach to the host's programs. */
struct subject *subject_of_policy(const struct input *input, struct findings *findings)
{
    struct subject *subject = xcalloc(1, sizeof(*subject));
    _cleanup_json_ cJSON *object = cJSON_CreateObject();
    _cleanup_error_ struct error err = {0};
    cJSON *spec;

    subject->input = input;
    json_add_string(object, "apiVersion", POLICY_API_VERSION);
    json_add_string(object, "kind", "AppArmorProfile");
    json_add_string(json_add_object(object, "metadata"), "name", "file");
    spec = json_add_object(object, "spec");
    json_add_string(spec, "policy", buf_string(&input->text));
    json_add_bool(spec, "allowHostAttachment", true);
    if (policy_profile_parse(object, &subject->profile, &err) < 0)
        find_invalid(subject, findings, &err);
    return subject;
}
