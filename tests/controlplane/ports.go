// SPDX-License-Identifier: Apache-2.0
//
// Ports that stay the rig's own. A port that was merely free a moment ago may be taken by somebody else,
// all the more while the API server is down in a restart. The supervisor therefore keeps a socket bound
// (never listening, so that clients of a stopped server are refused as usual); servers bind beside it
// with SO_REUSEPORT, which the kernel allows to the same user alone.

package main

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

const loopback = "127.0.0.1"

type port struct {
	number int
	fd     int
}

// reservePort holds the port of that number on the loopback, or any free one for 0.
func reservePort(number int) (*port, error) {
	if number != 0 {
		// Another rig of the same user could be shared with, by accident: ask as a stranger first.
		probe, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", loopback, number))
		if err != nil {
			return nil, fmt.Errorf("port %d of %s is taken or not allowed; choose another with --port, or 0 for any: %w",
				number, loopback, err)
		}
		_ = probe.Close()
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := bindShared(fd, number); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot reserve port %d of %s: %w", number, loopback, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("getsockname: %w", err)
	}
	return &port{number: name.(*unix.SockaddrInet4).Port, fd: fd}, nil
}

func bindShared(fd, number int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}})
}

func (p *port) address() string {
	return fmt.Sprintf("%s:%d", loopback, p.number)
}

func (p *port) release() {
	if p != nil {
		_ = unix.Close(p.fd)
	}
}
