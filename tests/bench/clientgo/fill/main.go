// SPDX-License-Identifier: Apache-2.0

// Command fill stores AppArmorNodes for the benchmarks, and with --change changes each of them once.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"clientgo/server"
)

// Written by the API server, an object takes two writes of a few milliseconds each on a small machine: minutes
// for them all, and a burst would be as slow as the server admits it. So the server writes one, and copies of what
// it stored go to etcd. The server serves and watches them like all others.

const (
	registry   = "/registry/apparmor.io/apparmornodes/"
	sampleName = "bench-sample"
	sampleUID  = "uid of the sample"
	// What the sample says instead, so that a burst can change it.
	sampleVersion = "version-of-the-sample"
	writers       = 16
	timeout       = 30 * time.Second // of a request
)

func connect(endpoint, pki string) (*clientv3.Client, error) {
	info := transport.TLSInfo{
		TrustedCAFile: filepath.Join(pki, "etcd-ca.crt"),
		CertFile:      filepath.Join(pki, "etcd-client.crt"),
		KeyFile:       filepath.Join(pki, "etcd-client.key"),
	}
	tls, err := info.ClientConfig()
	if err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: tls})
}

// concurrently calls do(0) … do(count-1) and returns the first error.
func concurrently(count int, do func(i int) error) error {
	var next atomic.Int64
	var first atomic.Pointer[error]
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < count && first.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	group.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

// storeSample has the API server store the AppArmorNode of a file as an agent would have it, and returns what is in
// etcd then, with marks for what differs between copies. The sample is gone afterwards.
func storeSample(store *clientv3.Client, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	body, err := server.ReadObject(path)
	if err != nil {
		return nil, err
	}
	client, err := server.NewClient()
	if err != nil {
		return nil, err
	}
	nodes := client.Resource(server.AppArmorNodes)
	body.SetName(sampleName)
	created, err := nodes.Create(ctx, body, metav1.CreateOptions{FieldManager: "apparmor-agent"})
	if err != nil {
		return nil, err
	}
	status, _ := body.Object["status"].(map[string]any)
	status["agentVersion"] = sampleVersion
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return nil, err
	}
	options := metav1.PatchOptions{FieldManager: "apparmor-agent"}
	if _, err := nodes.Patch(ctx, sampleName, types.MergePatchType, patch, options, "status"); err != nil {
		return nil, err
	}
	answer, err := store.Get(ctx, registry+sampleName)
	if err != nil {
		return nil, err
	}
	if len(answer.Kvs) != 1 {
		return nil, fmt.Errorf("%s is not in etcd", registry+sampleName)
	}
	stored := bytes.ReplaceAll(answer.Kvs[0].Value, []byte(created.GetUID()), []byte(sampleUID))
	return stored, nodes.Delete(ctx, sampleName, metav1.DeleteOptions{})
}

func put(store *clientv3.Client, sample []byte, i int, version string) error {
	name := fmt.Sprintf("bench-node-%05d", i)
	uid := fmt.Sprintf("6f1c0000-0000-4000-8000-%012d", i)
	value := bytes.ReplaceAll(sample, []byte(sampleName), []byte(name))
	value = bytes.ReplaceAll(value, []byte(sampleUID), []byte(uid))
	value = bytes.ReplaceAll(value, []byte(sampleVersion), []byte(version))
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err := store.Put(ctx, registry+name, string(value))
	return err
}

// fill keeps in the file `keep` what a change needs.
func fill(store *clientv3.Client, body, keep string, count int) error {
	sample, err := storeSample(store, body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keep, sample, 0o600); err != nil {
		return err
	}
	return concurrently(count, func(i int) error { return put(store, sample, i, "1.0.0") })
}

func change(store *clientv3.Client, keep string, count int) error {
	sample, err := os.ReadFile(keep)
	if err != nil {
		return err
	}
	return concurrently(count, func(i int) error { return put(store, sample, i, "1.0.1") })
}

func main() {
	endpoint := flag.String("etcd", "", "etcd's URL")
	pki := flag.String("pki", "", "folder with etcd-ca.crt, etcd-client.crt and etcd-client.key")
	count := flag.Int("objects", 10000, "AppArmorNodes to store or to change")
	body := flag.String("body", "", "file with the AppArmorNode to copy")
	keep := flag.String("sample", "", "file for its stored form, which --change reads")
	changes := flag.Bool("change", false, "change all that were stored")
	flag.Parse()
	store, err := connect(*endpoint, *pki)
	if err == nil && *changes {
		err = change(store, *keep, *count)
	} else if err == nil {
		err = fill(store, *body, *keep, *count)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fill: %v\n", err)
		os.Exit(1)
	}
}
