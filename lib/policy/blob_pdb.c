// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_pdb.h"

#include <ctype.h>
#include <string.h>

#include "lib/policy/blob_dfa.h"

/* security/apparmor/include/file.h and perms.h */
#define INDEX_MASK UINT32_C(0x00ffffff)
#define TYPE_MASK UINT32_C(0x0c000000)
#define TYPE_TABLE UINT32_C(0x08000000)

enum {
    PERMS_VERSION = 1,
    PERMSV_WITH_FLAGS = 3,
    OLD_FIRST_NAME = 4, /* the indices below it have fixed meanings */
};

struct pdb {
    struct blob_dfa dfa;
    bool has_dfa;
    bool has_perms;
    uint32_t perms;
    uint32_t names_needed; /* 1 + the highest index of a name */
    uint32_t names;
};

struct perm {
    uint32_t reserved, allow, deny, subtree, cond, kill, complain, prompt, audit, quiet, hide,
        xindex, tag, label;
};

static bool take_perm(struct blob_reader *reader, struct perm *perm)
{
    uint32_t *const fields[] = {
        &perm->reserved, &perm->allow,    &perm->deny,   &perm->subtree, &perm->cond,
        &perm->kill,     &perm->complain, &perm->prompt, &perm->audit,   &perm->quiet,
        &perm->hide,     &perm->xindex,   &perm->tag,    &perm->label,
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!blob_take_u32(reader, NULL, fields[i]))
            return false;
    }
    return true;
}

static bool perm_sound(const struct perm *perm)
{
    return !(perm->allow & perm->deny) && !(perm->subtree & ~perm->allow) &&
           !(perm->cond & (perm->allow | perm->deny)) && !(perm->kill & perm->allow) &&
           !(perm->complain & (perm->allow | perm->deny)) &&
           !(perm->prompt & (perm->allow | perm->deny)) && !(perm->complain & perm->prompt) &&
           !(perm->hide & perm->allow);
}

static void need_name(struct pdb *pdb, uint32_t index)
{
    if (index >= pdb->names_needed)
        pdb->names_needed = index + 1;
}

static const char *read_perms(struct blob_reader *reader, struct pdb *pdb)
{
    uint32_t version;
    uint16_t count;

    if (!blob_take(reader, BLOB_CODE_STRUCT, "perms"))
        return NULL;
    if (!blob_take_u32(reader, "version", &version) || version != PERMS_VERSION ||
        !blob_take_array(reader, NULL, &count) || count == 0)
        return "its table of permissions is not understood";
    for (uint16_t i = 0; i < count; i++) {
        struct perm perm;

        if (!take_perm(reader, &perm))
            return "its table of permissions is not understood";
        if (!perm_sound(&perm))
            return "its permissions contradict each other";
        if (perm.tag != 0)
            return "its permissions carry tags, which are not understood";
        if ((perm.xindex & TYPE_MASK) == TYPE_TABLE)
            need_name(pdb, perm.xindex & INDEX_MASK);
        if (perm.label)
            need_name(pdb, perm.label & INDEX_MASK);
    }
    if (!blob_take(reader, BLOB_CODE_ARRAY_END, NULL) ||
        !blob_take(reader, BLOB_CODE_STRUCT_END, NULL))
        return "its table of permissions is not understood";
    pdb->has_perms = true;
    pdb->perms = count;
    return NULL;
}

/* The compiler pads in front, to 8 bytes of its own output; the automaton itself is a multiple. */
static struct blob_span unpad(struct blob_span span)
{
    size_t pad = span.len & 7;

    return (struct blob_span){span.data + pad, span.len - pad};
}

