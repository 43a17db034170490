// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/check.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/utf8.h"

/* Bytes of a line that an excerpt shows. */
#define EXCERPT_MAX 200
/* Hex characters of features that a message shows. */
#define ID_SHOWN 8

struct check {
    struct check_options options;
    const struct policy_profile *profile;
    check_fn fn;
    void *userdata;
    size_t next; /* of the features */
    struct build *build;
    size_t refused, undecided;
    size_t refused_first;          /* of the features */
    struct error refusal, trouble; /* the first of each */
    struct compiled *compiled;     /* the first that was accepted */
};

/* --- verdicts --- */

void verdict_free(struct verdict *verdict)
{
    if (!verdict)
        return;
    free(verdict->reason);
    free(verdict->message);
    free(verdict->excerpt);
    strv_done(&verdict->names);
    policy_warnings_done(&verdict->warnings);
    free(verdict);
}

static struct verdict *verdict_new(enum verdict_result result, const char *reason,
                                   const char *message)
{
    struct verdict *verdict = xcalloc(1, sizeof(*verdict));

    verdict->result = result;
    verdict->reason = xstrdup(reason);
    verdict->message = xstrdup(message);
    verdict->excerpt = xstrdup("");
    return verdict;
}

struct verdict *verdict_undecided(const char *reason, const char *message)
{
    return verdict_new(VERDICT_UNDECIDED, reason, message);
}

unsigned verdict_line(const char *message)
{
    static const char prefix[] = "line ";
    unsigned long line;
    char *end;

    if (strncmp(message, prefix, strlen(prefix)) != 0)
        return 0;
    message += strlen(prefix);
    if (*message < '1' || *message > '9')
        return 0;
    line = strtoul(message, &end, 10);
    return *end == ':' && line <= POLICY_TEXT_MAX ? (unsigned) line : 0;
}

/* NULL: the text has no such line. */
static const char *find_line(const char *text, size_t len, unsigned line, size_t *ret_len)
{
    const char *end = text + len, *newline;

    for (; line > 1; line--) {
        newline = memchr(text, '\n', (size_t) (end - text));
        if (!newline)
            return NULL;
        text = newline + 1;
    }
    newline = memchr(text, '\n', (size_t) (end - text));
    *ret_len = (size_t) ((newline ? newline : end) - text);
    return text;
}

char *verdict_excerpt(const char *text, size_t len, unsigned line)
{
    struct buf out = BUF_INIT(EXCERPT_MAX * 4);
    size_t size = 0, cut, first = 0;
    const char *start = line > 0 ? find_line(text, len, line, &size) : NULL;

    if (!start)
        return xstrdup("");
    while (size > 0 && strchr(" \t\r", start[size - 1]))
        size--;
    cut = utf8_cut(start, size, EXCERPT_MAX);
    while (first < cut && strchr(" \t", start[first]))
        first++;
    buf_addf(&out, "%5u | %.*s%s\n      | ", line, (int) cut, start, cut < size ? "…" : "");
    /* Tabs are as wide above as below. */
    buf_add(&out, start, first);
    buf_add_char(&out, '^');
    return buf_take(&out);
}

/* --- the sum of all kernels --- */

static void add_names(struct verdict *verdict, const struct blob *blob)
{
    for (size_t i = 0; i < blob->count; i++)
        if (!blob->profiles[i].child)
            strv_add(&verdict->names, blob->profiles[i].name);
    strv_sort(&verdict->names);
}

static void warn_of_kernels(const struct check *check, const struct policy_texts *texts,
                            struct policy_warnings *warnings)
{
    size_t count = check->options.feature_count;
    _cleanup_free_ struct policy_kernel *kernels = xcalloc(count + 1, sizeof(*kernels));
    _cleanup_free_ struct buf *contents = xcalloc(count + 1, sizeof(*contents));
    _cleanup_strv_ struct strv names = {0};

    for (size_t i = 0; i < count; i++) {
        const char *id = features_id(check->options.features[i]);

        contents[i] = BUF_INIT(FEATURES_MAX);
        (void) !features_text(check->options.features[i], &contents[i], NULL);
        strv_take(&names, xasprintf("%.*s", ID_SHOWN, id));
        kernels[i] =
            (struct policy_kernel){names.items[i], buf_string(&contents[i]), contents[i].len};
    }
    policy_warn_kernels(warnings, texts, kernels, count);
    for (size_t i = 0; i < count; i++)
        buf_done(&contents[i]);
}

