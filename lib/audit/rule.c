// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/audit/pattern.h"
#include "lib/base/alloc.h"

#define RULE_MAX (16 * 1024)
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define WORD LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

void audit_rule_done(struct audit_rule *rule)
{
    free(rule->profile);
    free(rule->path);
    free(rule->text);
    *rule = (struct audit_rule){0};
}

/* --- parts of rules ------------------------------------------------------------------------- */

struct writer {
    const struct audit_access *access;
    struct buf text;
    struct error *err;
};

static const char *field(const struct writer *writer, enum audit_field which)
{
    const char *text = writer->access->fields[which];

    return text ? text : "";
}

static int refuse(const struct writer *writer, const char *what)
{
    return error_set(writer->err, -EINVAL, "%s", what);
}

/* Words of the language: only its own letters. */
static int add_word(struct writer *writer, const char *before, enum audit_field which,
                    const char *allowed)
{
    const char *text = field(writer, which);

    if (*text == '\0' || text[strspn(text, allowed)] != '\0' || audit_pattern_has_keyword(text))
        return error_set(writer->err, -EINVAL, "the record's %s is no word of policy",
                         audit_field_key(which));
    buf_addf(&writer->text, "%s%s", before, text);
    return 0;
}

/* Something that others have named; absent: nothing. */
static int add_name(struct writer *writer, const char *before, enum audit_field which)
{
    const char *text = field(writer, which);
    struct buf pattern = BUF_INIT(RULE_MAX);
    int r = 0;

    if (*text) {
        r = audit_pattern_text(text, &pattern, writer->err);
        buf_add_string(&writer->text, r == 0 ? before : "");
        if (r == 0)
            audit_pattern_quote(buf_string(&pattern), &writer->text);
    }
    buf_done(&pattern);
    return r;
}

/* A label is also another's name after its execs in mode Complain. */
static int add_label(struct writer *writer, const char *before, enum audit_field which)
{
    _cleanup_free_ char *label = audit_rule_profile(field(writer, which));
    struct audit_access access = *writer->access;
    struct writer inner = {.access = &access, .text = writer->text, .err = writer->err};
    int r;

    access.fields[which] = label;
    r = add_name(&inner, before, which);
    writer->text = inner.text;
    return r;
}

/* "send receive" → "(send, receive)" */
static int add_rights(struct writer *writer, enum audit_field which)
{
    const char *text = field(writer, which);
    bool first = true;

    if (*text == '\0')
        return 0;
    if (text[strspn(text, LOWER " ,")] != '\0' || audit_pattern_has_keyword(text))
        return refuse(writer, "the record's rights are no words of policy");
    buf_add_string(&writer->text, " (");
    for (text += strspn(text, " ,"); *text; text += strspn(text, " ,")) {
        size_t len = strcspn(text, " ,");

        buf_addf(&writer->text, "%s%.*s", first ? "" : ", ", (int) len, text);
        first = false;
        text += len;
    }
    buf_add_char(&writer->text, ')');
    return 0;
}

static enum audit_field rights_field(const struct writer *writer)
{
    return *field(writer, AUDIT_FIELD_DENIED) ? AUDIT_FIELD_DENIED : AUDIT_FIELD_REQUESTED;
}

/* --- kinds of rules ------------------------------------------------------------------------- */

static int write_capability(struct writer *writer)
{
    return add_word(writer, "capability ", AUDIT_FIELD_NAME, LOWER "_");
}

static int write_network(struct writer *writer)
{
    int r = add_word(writer, "network ", AUDIT_FIELD_FAMILY, WORD);

    if (r == 0 && *field(writer, AUDIT_FIELD_SOCKET_TYPE))
        r = add_word(writer, " ", AUDIT_FIELD_SOCKET_TYPE, WORD);
    return r;
}

