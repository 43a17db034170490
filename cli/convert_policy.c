// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/convert.h"
#include "lib/base/alloc.h"
#include "lib/policy/headers.h"
#include "lib/policy/includes.h"
#include "lib/policy/profile.h"

/* A text while its headers are written anew. */
struct rewriting {
    struct convert *convert;
    const char *place, *text;
    size_t copied;
    struct buf out;
    struct map *taken;    /* names of profiles in the text */
    struct strv names;    /* of the top-level profiles, as they are now */
    struct strv replaced; /* and what names that were paths have been */
};

/* --- names of profiles ---------------------------------------------------------------------- */

/* A path, a pattern or a variable: what the kernel or the compiler takes for an attachment. */
static bool is_attachment(const char *name)
{
    return name[0] == '/' || name[0] == '@' || strpbrk(name, "*?[{");
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("._-", c);
}

/* "/usr/sbin/nginx" → "nginx"; what is no plain word there is left out. */
static char *plain_name(struct rewriting *rewriting, const char *path)
{
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    struct buf name = BUF_INIT(4096);
    _cleanup_free_ char *base = NULL;
    char *chosen;

    for (; *last; last++)
        if (is_plain(*last) && (name.len > 0 || !strchr("._-", *last)))
            buf_add_char(&name, *last);
    if (name.len == 0)
        buf_add_string(&name, "profile");
    base = buf_take(&name);
    chosen = xstrdup(base);
    for (unsigned i = 2; map_has(rewriting->taken, chosen); i++) {
        free(chosen);
        chosen = xasprintf("%s-%u", base, i);
    }
    return chosen;
}

/* --- headers -------------------------------------------------------------------------------- */

static void copy_to(struct rewriting *rewriting, size_t end)
{
    buf_add(&rewriting->out, rewriting->text + rewriting->copied, end - rewriting->copied);
    rewriting->copied = end;
}

/* Goes on behind what was left out or written anew, of which quotes or brackets may have been all
 * that set it apart. */
static void go_on(struct rewriting *rewriting, size_t at)
{
    rewriting->copied = at;
    if (rewriting->text[at] && !strchr(" \t\r\n", rewriting->text[at]))
        buf_add_char(&rewriting->out, ' ');
}

/* With the blanks before it. */
static void leave_out(struct rewriting *rewriting, struct span span)
{
    if (span.end <= span.start)
        return;
    copy_to(rewriting, span.start);
    while (rewriting->out.len > 0 && strchr(" \t", rewriting->out.data[rewriting->out.len - 1]))
        rewriting->out.len--;
    go_on(rewriting, span.end);
}

static void replace_name(struct rewriting *rewriting, const struct policy_header *header,
                         const char *old, const char *new)
{
    bool keyword = header->at.name.start > header->at.start;

    copy_to(rewriting, header->at.name.start);
    buf_addf(&rewriting->out, "%s%s", keyword ? "" : "profile ", new);
    go_on(rewriting, header->at.name.end);
    strv_add(&rewriting->replaced, old);
    convert_note(rewriting->convert, rewriting->place, "profile %s is now called %s", old, new);
}

static void drop_attachment(struct rewriting *rewriting, const struct policy_header *header,
                            const char *name)
{
    const struct span *first = &header->at.attachment, *second = &header->at.xattrs;
    _cleanup_free_ char *path = policy_header_word(rewriting->text, header->at.attachment);

    if (second->end > 0 && second->start < first->start) {
        first = &header->at.xattrs;
        second = &header->at.attachment;
    }
    leave_out(rewriting, *first);
    leave_out(rewriting, *second);
    if (first->end > 0 || second->end > 0)
        convert_note(rewriting->convert, rewriting->place,
                     "profile %s no longer attaches to %s: pods name it in localhostProfile", name,
                     *path ? path : "extended attributes");
}

/* Children and hats are only entered from their parent: theirs stay. */
static int on_header(void *userdata, const struct policy_header *header, struct error *err)
{
    struct rewriting *rewriting = userdata;
    _cleanup_free_ char *name = policy_header_word(rewriting->text, header->at.name), *new = NULL;

    (void) err;
    if (!header->top)
        return 0;
    if (!rewriting->convert->keep_attachments && is_attachment(name)) {
        new = plain_name(rewriting, name);
        replace_name(rewriting, header, name, new);
    }
    if (!rewriting->convert->keep_attachments)
        drop_attachment(rewriting, header, new ? new : name);
    map_set(rewriting->taken, new ? new : name, NULL);
    strv_add(&rewriting->names, new ? new : name);
    return 0;
}

