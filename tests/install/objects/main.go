// SPDX-License-Identifier: Apache-2.0
//
// objects: reads YAML documents and prints each object as a line of JSON with sorted keys, the lines sorted too, so
// that two ways to write the same objects come out the same. An object that is there twice is an error.

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func read(input io.Reader) ([]string, error) {
	var lines []string
	seen := map[string]bool{}
	decoder := yaml.NewYAMLOrJSONDecoder(bufio.NewReader(input), 4096)
	for {
		object := unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if object.Object == nil {
			continue
		}
		key := fmt.Sprintf("%s %s/%s", object.GroupVersionKind(), object.GetNamespace(), object.GetName())
		if seen[key] {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		line, err := object.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	return lines, nil
}

func main() {
	lines, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintf(os.Stderr, "objects: %v\n", err)
		os.Exit(1)
	}
	for _, line := range lines {
		fmt.Print(line)
	}
}
