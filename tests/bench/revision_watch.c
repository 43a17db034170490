// SPDX-License-Identifier: Apache-2.0
/*
 * Prints the seconds since boot at which the kernel's AppArmor policy changes, one a line. Ahead of
 * all else on the machine, as it is what the work of others is measured by.
 *
 *     revision_watch [/sys/kernel/security/apparmor/revision]
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/sys/kernel/security/apparmor/revision";
    const struct sched_param first = {.sched_priority = 1};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct timespec now;
    char text[64];

    if (fd < 0) {
        perror(path);
        return 1;
    }
    if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
        perror("sched_setscheduler");
    /* The first read tells the present revision, each that follows waits for another. */
    if (read(fd, text, sizeof(text)) < 0)
        return 1;
    while (read(fd, text, sizeof(text)) > 0) {
        clock_gettime(CLOCK_BOOTTIME, &now);
        printf("%lld.%06ld\n", (long long) now.tv_sec, now.tv_nsec / 1000);
        fflush(stdout);
    }
    return 0;
}