/* What may be said of the other side depends on the rights: only sending and the like has one. */
static int write_unix(struct writer *writer)
{
    const char *rights = field(writer, rights_field(writer));
    bool own = rights[strspn(rights, " ,")] == '\0';
    int r;

    for (const char *word = rights; *word; word += strspn(word, " ,")) {
        static const char *const ones[] = {"create", "shutdown", "setattr", "getattr",
                                           "bind",   "listen",   "setopt",  "getopt"};
        size_t len = strcspn(word, " ,");

        for (size_t i = 0; i < ARRAY_SIZE(ones); i++)
            own = own || (strlen(ones[i]) == len && memcmp(ones[i], word, len) == 0);
        word += len;
    }
    buf_add_string(&writer->text, "unix");
    r = add_rights(writer, rights_field(writer));
    if (r == 0 && *field(writer, AUDIT_FIELD_SOCKET_TYPE))
        r = add_word(writer, " type=", AUDIT_FIELD_SOCKET_TYPE, WORD);
    if (r == 0 && !own && *field(writer, AUDIT_FIELD_PEER)) {
        r = add_label(writer, " peer=(label=", AUDIT_FIELD_PEER);
        buf_add_char(&writer->text, ')');
    }
    return r;
}

static int write_signal(struct writer *writer)
{
    int r;

    buf_add_string(&writer->text, "signal");
    r = add_rights(writer, rights_field(writer));
    if (r == 0 && *field(writer, AUDIT_FIELD_SIGNAL)) {
        r = add_word(writer, " set=(", AUDIT_FIELD_SIGNAL, WORD "+");
        buf_add_char(&writer->text, ')');
    }
    return r < 0 ? r : add_label(writer, " peer=", AUDIT_FIELD_PEER);
}

static int write_ptrace(struct writer *writer)
{
    int r;

    buf_add_string(&writer->text, "ptrace");
    r = add_rights(writer, rights_field(writer));
    return r < 0 ? r : add_label(writer, " peer=", AUDIT_FIELD_PEER);
}

static int add_options(struct writer *writer)
{
    if (!*field(writer, AUDIT_FIELD_FLAGS))
        return 0;
    int r = add_word(writer, " options=(", AUDIT_FIELD_FLAGS, WORD "-, ");
    buf_add_char(&writer->text, ')');
    return r;
}

static int write_mount(struct writer *writer)
{
    const char *operation = field(writer, AUDIT_FIELD_OPERATION);
    int r = 0;

    if (strcmp(operation, "umount") == 0) {
        buf_add_string(&writer->text, "umount");
        return add_name(writer, " ", AUDIT_FIELD_NAME);
    }
    if (strcmp(operation, "pivotroot") == 0) {
        buf_add_string(&writer->text, "pivot_root");
        r = add_name(writer, " oldroot=", AUDIT_FIELD_SOURCE);
        return r < 0 ? r : add_name(writer, " ", AUDIT_FIELD_NAME);
    }
    buf_add_string(&writer->text, "mount");
    if (*field(writer, AUDIT_FIELD_FS_TYPE))
        r = add_word(writer, " fstype=", AUDIT_FIELD_FS_TYPE, WORD ".-");
    if (r == 0)
        r = add_options(writer);
    if (r == 0)
        r = add_name(writer, " ", AUDIT_FIELD_SOURCE);
    return r < 0 ? r : add_name(writer, " -> ", AUDIT_FIELD_NAME);
}

static int write_dbus(struct writer *writer)
{
    static const struct {
        const char *before;
        enum audit_field which;
    } parts[] = {
        {" path=", AUDIT_FIELD_PATH},
        {" interface=", AUDIT_FIELD_INTERFACE},
        {" member=", AUDIT_FIELD_MEMBER},
    };
    bool bind = strstr(field(writer, rights_field(writer)), "bind") != NULL;
    int r;

    buf_add_string(&writer->text, "dbus");
    r = add_rights(writer, rights_field(writer));
    if (r == 0 && *field(writer, AUDIT_FIELD_BUS))
        r = add_word(writer, " bus=", AUDIT_FIELD_BUS, WORD);
    if (bind)
        return r < 0 ? r : add_name(writer, " name=", AUDIT_FIELD_NAME);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
        r = add_name(writer, parts[i].before, parts[i].which);
    if (r == 0 && *field(writer, AUDIT_FIELD_PEER)) {
        r = add_label(writer, " peer=(label=", AUDIT_FIELD_PEER);
        buf_add_char(&writer->text, ')');
    }
    return r;
}

