// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/record.h"

#include <string.h>

#include "lib/audit/classify.h"
#include "lib/audit/pairs.h"
#include "lib/base/alloc.h"
#include "lib/base/utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"
/* What naming its process ids adds to a path. */
#define PROC_GROWTH 16
#define UNSAID UINT32_MAX

/* Values that are not taken as they are. */
struct said {
    bool outcome, denial;
    uint32_t pid, fsuid, ouid;
    const char *kernel_class;
    size_t kernel_class_len;
};

void audit_record_done(struct audit_record *record)
{
    free(record->memory);
    *record = (struct audit_record){0};
}

/* --- the head --- */

/* Digits up to `end`, which is passed over. */
static bool take_number(const char **at, const char *limit, char end, uint64_t *ret)
{
    const char *start = *at;
    uint64_t value = 0;

    for (; *at < limit && **at >= '0' && **at <= '9'; (*at)++) {
        if (value > UINT64_MAX / 10 - 10)
            return false;
        value = value * 10 + (uint64_t) (**at - '0');
    }
    if (*at == start || *at == limit || **at != end)
        return false;
    (*at)++;
    *ret = value;
    return true;
}

/* "audit(1700000000.123:456): "; moves past it. */
static bool take_head(struct audit_pairs *text, struct audit_record *record)
{
    static const char start[] = "audit(";
    uint64_t seconds, milliseconds, serial;
    const char *at = memmem(text->at, (size_t) (text->end - text->at), start, strlen(start));

    if (!at)
        return false;
    at += strlen(start);
    if (!take_number(&at, text->end, '.', &seconds) ||
        !take_number(&at, text->end, ':', &milliseconds) ||
        !take_number(&at, text->end, ')', &serial) || at == text->end || *at++ != ':' ||
        seconds > INT64_MAX / 2000 || milliseconds > 999 || serial > UINT32_MAX)
        return false;
    record->time_ms = (int64_t) (seconds * 1000 + milliseconds);
    record->serial = (uint32_t) serial;
    text->at = at;
    return true;
}

/* --- the pairs --- */

#define KEY(text) (text), sizeof(text) - 1

static const struct {
    const char *key;
    size_t key_len;
    enum audit_field field;
    bool encoded; /* may be hexadecimal */
} plain_keys[] = {
    {KEY("operation"), AUDIT_FIELD_OPERATION, false},
    {KEY("profile"), AUDIT_FIELD_PROFILE, true},
    {KEY("name"), AUDIT_FIELD_NAME, true},
    {KEY("requested_mask"), AUDIT_FIELD_REQUESTED, false},
    {KEY("denied_mask"), AUDIT_FIELD_DENIED, false},
    {KEY("requested"), AUDIT_FIELD_REQUESTED, false},
    {KEY("denied"), AUDIT_FIELD_DENIED, false},
    {KEY("mask"), AUDIT_FIELD_REQUESTED, false},
    {KEY("capname"), AUDIT_FIELD_NAME, false},
    {KEY("info"), AUDIT_FIELD_INFO, false},
    {KEY("target"), AUDIT_FIELD_TARGET, true},
    {KEY("peer"), AUDIT_FIELD_PEER, true},
    {KEY("family"), AUDIT_FIELD_FAMILY, false},
    {KEY("sock_type"), AUDIT_FIELD_SOCKET_TYPE, false},
    {KEY("protocol"), AUDIT_FIELD_PROTOCOL, false},
    {KEY("addr"), AUDIT_FIELD_ADDRESS, true},
    {KEY("peer_addr"), AUDIT_FIELD_PEER_ADDRESS, true},
    {KEY("signal"), AUDIT_FIELD_SIGNAL, false},
    {KEY("fstype"), AUDIT_FIELD_FS_TYPE, true},
    {KEY("srcname"), AUDIT_FIELD_SOURCE, true},
    {KEY("trans"), AUDIT_FIELD_TARGET, true},
    {KEY("flags"), AUDIT_FIELD_FLAGS, false},
    {KEY("rlimit"), AUDIT_FIELD_RLIMIT, false},
    {KEY("value"), AUDIT_FIELD_VALUE, false},
    {KEY("bus"), AUDIT_FIELD_BUS, false},
    {KEY("path"), AUDIT_FIELD_PATH, false},
    {KEY("interface"), AUDIT_FIELD_INTERFACE, false},
    {KEY("member"), AUDIT_FIELD_MEMBER, false},
    {KEY("namespace"), AUDIT_FIELD_NAMESPACE, true},
    {KEY("label"), AUDIT_FIELD_PROFILE, true},
    {KEY("peer_label"), AUDIT_FIELD_PEER, true},
};

