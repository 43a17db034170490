// SPDX-License-Identifier: Apache-2.0
/*
 * As many denials as the kernel can emit, until it is killed: opens files that a profile forbids,
 * each time another one, and in between mounts under ever new names, which stand in no folder that
 * they could be counted under. Says how many, once a second.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define MOUNTS_EACH 4

int main(void)
{
    struct timespec now;
    time_t told = 0;
    char path[64];

    for (unsigned long number = 1;; number++) {
        snprintf(path, sizeof(path), "/etc/flood-%lu", number);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) {
            fprintf(stderr, "%s was not refused\n", path);
            return 1;
        }
        if (number % MOUNTS_EACH == 0 && mount(path + 1, "/etc", "tmpfs", 0, NULL) == 0) {
            fprintf(stderr, "%s was mounted\n", path);
            return 1;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec != told) {
            told = now.tv_sec;
            printf("%lu\n", number);
            fflush(stdout);
        }
    }
}
