// SPDX-License-Identifier: Apache-2.0
//
// Child processes of the supervisor: this same program under another name, with a log of its own.

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

type child struct {
	name     string
	logPath  string
	cmd      *exec.Cmd
	started  time.Time
	stopping atomic.Bool
	exited   chan struct{}
	state    *os.ProcessState
}

// spawns is served by one thread for the life of the program: PR_SET_PDEATHSIG fires when the *thread*
// that forked is gone, and Go ends threads as it sees fit.
var spawns = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for spawn := range spawns {
			spawn()
		}
	}()
}

func spawn(cmd *exec.Cmd) error {
	result := make(chan error)
	spawns <- func() { result <- cmd.Start() }
	return <-result
}

// selfCommand is this program once more, as the program of that name. A process group of its own keeps a
// terminal's Ctrl-C from it: the supervisor stops its children in order.
func selfCommand(name, home string, args []string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = name
	// Nothing of the caller's: its kubectl settings, discovery cache and proxies would change the rig.
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	if dir, ok := os.LookupEnv("TMPDIR"); ok {
		cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// startChild starts a server. onExit runs when it ends without having been asked to.
func startChild(name, dir string, args []string, onExit func(*child)) (*child, error) {
	c := &child{name: name, logPath: dir + "/" + name + ".log", exited: make(chan struct{})}
	log, err := os.OpenFile(c.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write the log of %s: %w", name, err)
	}
	defer log.Close()
	c.cmd = selfCommand(name, dir, args)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.started = time.Now()
	if err := spawn(c.cmd); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		_ = c.cmd.Wait()
		c.state = c.cmd.ProcessState
		close(c.exited)
		if !c.stopping.Load() {
			onExit(c)
		}
	}()
	return c, nil
}

func (c *child) running() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

func (c *child) pid() int {
	return c.cmd.Process.Pid
}

// stop ends the child: asked to at first, killed after the grace period.
func (c *child) stop(grace time.Duration) {
	if c == nil {
		return
	}
	c.stopping.Store(true)
	if grace > 0 {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.exited:
			return
		case <-time.After(grace):
		}
	}
	_ = c.cmd.Process.Kill()
	<-c.exited
}

// deathNote says which child ended, how, and what it said last.
func (c *child) deathNote() error {
	how := "ended"
	if c.state != nil {
		how = c.state.String()
	}
	return fmt.Errorf("%s ended unasked (%s) after %.1f s; the end of %s:\n%s", c.name, how,
		time.Since(c.started).Seconds(), c.logPath, lastLines(c.logPath, 15))
}

func lastLines(path string, n int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "    (" + err.Error() + ")"
	}
	const most = 64 << 10
	if len(content) > most {
		content = content[len(content)-most:]
	}
	lines := strings.Split(string(bytes.TrimSpace(content)), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return "    " + strings.Join(lines, "\n    ")
}