/* `text` has `size` bytes with its NUL; returns how many it keeps. */
static size_t cut(char *text, size_t size)
{
    size_t keep;

    if (size - 1 <= AUDIT_TEXT_MAX)
        return size;
    keep = utf8_cut(text, size - 1, AUDIT_TEXT_MAX - strlen(ELLIPSIS));
    memcpy(text + keep, ELLIPSIS, sizeof(ELLIPSIS));
    return keep + sizeof(ELLIPSIS);
}

/* Takes what a field says, at `memory`; returns how much of that it takes. "?" says nothing. The
 * first of a kind counts. */
static size_t take_field(const struct audit_pair *pair, struct audit_record *record, char *memory)
{
    for (size_t i = 0; i < ARRAY_SIZE(plain_keys); i++) {
        const char **field = &record->access.fields[plain_keys[i].field];

        if (pair->key_len != plain_keys[i].key_len ||
            memcmp(pair->key, plain_keys[i].key, pair->key_len) != 0)
            continue;
        if (*field || pair->value_len == 0 ||
            (!pair->quoted && pair->value_len == 1 && *pair->value == '?'))
            return 0;
        *field = memory;
        return cut(memory, plain_keys[i].encoded ? audit_pair_decode(pair, memory)
                                                 : audit_pair_copy(pair, memory));
    }
    return 0;
}

static uint32_t number_of(const struct audit_pair *pair)
{
    uint64_t value = 0;

    for (size_t i = 0; i < pair->value_len; i++) {
        if (pair->value[i] < '0' || pair->value[i] > '9' || value > UINT32_MAX)
            return UNSAID;
        value = value * 10 + (uint64_t) (pair->value[i] - '0');
    }
    return pair->value_len && value < UNSAID ? (uint32_t) value : UNSAID;
}

static bool value_is(const struct audit_pair *pair, const char *text)
{
    return pair->value_len == strlen(text) && memcmp(pair->value, text, pair->value_len) == 0;
}

static void take_outcome(const struct audit_pair *pair, struct audit_record *record,
                         struct said *said)
{
    static const char *const names[AUDIT_OUTCOMES] = {
        [AUDIT_DENIED] = "DENIED",
        [AUDIT_ALLOWED] = "ALLOWED",
        [AUDIT_KILLED] = "KILLED",
    };

    if (said->outcome)
        return;
    said->outcome = true;
    for (size_t i = 0; i < AUDIT_OUTCOMES; i++)
        if (value_is(pair, names[i])) {
            record->access.outcome = (enum audit_outcome) i;
            said->denial = true;
        }
}

/* The process of a program's record stands before that of the denial: of two the last counts. */
static void take_pid(const struct audit_pair *pair, struct audit_record *record, struct said *said)
{
    if (said->outcome)
        said->pid = number_of(pair);
    else if (number_of(pair) <= INT32_MAX)
        record->sender = (pid_t) number_of(pair);
}

/* Returns how much of `memory` it takes. */
static size_t take_pair(const struct audit_pair *pair, struct audit_record *record,
                        struct said *said, char *memory)
{
    if (audit_pair_is(pair, "apparmor")) {
        take_outcome(pair, record, said);
    } else if (audit_pair_is(pair, "pid")) {
        take_pid(pair, record, said);
    } else if (!said->outcome) {
        return 0;
    } else if (audit_pair_is(pair, "class")) {
        said->kernel_class = pair->value;
        said->kernel_class_len = pair->value_len;
    } else if (audit_pair_is(pair, "fsuid")) {
        said->fsuid = number_of(pair);
    } else if (audit_pair_is(pair, "ouid")) {
        said->ouid = number_of(pair);
    } else if (audit_pair_is(pair, "comm") && !*record->comm) {
        (void) cut(memory, audit_pair_decode(pair, memory));
        memcpy(record->comm, memory, utf8_cut(memory, strlen(memory), sizeof(record->comm) - 1));
    } else {
        return take_field(pair, record, memory);
    }
    return 0;
}

/* --- the whole --- */

static size_t digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