static int write_rlimit(struct writer *writer)
{
    int r = add_word(writer, "set rlimit ", AUDIT_FIELD_RLIMIT, LOWER);

    return r < 0 ? r : add_word(writer, " <= ", AUDIT_FIELD_VALUE, "0123456789");
}

static int write_userns(struct writer *writer)
{
    buf_add_string(&writer->text, "userns create");
    return 0;
}

static int write_io_uring(struct writer *writer)
{
    const char *rights = field(writer, rights_field(writer));

    if (strstr(rights, "override_creds"))
        return refuse(writer, "io_uring with others' credentials is a rule to be written by hand");
    buf_add_string(&writer->text, "io_uring sqpoll");
    return 0;
}

static int write_change_profile(struct writer *writer)
{
    buf_add_string(&writer->text, "change_profile");
    if (!*field(writer, AUDIT_FIELD_TARGET))
        return refuse(writer, "the record does not say which profile was to be entered");
    return add_name(writer, " -> ", AUDIT_FIELD_TARGET);
}

static int write_mqueue(struct writer *writer)
{
    int r;

    /* One of another ipc namespace, which no rule can name. */
    if (!*field(writer, AUDIT_FIELD_NAME))
        return refuse(writer, "the record does not say which queue it was");
    buf_add_string(&writer->text, "mqueue");
    r = add_rights(writer, rights_field(writer));
    buf_add_string(&writer->text,
                   field(writer, AUDIT_FIELD_NAME)[0] == '/' ? " type=posix" : " type=sysv");
    return r < 0 ? r : add_name(writer, " ", AUDIT_FIELD_NAME);
}

static int write_hat(struct writer *writer)
{
    const char *info = field(writer, AUDIT_FIELD_INFO);

    /* The wrong way back from one, or none to go from. */
    if (*info && strcmp(info, "hat not found") != 0)
        return refuse(writer, "no rule allows it: the program has not changed hats as it must");
    return refuse(writer, "a hat of that name must be declared in the profile");
}

static int write_other(struct writer *writer)
{
    return refuse(writer, "it is not known which rule would allow it");
}

static int write_link(struct writer *writer)
{
    buf_add_string(&writer->text, "link");
    int r = add_name(writer, " ", AUDIT_FIELD_NAME);
    return r < 0 ? r : add_name(writer, " -> ", AUDIT_FIELD_TARGET);
}

static int write_rule(const struct audit_access *access, int (*fill)(struct writer *writer),
                      struct audit_rule *rule, struct error *err)
{
    struct writer writer = {.access = access, .text = BUF_INIT(RULE_MAX), .err = err};
    int r = fill(&writer);

    buf_add_char(&writer.text, ',');
    if (r == 0 && writer.text.overflow)
        r = refuse(&writer, "the rule would be too long");
    if (r == 0)
        rule->text = buf_take(&writer.text);
    buf_done(&writer.text);
    return r;
}

/* --- files ---------------------------------------------------------------------------------- */

static void add_right(struct audit_rule *rule, char right)
{
    size_t len = strlen(rule->rights);

    if (!strchr(rule->rights, right) && len + 1 < sizeof(rule->rights))
        rule->rights[len] = right;
}

/* In the language's order; 'w' holds what 'a' says. */
static void order_rights(struct audit_rule *rule)
{
    char ordered[sizeof(rule->rights)] = "";
    size_t len = 0;

    for (const char *right = "mrwaklix"; *right; right++)
        if (strchr(rule->rights, *right) && !(*right == 'a' && strchr(rule->rights, 'w')))
            ordered[len++] = *right;
    memcpy(rule->rights, ordered, sizeof(ordered));
}

/* The kernel's letters (security/apparmor/file.c): creating and deleting are writing. */
static int read_rights(const char *letters, struct audit_rule *rule, struct error *err)
{
    for (; *letters; letters++) {
        if (strchr("rmkla", *letters))
            add_right(rule, *letters);
        else if (strchr("wcd", *letters))
            add_right(rule, 'w');
        else if (*letters == 'x')
            continue;
        else
            return error_set(err, -EINVAL, "the record's rights are not those of a file");
    }
    return 0;
}

