#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run by collect in a guest: loads policy.txt and kill.txt, starts a message bus and prints the records that provoke
# makes. Needs busybox alone, and what collect has brought.
set -e
KERNEL=/sys/kernel/security/apparmor
BUS=/run/bus

# With the features of the kernel itself, so that all that it mediates is mediated.
load() {
    /opt/apparmor/sbin/apparmor_parser --config-file /dev/null -M $KERNEL/features -K -Q -S "$@" >/dev/null
    /opt/apparmor/sbin/apparmor_parser --config-file /dev/null -K -r --policy-features $KERNEL/features \
        -M $KERNEL/features "$@"
}
load /policy.txt
load /kill.txt || echo 'no mode kill' >&2
mkdir -p $KERNEL/policy/namespaces/provokens
load -n provokens /policy.txt

mkdir -p $BUS
cat >$BUS/bus.conf <<XML
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$BUS/socket</listen>
  <auth>EXTERNAL</auth>
  <apparmor mode="enabled"/>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
XML
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$BUS/socket
dbus-daemon --config-file=$BUS/bus.conf --nofork --nopidfile >&2 &
until [ -S $BUS/socket ]; do sleep 0.1; done
provoke