/* "/proc/12/task/13/x" as "/proc/@{pid}/task/@{tid}/x": each process has its own otherwise. */
static void name_processes(const char **name, char *memory)
{
    static const char proc[] = "/proc/", task[] = "/task/";
    const char *rest = *name + strlen(proc);
    size_t pid = strncmp(*name, proc, strlen(proc)) == 0 ? digits_at(rest) : 0;
    size_t tid;

    if (pid == 0 || (rest[pid] != '/' && rest[pid] != '\0'))
        return;
    rest += pid;
    tid = strncmp(rest, task, strlen(task)) == 0 ? digits_at(rest + strlen(task)) : 0;
    if (tid > 0 && (rest[strlen(task) + tid] == '/' || rest[strlen(task) + tid] == '\0')) {
        rest += strlen(task) + tid;
        *name = memory;
        memory = stpcpy(memory, "/proc/@{pid}/task/@{tid}");
    } else {
        *name = memory;
        memory = stpcpy(memory, "/proc/@{pid}");
    }
    (void) cut((char *) (uintptr_t) *name, (size_t) (stpcpy(memory, rest) + 1 - *name));
}

/* "root//a//b" in the first namespace's own view, in which rules and labels leave "root//" out. */
static void strip_root(const char **namespace)
{
    static const char root[] = "root//";

    if (*namespace && strncmp(*namespace, root, strlen(root)) == 0)
        *namespace += strlen(root);
}

static void finish(struct audit_record *record, const struct said *said, char *memory)
{
    struct audit_access *access = &record->access;
    const char **fields = access->fields;

    access->class = audit_classify(said->kernel_class, said->kernel_class_len,
                                   fields[AUDIT_FIELD_OPERATION], fields[AUDIT_FIELD_FAMILY]);
    strip_root(&fields[AUDIT_FIELD_NAMESPACE]);
    record->pid = said->pid <= INT32_MAX ? (pid_t) said->pid : 0;
    if (access->class == AUDIT_FILE || access->class == AUDIT_EXEC) {
        access->owner = said->fsuid != UNSAID && said->fsuid == said->ouid;
        if (fields[AUDIT_FIELD_NAME])
            name_processes(&fields[AUDIT_FIELD_NAME], memory);
    }
    /* What a program says is denied is what it was asked for. */
    if (access->class == AUDIT_DBUS && !fields[AUDIT_FIELD_DENIED])
        fields[AUDIT_FIELD_DENIED] = fields[AUDIT_FIELD_REQUESTED];
}

/* Each pair takes no more than its own escaped value, a copy of a name its growth. */
static void reserve(struct audit_record *record, size_t len)
{
    size_t need = AUDIT_VALUE_SIZE(len) + len + AUDIT_TEXT_MAX + PROC_GROWTH + 1;

    if (record->capacity < need) {
        record->memory = xrealloc(record->memory, need);
        record->capacity = need;
    }
}

enum audit_verdict audit_record_parse(const char *text, size_t len, struct audit_record *record)
{
    static const char mark[] = "apparmor=\"";
    struct audit_pairs pairs = {.at = text, .end = text + len};
    struct said said = {.pid = UNSAID, .fsuid = UNSAID, .ouid = UNSAID};
    struct audit_pair pair;
    size_t used = 0;

    if (!memmem(text, len, mark, strlen(mark)))
        return AUDIT_FOREIGN;
    while (pairs.end > pairs.at && (pairs.end[-1] == '\n' || pairs.end[-1] == '\0'))
        pairs.end--;
    if (len > AUDIT_RECORD_MAX)
        return AUDIT_MALFORMED;
    reserve(record, len);
    *record = (struct audit_record){.memory = record->memory, .capacity = record->capacity};
    if (!take_head(&pairs, record))
        return AUDIT_MALFORMED;
    while (audit_pairs_next(&pairs, &pair))
        used += take_pair(&pair, record, &said, record->memory + used);
    if (!said.outcome)
        return AUDIT_FOREIGN;
    if (!said.denial)
        return AUDIT_NO_DENIAL;
    finish(record, &said, record->memory + used);
    return pairs.cut || !record->access.fields[AUDIT_FIELD_PROFILE] ||
                   !record->access.fields[AUDIT_FIELD_OPERATION]
               ? AUDIT_MALFORMED
               : AUDIT_DENIAL;
}
