// SPDX-License-Identifier: Apache-2.0
//
// `controlplane up`: flags, the rig's folder, and the life of the supervisor from start to SIGTERM.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/klog/v2"
)

type upOptions struct {
	dir       string
	nodes     []string
	port      int
	manifests []string
	heartbeat bool
}

type repeated []string

func (r *repeated) String() string     { return strings.Join(*r, ",") }
func (r *repeated) Set(v string) error { *r = append(*r, v); return nil }

func parseUpOptions(args []string) (*upOptions, error) {
	opts := &upOptions{}
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: controlplane up --dir DIR [FLAG...]")
		flags.PrintDefaults()
	}
	flags.StringVar(&opts.dir, "dir", "", "folder for everything that the rig writes; new, empty or an earlier rig's")
	nodes := flags.String("nodes", "node-1,node-2", "Node objects to create, comma-separated; empty for none")
	flags.IntVar(&opts.port, "port", 0, "port of the API server on 127.0.0.1; 0 for any free one")
	flags.Var((*repeated)(&opts.manifests), "manifests",
		"file or folder to apply, in the order given; a folder with a kustomization is built "+
			"(default: crds and deploy of the repository around the current folder)")
	flags.BoolVar(&opts.heartbeat, "heartbeat", true,
		"keep the Nodes Ready as their kubelets would; false leaves them to real kubelets")

	// `--manifests A B` is a list as well, so what follows a flag's value is taken up again.
	for {
		_ = flags.Parse(args)
		args = flags.Args()
		if len(args) == 0 {
			break
		}
		if len(opts.manifests) == 0 {
			return nil, fmt.Errorf("%q is not a flag; `controlplane up --help` lists them", args[0])
		}
		opts.manifests, args = append(opts.manifests, args[0]), args[1:]
	}
	if opts.dir == "" {
		return nil, errors.New("--dir is missing: name a folder for the rig's files")
	}
	if opts.port < 0 || opts.port > 65535 {
		return nil, fmt.Errorf("--port %d is not a port: 0 to 65535", opts.port)
	}
	if *nodes != "" {
		opts.nodes = strings.Split(*nodes, ",")
	}
	return opts, opts.complete()
}

// complete checks what can be checked before anything starts, and fills in the defaults.
func (o *upOptions) complete() error {
	seen := map[string]bool{}
	for _, node := range o.nodes {
		if err := checkNodeName(node); err != nil {
			return fmt.Errorf("--nodes: %w", err)
		}
		if seen[node] {
			return fmt.Errorf("--nodes: %q is named twice", node)
		}
		seen[node] = true
	}
	if len(o.manifests) == 0 {
		found, err := repositoryManifests()
		if err != nil {
			return err
		}
		o.manifests = found
	}
	for _, path := range o.manifests {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--manifests: %w", err)
		}
	}
	dir, err := filepath.Abs(o.dir)
	o.dir = dir
	return err
}

func checkNodeName(name string) error {
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return fmt.Errorf("%q cannot be a Node's name: %s", name, strings.Join(problems, "; "))
	}
	return nil
}

// rigFiles is what a rig writes into its folder, and so what a new one removes there.
var rigFiles = []string{"ready", "pki", "etcd", ".kube", "control.sock", "audit*.log", "etcd.log", "kube-*.log",
	"*.kubeconfig", "*.token"}

const markerFile = ".controlplane"

// prepareDir makes the folder ours alone and empty. The returned lock is held until the process ends.
func prepareDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	marker := filepath.Join(dir, markerFile)
	if _, err := os.Stat(marker); err != nil && len(entries) > 0 {
		return nil, fmt.Errorf("--dir %s has files that are no rig's; name a new or empty folder", dir)
	}
	lock, err := os.OpenFile(marker, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("a control plane runs in %s already; stop it or name another folder with --dir", dir)
	}
	for _, pattern := range rigFiles {
		paths, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				_ = lock.Close()
				return nil, fmt.Errorf("cannot remove an earlier rig's file: %w", err)
			}
		}
	}
	return lock, nil
}

func runUp() int {
	opts, err := parseUpOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane up:", err)
		return 2
	}
	// client-go reports each refused connection of a restart there; the rig's own messages suffice.
	klog.SetOutput(discard{})
	klog.LogToStderr(false)

	// Whoever reads the progress may stop at "ready".
	signal.Ignore(syscall.SIGPIPE)
	signalled, stopSignals := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stopSignals()
	lock, err := prepareDir(opts.dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane up:", err)
		return 1
	}
	defer lock.Close()

	r := newRig(signalled, opts)
	defer r.shutdown()
	if err := r.start(); err != nil {
		if signalled.Err() != nil {
			r.say("interrupted")
			return 1
		}
		fmt.Fprintln(os.Stderr, "controlplane up:", err)
		return 1
	}
	<-r.ctx.Done()
	if signalled.Err() != nil {
		r.say("stopping")
		return 0
	}
	fmt.Fprintln(os.Stderr, "controlplane up:", context.Cause(r.ctx))
	return 1
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// writeAtomically replaces a file as a whole, as others read it the moment it appears.
func writeAtomically(path string, content []byte, mode os.FileMode) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(mode), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
