// SPDX-License-Identifier: Apache-2.0
#include "agent/self_profile.h"

#include <string.h>

#include "lib/base/cleanup.h"

/* The assembler puts the file into the program, from where the compiler is run. */
__asm__(".pushsection .rodata\n"
        "self_profile_shipped_text:\n"
        ".incbin \"deploy/apparmor-agent.profile\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char shipped[] __asm__("self_profile_shipped_text");

/* Before this, the variables. */
static const char BODY[] = "\nprofile " SELF_PROFILE " ";

const char *self_profile_shipped(void)
{
    return shipped;
}

static int add_values(struct buf *out, const char *variable, const struct strv *values)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < values->len; i++)
        r = buf_addf(out, "@{%s} += \"%s\"\n", variable, values->items[i]);
    return r;
}

int self_profile_text(const struct self_places *places, struct buf *out, struct error *err)
{
    const struct {
        const char *variable;
        const struct strv *values;
    } lists[] = {
        {"host", &places->host},         {"apparmorfs", &places->apparmorfs},
        {"parser", &places->parser},     {"libraries", &places->libraries},
        {"includes", &places->includes}, {"proc", &places->proc},
        {"config", &places->config},
    };
    const char *body = strstr(shipped, BODY) + 1;
    int r = buf_add(out, shipped, (size_t) (body - shipped));

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
        r = add_values(out, lists[i].variable, lists[i].values);
    if (r == 0)
        r = buf_add_string(out, body);
    return r < 0 ? error_set(err, r, "the agent's own profile is too long") : 0;
}
