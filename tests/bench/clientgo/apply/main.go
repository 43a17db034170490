// SPDX-License-Identifier: Apache-2.0

// Command apply does with client-go what `kube_bench apply` does with lib/kube: one server-side apply after the
// other of the status of --body, changed each time. Prints the microseconds of each after --warm-up ones.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"clientgo/server"
)

func apply(path, version string, warmUp, count int) error {
	body, err := server.ReadObject(path)
	if err != nil {
		return err
	}
	client, err := server.NewClient()
	if err != nil {
		return err
	}
	nodes := client.Resource(server.AppArmorNodes)
	options := metav1.ApplyOptions{FieldManager: "bench", Force: true}
	for i := range warmUp + count {
		value := fmt.Sprintf("%s-%d", version, i)
		if err := unstructured.SetNestedField(body.Object, value, "status", "agentVersion"); err != nil {
			return err
		}
		begin := time.Now()
		if _, err := nodes.ApplyStatus(context.Background(), body.GetName(), body, options); err != nil {
			return err
		}
		if i >= warmUp {
			fmt.Println(time.Since(begin).Microseconds())
		}
	}
	return nil
}

func main() {
	path := flag.String("body", "", "file with the AppArmorNode to apply")
	count := flag.Int("count", 100, "applies to measure")
	warmUp := flag.Int("warm-up", 20, "applies before")
	version := flag.String("agent-version", "", "start of the agent's version to write")
	flag.Parse()
	if err := apply(*path, *version, *warmUp, *count); err != nil {
		fmt.Fprintf(os.Stderr, "apply: %v\n", err)
		os.Exit(1)
	}
}