static struct verdict *accepted(const struct check *check)
{
    struct verdict *verdict = verdict_new(VERDICT_ACCEPTED, "", "");
    const struct blob *blob = check->compiled->blob;

    add_names(verdict, blob);
    verdict->mode = blob_mode(blob);
    const struct policy_texts texts = {
        .text = check->profile->text,
        .len = check->profile->text_len,
        .flat = check->compiled->text,
        .flat_len = check->compiled->text_len,
        .mode = check->profile->mode,
    };
    policy_warn_deny(&verdict->warnings, &texts);
    policy_warn_attachment(&verdict->warnings, blob);
    warn_of_kernels(check, &texts, &verdict->warnings);
    return verdict;
}

static struct verdict *refused(const struct check *check)
{
    const struct error *refusal = &check->refusal;
    const struct policy_profile *profile = check->profile;
    struct verdict *verdict = verdict_new(VERDICT_REFUSED, error_reason(refusal, "InvalidPolicy"),
                                          error_message(refusal));

    verdict->everywhere = check->refused == check->next;
    if (!verdict->everywhere) {
        free(verdict->message);
        verdict->message =
            xasprintf("%s (on nodes with kernel features %.*s)", error_message(refusal), ID_SHOWN,
                      features_id(check->options.features[check->refused_first]));
    }
    verdict->line = verdict_line(verdict->message);
    free(verdict->excerpt);
    verdict->excerpt = verdict_excerpt(profile->text, profile->text_len, verdict->line);
    return verdict;
}

static struct verdict *judge(const struct check *check)
{
    if (check->refused > 0)
        return refused(check);
    if (check->undecided > 0 || !check->compiled)
        return verdict_undecided(error_reason(&check->trouble, "CompilerUnavailable"),
                                 error_message(&check->trouble));
    return accepted(check);
}

/* --- one kernel after the other --- */

static void check_free(struct check *check)
{
    compiled_free(check->compiled);
    error_done(&check->refusal);
    error_done(&check->trouble);
    free(check);
}

static bool is_trouble(const struct error *err)
{
    const char *reason = error_reason(err, "CompilerUnavailable");

    return strcmp(reason, "CompilerUnavailable") == 0 || strcmp(reason, "CompileTimeout") == 0 ||
           strcmp(reason, "CompileResources") == 0;
}

static void start_next(struct check *check);

static void finish(struct check *check)
{
    struct verdict *verdict = judge(check);

    check->fn(check->userdata, verdict);
    check_free(check);
}

static void on_compiled(void *userdata, struct compiled *compiled, const struct error *err)
{
    struct check *check = userdata;

    check->build = NULL;
    check->next++;
    if (compiled && !check->compiled) {
        check->compiled = TAKE_PTR(compiled);
    } else if (!compiled && is_trouble(err)) {
        check->undecided++;
        error_copy(&check->trouble, err);
    } else if (!compiled && check->refused++ == 0) {
        check->refused_first = check->next - 1;
        error_copy(&check->refusal, err);
    }
    compiled_free(compiled);
    /* What no compiler manages for one kernel, it does not for the next. */
    if (check->undecided > 0 || check->next >= check->options.feature_count)
        finish(check);
    else
        start_next(check);
}

static void start_next(struct check *check)
{
    const struct check_options *options = &check->options;
    const struct compile_options compile = {
        .features = options->feature_count > 0 ? options->features[check->next] : NULL,
        .deadline_ms = options->deadline_ms,
    };

    check->build = builder_start_with(options->builder, check->profile, options->urgent, &compile,
                                      on_compiled, check);
}

struct check *check_start(const struct check_options *options, const struct policy_profile *profile,
                          check_fn fn, void *userdata)
{
    struct check *check = xcalloc(1, sizeof(*check));

    check->options = *options;
    check->profile = profile;
    check->fn = fn;
    check->userdata = userdata;
    start_next(check);
    return check;
}

void check_cancel(struct check *check)
{
    if (!check)
        return;
    build_cancel(check->build);
    check_free(check);
}