/* What spoke of a profile by its old name speaks of nothing now. */
static void note_references(struct rewriting *rewriting)
{
    static const char *const before[] = {"peer=", "-> "};

    for (size_t i = 0; i < rewriting->replaced.len; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(before); k++) {
            _cleanup_free_ char *use = xasprintf("%s%s", before[k], rewriting->replaced.items[i]);

            if (strstr(buf_string(&rewriting->out), use))
                convert_note(rewriting->convert, rewriting->place,
                             "rules with \"%s\" mean the old name: correct them", use);
        }
    }
}

static int count_top(void *userdata, const struct policy_header *header, struct error *err)
{
    size_t *count = userdata;

    (void) err;
    *count += header->top;
    return 0;
}

/* Text that no compiler takes can read otherwise with a part of it gone. */
static int check_result(const struct rewriting *rewriting, struct error *err)
{
    size_t count = 0;
    int r = policy_headers_each(buf_string(&rewriting->out), rewriting->out.len, count_top, &count,
                                err);

    if (r == 0 && count != rewriting->names.len)
        r = error_set(err, -EBADMSG,
                      "the headers of its profiles are not as a compiler takes them");
    if (r < 0)
        error_wrap(err, "without its attachments the text is not understood: convert it by hand");
    return r;
}

static int rewrite(struct rewriting *rewriting, struct error *err)
{
    size_t len = strlen(rewriting->text);
    int r = policy_includes_check(rewriting->text, len, err);

    if (r == 0)
        r = policy_headers_each(rewriting->text, len, on_header, rewriting, err);
    if (r < 0)
        return r;
    copy_to(rewriting, len);
    note_references(rewriting);
    return check_result(rewriting, err);
}

/* --- the object ----------------------------------------------------------------------------- */

static cJSON *make_object(const struct convert *convert, const char *name, const char *text)
{
    cJSON *object = cJSON_CreateObject(), *spec;

    json_add_string(object, "apiVersion", POLICY_API_VERSION);
    json_add_string(object, "kind", "AppArmorProfile");
    json_add_string(json_add_object(object, "metadata"), "name", name);
    spec = json_add_object(object, "spec");
    if (convert->mode != POLICY_MODE_UNSET)
        json_add_string(spec, "mode", policy_mode_name(convert->mode));
    if (convert->keep_attachments)
        json_add_bool(spec, "allowHostAttachment", true);
    json_add_string(spec, "policy", text);
    return object;
}

static void note_names(struct convert *convert, const char *place, const char *object,
                       const struct strv *names)
{
    _cleanup_free_ char *all = strv_join(names, ", ");

    convert_note(convert, place,
                 "AppArmorProfile %s; pods write localhostProfile: %s and nodeSelector: "
                 "{apparmor.io/profile-%s: \"true\"}",
                 object, all, object);
}

static void finish(struct rewriting *rewriting, const char *hint)
{
    struct convert *convert = rewriting->convert;
    const struct strv *names = &rewriting->names;
    _cleanup_free_ char *name = convert_name(convert, names->len == 1 ? names->items[0] : hint);
    _cleanup_json_ cJSON *object = make_object(convert, name, buf_string(&rewriting->out));
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;
    _cleanup_error_ struct error err = {0};

    if (policy_profile_parse(object, &profile, &err) < 0) {
        convert_problem(convert, rewriting->place, "%s", error_message(&err));
        return;
    }
    note_names(convert, rewriting->place, name, names);
    json_append(convert->made, TAKE_PTR(object));
}

void convert_policy(struct convert *convert, const char *place, const char *name, const char *text)
{
    struct rewriting rewriting = {.convert = convert,
                                  .place = place,
                                  .text = text,
                                  .out = BUF_INIT(2 * INPUT_SIZE_MAX),
                                  .taken = map_new(NULL)};
    _cleanup_error_ struct error err = {0};

    if (rewrite(&rewriting, &err) < 0)
        convert_problem(convert, place, "%s", error_message(&err));
    else if (rewriting.names.len == 0)
        convert_note(convert, place, "passed over: it declares no profile");
    else
        finish(&rewriting, name);
    buf_done(&rewriting.out);
    map_free(rewriting.taken);
    strv_done(&rewriting.names);
    strv_done(&rewriting.replaced);
}
