// SPDX-License-Identifier: Apache-2.0

// Package server is what the programs share: the API server, as client-go reaches it.
package server

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

var AppArmorNodes = schema.GroupVersionResource{
	Group: "apparmor.io", Version: "v1alpha1", Resource: "apparmornodes",
}

var AppArmorProfiles = schema.GroupVersionResource{
	Group: "apparmor.io", Version: "v1alpha1", Resource: "apparmorprofiles",
}

// NewClient takes $KUBECONFIG, and no limit of requests per second: what is measured is the client.
func NewClient() (dynamic.Interface, error) {
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		return nil, fmt.Errorf("KUBECONFIG is not set")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.UserAgent = "clientgo-bench"
	return dynamic.NewForConfig(config)
}

func ReadObject(path string) (*unstructured.Unstructured, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, object); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return object, nil
}
