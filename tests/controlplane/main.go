// SPDX-License-Identifier: Apache-2.0
//
// controlplane is a real Kubernetes control plane in one program, for tests: kube-apiserver, etcd,
// kube-scheduler, kube-controller-manager and kubectl of one release, and the rig that runs them. Which
// of them it is, is told by its own name (a symlink `kubectl` is kubectl) or by its first argument.

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

type program struct {
	name string
	run  func() int
	help string
}

var programs []program

func init() {
	// Filled here, as usage() reads the table that names usage().
	programs = []program{
		{"up", runUp, "start a control plane and stay in the foreground until SIGTERM"},
		{"ctl", runCtl, "ask a running control plane: restart its API server, add a node, ..."},
		{"etcd", runEtcd, "an embedded etcd with one member"},
		{"kube-apiserver", runAPIServer, "the API server as released"},
		{"kube-controller-manager", runControllerManager, "the controller manager as released"},
		{"kube-scheduler", runScheduler, "the scheduler as released"},
		{"kubectl", runKubectl, "kubectl as released"},
		{"help", usage, "this text"},
	}
}

func usage() int {
	fmt.Println("usage: controlplane PROGRAM [FLAG...]     (PROGRAM --help lists its flags)")
	fmt.Println()
	for _, p := range programs {
		fmt.Printf("  %-24s %s\n", p.name, p.help)
	}
	return 0
}

func findProgram(name string) *program {
	for i := range programs {
		if programs[i].name == name {
			return &programs[i]
		}
	}
	return nil
}

func main() {
	name := filepath.Base(os.Args[0])
	p := findProgram(name)
	if p != nil {
		// The supervisor starts its children through /proc/self/exe: without this, ps calls them "exe".
		_ = os.WriteFile("/proc/self/comm", []byte(name), 0)
	}
	if p == nil && len(os.Args) > 1 {
		// The program must see itself as Args[0], as cobra takes its flags from what follows.
		name = os.Args[1]
		os.Args = os.Args[1:]
		if p = findProgram(strings.TrimLeft(name, "-")); p == nil {
			fmt.Fprintf(os.Stderr, "controlplane: there is no program %q; `controlplane help` lists them\n", name)
			os.Exit(2)
		}
	}
	if p == nil {
		usage()
		os.Exit(2)
	}
	os.Exit(p.run())
}
