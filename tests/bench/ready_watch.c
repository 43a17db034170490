// SPDX-License-Identifier: Apache-2.0
/*
 * Ends once /readyz at a port of 127.0.0.1 answers 200. Asks from one process, as a shell's loop of
 * wget takes a third of a small machine for itself.
 *
 *     ready_watch PORT
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 10

static int is_ready(in_port_t port)
{
    static const char request[] = "GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n";
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[64] = "";
    int ready = 0;

    if (fd >= 0 && connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0 &&
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0 &&
        recv(fd, answer, sizeof(answer) - 1, 0) > 0)
        ready = strncmp(answer, "HTTP/1.", 7) == 0 && strncmp(answer + 8, " 200", 4) == 0;
    if (fd >= 0)
        close(fd);
    return ready;
}

int main(int argc, char **argv)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    if (argc != 2) {
        fprintf(stderr, "usage: ready_watch PORT\n");
        return 2;
    }
    while (!is_ready((in_port_t) atoi(argv[1])))
        nanosleep(&pause, NULL);
    return 0;
}
