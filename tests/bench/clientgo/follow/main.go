// SPDX-License-Identifier: Apache-2.0

// Command follow does with client-go what `kube_bench [FLAG...] follow` does with lib/kube: it keeps a store of all
// AppArmorNodes, and reports what the first list took, then what --updates updates took. SIGTERM ends it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"clientgo/server"
)

func cpuMicroseconds() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}

// report prints what it took, as kube_bench does.
func report(phase string, events int64, cpu int64, begin time.Time) {
	fmt.Printf(`{"phase":"%s","events":%d,"cpu_us":%d,"wall_us":%d}`+"\n",
		phase, events, cpu, time.Since(begin).Microseconds())
}

// strip is what lib/kube does by itself.
func strip(object any) (any, error) {
	if object, ok := object.(*unstructured.Unstructured); ok {
		object.SetManagedFields(nil)
	}
	return object, nil
}

func pick(from map[string]any, keys ...string) map[string]any {
	to := make(map[string]any, len(keys))
	for _, key := range keys {
		if value, ok := from[key]; ok {
			to[key] = value
		}
	}
	return to
}

// project keeps what a roll-up of AppArmorProfiles needs, as project() of kube_bench.c.
func project(object any) (any, error) {
	whole, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	metadata, _ := whole.Object["metadata"].(map[string]any)
	status, _ := whole.Object["status"].(map[string]any)
	profiles, _ := status["profiles"].([]any)
	kept := make([]any, 0, len(profiles))
	for _, profile := range profiles {
		if profile, ok := profile.(map[string]any); ok {
			kept = append(kept, pick(profile, "name", "generation", "revision", "state", "reason", "message"))
		}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"metadata": pick(metadata, "name", "uid", "resourceVersion"),
		"status":   map[string]any{"apparmor": status["apparmor"], "profiles": kept},
	}}, nil
}

// counter is what the informer's handlers keep; they run on one goroutine, and main on another.
type counter struct {
	added, updated atomic.Int64
	wanted         int64
	begin          time.Time
	cpu            int64
	done           chan struct{}
}

func (counter *counter) onAdded(any) {
	counter.added.Add(1)
}

func (counter *counter) onUpdated(any, any) {
	switch counter.updated.Add(1) {
	case 1:
		counter.begin, counter.cpu = time.Now(), cpuMicroseconds()
	case counter.wanted:
		report("burst", counter.wanted, cpuMicroseconds()-counter.cpu, counter.begin)
		close(counter.done)
	}
}

func follow(updates int64, projected bool) error {
	client, err := server.NewClient()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	informer := dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(server.AppArmorNodes).Informer()
	transform := cache.TransformFunc(strip)
	if projected {
		transform = project
	}
	if err := informer.SetTransform(transform); err != nil {
		return err
	}
	counter := &counter{wanted: updates, done: make(chan struct{})}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: counter.onAdded, UpdateFunc: counter.onUpdated}
	registration, err := informer.AddEventHandler(handler)
	if err != nil {
		return err
	}
	begin := time.Now()
	go informer.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return fmt.Errorf("ended before the store was filled")
	}
	report("list", counter.added.Load(), cpuMicroseconds(), begin)
	<-ctx.Done()
	return nil
}

func main() {
	updates := flag.Int64("updates", 0, "updates to wait for")
	projected := flag.Bool("project", false, "keep only what a roll-up of AppArmorProfiles needs")
	flag.Parse()
	if err := follow(*updates, *projected); err != nil {
		fmt.Fprintf(os.Stderr, "follow: %v\n", err)
		os.Exit(1)
	}
}