static int write_file(const struct audit_access *access, const struct audit_rule_options *options,
                      struct audit_rule *rule, struct error *err)
{
    const char *denied = access->fields[AUDIT_FIELD_DENIED];
    const char *name = access->fields[AUDIT_FIELD_NAME];
    const char *letters = denied ? denied : access->fields[AUDIT_FIELD_REQUESTED];
    const struct audit_pattern_options pattern = {.variables = options->variables,
                                                  .exact = options->exact,
                                                  .wildcard = access->pattern};
    struct buf path = BUF_INIT(RULE_MAX);
    int r = read_rights(letters ? letters : "", rule, err);

    /* Programs are mapped and read, and run under the same profile. */
    if (r == 0 && (access->class == AUDIT_EXEC || (letters && strchr(letters, 'x')))) {
        for (const char *right = "mrix"; *right; right++)
            add_right(rule, *right);
    }
    if (r == 0 && !*rule->rights)
        r = error_set(err, -EINVAL, "the record does not say which rights were missing");
    if (r == 0)
        r = audit_pattern_path(name ? name : "", &pattern, &path, err);
    if (r == 0 && path.overflow)
        r = error_set(err, -EINVAL, "the rule would be too long");
    if (r == 0) {
        rule->path = buf_take(&path);
        rule->owner = access->owner;
        order_rights(rule);
    }
    buf_done(&path);
    return r;
}

/* --- all ------------------------------------------------------------------------------------ */

char *audit_rule_profile(const char *profile)
{
    const char *null = strstr(profile, "//null-");

    return null ? xstrndup(profile, (size_t) (null - profile)) : xstrdup(profile);
}

int audit_rule_of(const struct audit_access *access, const struct audit_rule_options *options,
                  struct audit_rule *ret, struct error *err)
{
    static int (*const writers[AUDIT_CLASSES])(struct writer *) = {
        [AUDIT_OTHER] = write_other,     [AUDIT_CAPABILITY] = write_capability,
        [AUDIT_NETWORK] = write_network, [AUDIT_UNIX] = write_unix,
        [AUDIT_SIGNAL] = write_signal,   [AUDIT_PTRACE] = write_ptrace,
        [AUDIT_MOUNT] = write_mount,     [AUDIT_DBUS] = write_dbus,
        [AUDIT_USERNS] = write_userns,   [AUDIT_IO_URING] = write_io_uring,
        [AUDIT_RLIMIT] = write_rlimit,   [AUDIT_CHANGE_PROFILE] = write_change_profile,
        [AUDIT_CHANGE_HAT] = write_hat,  [AUDIT_MQUEUE] = write_mqueue,
    };
    const char *operation = access->fields[AUDIT_FIELD_OPERATION];
    const char *info = access->fields[AUDIT_FIELD_INFO];
    struct audit_rule rule = {0};
    int r;

    if (info && strstr(info, "disconnected"))
        return error_set(err, -EINVAL,
                         "no rule allows it: the profile needs flags=(attach_disconnected)");
    if (access->class == AUDIT_FILE && operation && strcmp(operation, "link") == 0 &&
        access->fields[AUDIT_FIELD_TARGET])
        r = write_rule(access, write_link, &rule, err);
    else if (access->class == AUDIT_FILE || access->class == AUDIT_EXEC)
        r = write_file(access, options, &rule, err);
    else
        r = write_rule(access, writers[access->class], &rule, err);
    if (r < 0) {
        audit_rule_done(&rule);
        return r;
    }
    rule.profile = audit_rule_profile(access->fields[AUDIT_FIELD_PROFILE]);
    *ret = rule;
    return 0;
}

char *audit_rule_print(const struct audit_rule *rule)
{
    struct buf out = BUF_INIT(2 * RULE_MAX);

    if (!rule->path)
        return xstrdup(rule->text);
    if (rule->owner)
        buf_add_string(&out, "owner ");
    audit_pattern_quote(rule->path, &out);
    buf_addf(&out, " %s,", rule->rights);
    return buf_take(&out);
}

void audit_rule_merge(struct audit_rule *rule, const struct audit_rule *other)
{
    for (const char *right = other->rights; *right; right++)
        add_right(rule, *right);
    rule->owner = rule->owner && other->owner;
    order_rights(rule);
}
