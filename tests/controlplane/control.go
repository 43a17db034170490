// SPDX-License-Identifier: Apache-2.0
//
// The control socket: `controlplane ctl` sends one JSON request over DIR/control.sock and gets one JSON
// answer when the work is done.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/component-base/version"
)

const operationTimeout = 2 * time.Minute

type request struct {
	Verb string   `json:"verb"`
	Args []string `json:"args"`
}

type response struct {
	Output string `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
}

type verb struct {
	name  string
	usage string
	help  string
	run   func(r *rig, ctx context.Context, args []string) (string, error)
}

var verbs []verb

func init() {
	verbs = []verb{
		{"status", "", "what runs, as JSON", (*rig).verbStatus},
		{"stop-apiserver", "[--now]", "stop the API server; --now kills it", (*rig).verbStop},
		{"start-apiserver", "[FLAG...]",
			"start it again on its port, this once with more flags; returns when it is ready", (*rig).verbStart},
		{"restart-apiserver", "[--now] [FLAG...]", "both; returns when it is ready", (*rig).verbRestart},
		{"compact", "", "make etcd forget the past; prints the revision that is its oldest from now on",
			(*rig).verbCompact},
		{"add-node", "NAME", "a Node, kept alive, and its agent's and kubelet's kubeconfigs", (*rig).verbAddNode},
		{"delete-node", "NAME", "delete the Node and end its heartbeat", (*rig).verbDeleteNode},
		{"token", "SERVICEACCOUNT [--node NAME]",
			"a token of [NAMESPACE/]SERVICEACCOUNT, bound to a pod on the node", (*rig).verbToken},
	}
}

func controlUsage() {
	fmt.Fprintln(os.Stderr, "usage: controlplane ctl --dir DIR VERB [ARGUMENT...]")
	for _, v := range verbs {
		fmt.Fprintf(os.Stderr, "  %-42s %s\n", strings.TrimSpace(v.name+" "+v.usage), v.help)
	}
}

// controlAddress keeps the socket's address short however long the folder's path is: it may have 107
// bytes.
func controlAddress(dir string) (string, func(), error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("--dir %s: %w", dir, err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/control.sock", fd), func() { _ = unix.Close(fd) }, nil
}

func (r *rig) listen() error {
	address, done, err := controlAddress(r.opts.dir)
	if err != nil {
		return err
	}
	defer done()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", r.file("control.sock"), err)
	}
	// By the time of the close that address means another file, if any.
	listener.SetUnlinkOnClose(false)
	r.mutex.Lock()
	r.control = listener
	r.mutex.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return nil
}

func (r *rig) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var ask request
	if err := json.NewDecoder(conn).Decode(&ask); err != nil {
		_ = json.NewEncoder(conn).Encode(response{Error: "not a request: " + err.Error()})
		return
	}
	output, err := r.perform(ask)
	answer := response{Output: output}
	if err != nil {
		answer.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(answer)
}

func (r *rig) perform(ask request) (string, error) {
	for _, v := range verbs {
		if v.name != ask.Verb {
			continue
		}
		ctx, cancel := context.WithTimeout(r.ctx, operationTimeout)
		defer cancel()
		if v.name != "status" {
			r.operations.Lock()
			defer r.operations.Unlock()
			r.say("ctl %s", strings.Join(append([]string{ask.Verb}, ask.Args...), " "))
		}
		return v.run(r, ctx, ask.Args)
	}
	return "", fmt.Errorf("there is no verb %q; `controlplane ctl --help` lists them", ask.Verb)
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is one argument too many", args[0])
	}
	return nil
}

func oneNode(args []string) (string, error) {
	if len(args) != 1 {
		return "", errors.New("name one node")
	}
	return args[0], checkNodeName(args[0])
}

func stopGrace(args []string) (time.Duration, error) {
	if len(args) == 1 && args[0] == "--now" {
		return 0, nil
	}
	return 20 * time.Second, noArguments(args)
}

func checkFlags(args []string) error {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "--") {
			return fmt.Errorf("%q is no flag of the API server", arg)
		}
	}
	return nil
}

func (r *rig) currentAPIServer() *child {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.apiServer
}

func (r *rig) verbStop(_ context.Context, args []string) (string, error) {
	grace, err := stopGrace(args)
	if err != nil {
		return "", err
	}
	c := r.currentAPIServer()
	if !c.running() {
		return "", errors.New("the API server is stopped already")
	}
	begin := time.Now()
	c.stop(grace)
	return fmt.Sprintf("stopped in %.1f s", time.Since(begin).Seconds()), nil
}

func (r *rig) verbStart(_ context.Context, args []string) (string, error) {
	if err := checkFlags(args); err != nil {
		return "", err
	}
	if r.currentAPIServer().running() {
		return "", errors.New("the API server runs already")
	}
	begin := time.Now()
	if err := r.startAPIServer(args...); err != nil {
		return "", err
	}
	return fmt.Sprintf("ready in %.1f s", time.Since(begin).Seconds()), nil
}

func (r *rig) verbRestart(ctx context.Context, args []string) (string, error) {
	var how []string
	if len(args) > 0 && args[0] == "--now" {
		how, args = args[:1], args[1:]
	}
	if err := checkFlags(args); err != nil {
		return "", err
	}
	stopped, err := r.verbStop(ctx, how)
	if err != nil {
		return "", err
	}
	started, err := r.verbStart(ctx, args)
	if err != nil {
		return "", err
	}
	return stopped + ", " + started, nil
}

func (r *rig) verbCompact(ctx context.Context, args []string) (string, error) {
	if err := noArguments(args); err != nil {
		return "", err
	}
	revision, err := r.compact(ctx)
	return strconv.FormatInt(revision, 10), err
}

func (r *rig) verbAddNode(ctx context.Context, args []string) (string, error) {
	name, err := oneNode(args)
	if err != nil {
		return "", err
	}
	if err := r.addNode(ctx, name); err != nil {
		return "", err
	}
	if r.opts.heartbeat {
		if err := r.waitNode(name); err != nil {
			return "", err
		}
	}
	return r.file("agent-" + name + ".kubeconfig"), nil
}

func (r *rig) verbDeleteNode(ctx context.Context, args []string) (string, error) {
	name, err := oneNode(args)
	if err != nil {
		return "", err
	}
	return "", r.deleteNode(ctx, name)
}

func (r *rig) verbToken(ctx context.Context, args []string) (string, error) {
	node := ""
	if len(args) == 3 && args[1] == "--node" {
		node, args = args[2], args[:1]
	}
	if len(args) != 1 {
		return "", errors.New("usage: token [NAMESPACE/]SERVICEACCOUNT [--node NAME]")
	}
	return r.token(ctx, parseAccount(args[0]), node)
}

func (r *rig) verbStatus(_ context.Context, args []string) (string, error) {
	if err := noArguments(args); err != nil {
		return "", err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	processes := map[string]any{}
	for _, c := range []*child{r.etcd, r.apiServer, r.controllerManager, r.scheduler} {
		state := "stopped"
		if c.running() {
			state = "running"
		}
		processes[c.name] = map[string]any{"pid": c.pid(), "state": state}
	}
	names := make([]string, 0, len(r.nodes))
	for name := range r.nodes {
		names = append(names, name)
	}
	content, err := json.MarshalIndent(map[string]any{
		"version": version.Get().GitVersion, "port": r.apiPort.number, "pid": os.Getpid(),
		"seconds": time.Since(r.started).Seconds(), "nodes": names, "processes": processes,
	}, "", "  ")
	return string(content), err
}

// runCtl is the client.
func runCtl() int {
	flags := flag.NewFlagSet("ctl", flag.ExitOnError)
	flags.Usage = controlUsage
	dir := flags.String("dir", "", "folder of the running rig")
	_ = flags.Parse(os.Args[1:])
	if *dir == "" || flags.NArg() == 0 {
		controlUsage()
		return 2
	}
	answer, err := ask(*dir, request{Verb: flags.Arg(0), Args: flags.Args()[1:]})
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane ctl:", err)
		return 1
	}
	if answer.Error != "" {
		fmt.Fprintf(os.Stderr, "controlplane ctl %s: %s\n", flags.Arg(0), answer.Error)
		return 1
	}
	if answer.Output != "" {
		fmt.Println(answer.Output)
	}
	return 0
}

func ask(dir string, question request) (*response, error) {
	address, done, err := controlAddress(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := net.DialTimeout("unix", address, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("no control plane is ready in %s: start one with `controlplane up --dir %s` (%w)",
			dir, dir, errors.Unwrap(err))
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * operationTimeout))
	if err := json.NewEncoder(conn).Encode(question); err != nil {
		return nil, err
	}
	answer := &response{}
	if err := json.NewDecoder(conn).Decode(answer); err != nil {
		return nil, fmt.Errorf("the control plane in %s ended before it answered: %w", dir, err)
	}
	return answer, nil
}