static const char *read_dfa(struct blob_reader *reader, struct pdb *pdb)
{
    enum blob_accept2 accept2 = BLOB_ACCEPT2_NEEDED;
    struct blob_span span;
    uint32_t version = 0;

    if (pdb->has_perms) {
        (void) blob_take_u32(reader, "permsv", &version);
        if (version < PERMSV_WITH_FLAGS)
            accept2 = BLOB_ACCEPT2_REFUSED;
    }
    if (!blob_take_bytes(reader, "aadfa", &span))
        return pdb->has_perms ? "its permissions have no rules" : NULL;

    span = unpad(span);
    const char *problem = blob_dfa_check(span.data, span.len, accept2, &pdb->dfa);
    pdb->has_dfa = !problem;
    return problem;
}

static const char *read_starts(struct blob_reader *reader, const struct pdb *pdb)
{
    static const char *const NAMES[] = {"start", "dfa_start"};
    uint32_t start;

    if (!pdb->has_dfa)
        return NULL;
    if (pdb->dfa.states < 2) /* 1 is the start state that goes without saying */
        return "its rules have no start state";
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (blob_take_u32(reader, NAMES[i], &start) && start >= pdb->dfa.states)
            return "its start state is out of bounds";
    }
    return NULL;
}

/* Names of profiles to change to, ":namespace\0name" among them. */
static bool name_sound(struct blob_span name)
{
    size_t nuls = 0;

    for (size_t i = 0; i < name.len; i++)
        nuls += name.data[i] == '\0';
    if (name.len > 0 && isspace(name.data[0]))
        return false;
    if (name.len > 0 && name.data[0] == ':')
        return name.len > 1 && name.data[1] != '\0' && nuls <= 1;
    return nuls == 0;
}

static const char *read_names(struct blob_reader *reader, struct pdb *pdb)
{
    uint16_t count;

    if (!blob_take(reader, BLOB_CODE_STRUCT, "xtable"))
        return NULL;
    if (!blob_take_array(reader, NULL, &count))
        return "its transitions are not understood";
    for (uint16_t i = 0; i < count; i++) {
        struct blob_span name;

        if (!blob_take_string(reader, NULL, &name) || !name_sound(name))
            return "its transitions are not understood";
    }
    if (!blob_take(reader, BLOB_CODE_ARRAY_END, NULL) ||
        !blob_take(reader, BLOB_CODE_STRUCT_END, NULL))
        return "its transitions are not understood";
    pdb->names = count;
    return NULL;
}

/* Without a table of permissions, they are in the automaton: of owner and others, 14 bits each. */
static void need_old_names(struct pdb *pdb, uint32_t accept)
{
    const uint32_t users[] = {accept & 0x3fff, (accept >> 14) & 0x3fff};

    for (size_t i = 0; i < 2; i++) {
        uint32_t index = (users[i] >> 10) & 0xf;
        if (index >= OLD_FIRST_NAME)
            need_name(pdb, index - OLD_FIRST_NAME);
    }
}

static const char *check_accepts(struct pdb *pdb, enum blob_pdb_kind kind)
{
    for (size_t i = 0; pdb->has_dfa && i < pdb->dfa.states; i++) {
        uint32_t accept = blob_dfa_accept(&pdb->dfa, i);

        if (pdb->has_perms && accept >= pdb->perms)
            return "its rules name permissions that are not there";
        if (!pdb->has_perms && kind == BLOB_PDB_FILE)
            need_old_names(pdb, accept);
    }
    if (pdb->names_needed > pdb->names)
        return "its rules lead to profiles that are not named";
    return NULL;
}

const char *blob_pdb_read(struct blob_reader *reader, enum blob_pdb_kind kind, bool *ret_present)
{
    struct pdb pdb = {0};

    const char *problem = read_perms(reader, &pdb);
    if (!problem)
        problem = read_dfa(reader, &pdb);
    if (!problem && !pdb.has_dfa && kind == BLOB_PDB_POLICY)
        problem = "its rules are missing";
    if (!problem)
        problem = read_starts(reader, &pdb);
    if (!problem)
        problem = read_names(reader, &pdb);
    if (!problem)
        problem = check_accepts(&pdb, kind);
    if (!problem)
        *ret_present = pdb.has_dfa;
    return problem;
}
