// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * Serves one exec channel for ever: opens the virtio-serial port and runs the commands that its
 * host side asks for, one after the other. Returns only when the port cannot be used: a negative
 * errno.
 */
int server_run(const char *port_path);
