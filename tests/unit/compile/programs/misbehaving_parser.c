// SPDX-License-Identifier: Apache-2.0

/*
 * A parser that crashes, hangs, floods or multiplies, as one that a policy has taken over might:
 * the text tells it what to do. Built without sanitizers, which need more than its sandbox has.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static _Noreturn void flood(int fd)
{
    static const char chunk[65536] = "x";

    while (write(fd, chunk, sizeof(chunk)) > 0 || errno == EINTR)
        ;
    _exit(0);
}

/* No further than is needed to tell, should nothing keep it from that. */
static _Noreturn void multiply(void)
{
    for (int i = 0; i < 64; i++) {
        pid_t pid = fork();
        if (pid < 0)
            _exit(errno == EAGAIN ? 0 : 1);
        if (pid == 0)
            pause();
    }
    _exit(1);
}

static _Noreturn void misbehave(const char *text)
{
    if (strstr(text, "crash"))
        raise(SIGSEGV);
    if (strstr(text, "abort"))
        abort();
    while (strstr(text, "hang"))
        pause();
    while (strstr(text, "spin"))
        ;
    if (strstr(text, "flood-out"))
        flood(1);
    if (strstr(text, "flood-err"))
        flood(2);
    if (strstr(text, "multiply"))
        multiply();
    /* What follows is what the probe of a new parser takes for policy. */
    if (write(1, "\x04\x08\x00version\x00\x02", 12) < 0)
        _exit(1);
    if (strstr(text, "fault-late"))
        raise(SIGSEGV);
    /* Which a program that has just been started is not. */
    bool held = prctl(PR_GET_DUMPABLE) == 0;
    if (held && strstr(text, "held"))
        _exit(1);
    if (held && strstr(text, "not-begun"))
        _exit(127);
    _exit(strstr(text, "fail") ? 1 : 0);
}

int main(int argc, char **argv)
{
    char text[4096] = "";

    if (strcmp(argv[argc - 1], "--version") == 0) {
        printf("AppArmor parser version 4.1.0\n");
        return 0;
    }
    int fd = open(argv[argc - 1], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        return 1;
    misbehave(text);
}
