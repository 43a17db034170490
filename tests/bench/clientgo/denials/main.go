// SPDX-License-Identifier: Apache-2.0

// Command denials does with audit records what the agent does, the way it is usually done in Go: regular expressions
// over each record and over the process's cgroup, and maps of counters. What it finds of a process it remembers, as the
// agent does. It prints nanoseconds of processor time for each record, and how many distinct accesses there were.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	head   = regexp.MustCompile(`audit\((\d+)\.(\d{3}):(\d+)\): apparmor="(DENIED|ALLOWED|KILLED)" `)
	pair   = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|(\S+))`)
	pod    = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})`)
	id     = regexp.MustCompile(`(?:cri-containerd-|crio-|docker-)?([0-9a-f]{64})(?:\.scope)?`)
	inProc = regexp.MustCompile(`^/proc/\d+(/|$)`)
	inTask = regexp.MustCompile(`^/proc/@{pid}/task/\d+(/|$)`)
	hexed  = regexp.MustCompile(`^(?:[0-9A-F]{2})+$`)
)

// Fields that tell one access from another.
var identity = []string{"operation", "profile", "namespace", "name", "requested_mask", "denied_mask", "requested",
	"denied", "target", "peer", "info", "family", "sock_type", "protocol", "addr", "peer_addr", "signal", "fstype", "srcname",
	"flags", "rlimit", "value", "capname"}

var encoded = map[string]bool{"profile": true, "name": true, "comm": true, "target": true, "peer": true, "namespace": true,
	"srcname": true, "addr": true, "peer_addr": true}

type process struct {
	pod, container string
	began          int64
}

type tracker struct {
	proc       string
	boot       int64
	processes  map[int]process
	violations map[string]int
	denials    map[string]int
}

// began is the process's start time, in milliseconds since the epoch.
func (t *tracker) began(pid int) (int64, error) {
	stat, err := os.ReadFile(filepath.Join(t.proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	return t.boot + ticks*10, err
}

func (t *tracker) find(pid int, at int64) (process, bool) {
	if found, ok := t.processes[pid]; ok && found.began <= at+20 {
		return found, true
	}
	text, err := os.ReadFile(filepath.Join(t.proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return process{}, false
	}
	found := process{}
	if found.began, err = t.began(pid); err != nil || found.began > at+20 {
		return process{}, false
	}
	if match := pod.FindStringSubmatch(string(text)); match != nil {
		found.pod = strings.ReplaceAll(match[1], "_", "-")
	}
	if match := id.FindStringSubmatch(string(text)); match != nil {
		found.container = match[1]
	}
	t.processes[pid] = found
	return found, true
}

func (t *tracker) record(line string) bool {
	start := head.FindStringSubmatch(line)
	if start == nil {
		return false
	}
	seconds, _ := strconv.ParseInt(start[1], 10, 64)
	milliseconds, _ := strconv.ParseInt(start[2], 10, 64)
	fields := map[string]string{}
	for _, match := range pair.FindAllStringSubmatch(line, -1) {
		value := match[2]
		if match[3] != "" {
			value = match[3]
			if encoded[match[1]] && hexed.MatchString(value) {
				if bytes, err := hex.DecodeString(value); err == nil {
					value = strings.ToValidUTF8(string(bytes), "?")
				}
			}
		}
		fields[match[1]] = value
	}
	fields["name"] = inProc.ReplaceAllString(fields["name"], "/proc/@{pid}$1")
	fields["name"] = inTask.ReplaceAllString(fields["name"], "/proc/@{pid}/task/@{tid}$1")
	pid, _ := strconv.Atoi(fields["pid"])
	who, ok := t.find(pid, seconds*1000+milliseconds)
	if !ok {
		who = process{pod: "unknown", container: "unknown"}
	}
	t.violations[strings.Join([]string{fields["profile"], fields["operation"], start[4], who.pod, who.container}, "\x00")]++
	key := strings.Builder{}
	key.WriteString(start[4])
	for _, name := range identity {
		key.WriteByte(0)
		key.WriteString(fields[name])
	}
	t.denials[key.String()]++
	return true
}

func processorTime() time.Duration {
	usage := syscall.Rusage{}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	rounds, err := strconv.Atoi(os.Args[3])
	file, openErr := os.Open(os.Args[2])
	if err != nil || openErr != nil {
		fmt.Fprintln(os.Stderr, err, openErr)
		os.Exit(1)
	}
	lines := []string{}
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	info := syscall.Sysinfo_t{}
	if err := syscall.Sysinfo(&info); err != nil {
		panic(err)
	}
	t := tracker{proc: os.Args[1], boot: time.Now().UnixMilli() - info.Uptime*1000, processes: map[int]process{},
		violations: map[string]int{}, denials: map[string]int{}}
	count := 0
	start := processorTime()
	for range rounds {
		for _, line := range lines {
			if t.record(line) {
				count++
			}
		}
	}
	spent := processorTime() - start
	fmt.Printf("%d %d\n", int(spent)/count, len(t.denials))
}
