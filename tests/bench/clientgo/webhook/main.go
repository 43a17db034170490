// SPDX-License-Identifier: Apache-2.0

// Command webhook does, as webhooks in Go usually do it, what apparmor-controller does for a namespace with
// apparmor.io/enforce=confined: it decodes an AdmissionReview and its pod with the API's types, finds the effective
// profile of each container, and answers with the containers that have none. Like the controller it follows the
// AppArmorProfiles, for the level managed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"clientgo/policy"
	"clientgo/server"
)

const bodyMax = 8 << 20

// declared is which profiles AppArmorProfiles declare, by object.
var declared sync.Map

func follow() error {
	client, err := server.NewClient()
	if err != nil {
		return err
	}
	informer := dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(server.AppArmorProfiles).Informer()
	set := func(object any) {
		if object, ok := object.(*unstructured.Unstructured); ok {
			names, _, _ := unstructured.NestedStringSlice(object.Object, "status", "profileNames")
			declared.Store(object.GetName(), names)
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    set,
		UpdateFunc: func(_, object any) { set(object) },
		DeleteFunc: func(object any) {
			if object, ok := object.(*unstructured.Unstructured); ok {
				declared.Delete(object.GetName())
			}
		},
	})
	go informer.Run(nil)
	return err
}

func isDeclared(profile string) bool {
	found := false
	declared.Range(func(_, names any) bool {
		for _, name := range names.([]string) {
			found = found || name == profile
		}
		return !found
	})
	return found
}

func review(writer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, bodyMax))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var in admissionv1.AdmissionReview
	var pod corev1.Pod
	if err = json.Unmarshal(body, &in); err == nil && in.Request != nil {
		err = json.Unmarshal(in.Request.Object.Raw, &pod)
	}
	if err != nil || in.Request == nil {
		http.Error(writer, fmt.Sprint("no AdmissionReview of a pod: ", err), http.StatusBadRequest)
		return
	}
	out := admissionv1.AdmissionReview{
		TypeMeta: in.TypeMeta,
		Response: &admissionv1.AdmissionResponse{UID: in.Request.UID, Allowed: true},
	}
	var known policy.Declared
	if strings.HasSuffix(request.URL.Path, "/managed") {
		known = isDeclared
	}
	if text := policy.Violations(&pod, known); text != "" {
		out.Response.Allowed = false
		out.Response.Result = &metav1.Status{
			Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
			Message: fmt.Sprintf("namespace %q has apparmor.io/enforce=confined: %s", in.Request.Namespace, text),
		}
	}
	writer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(writer).Encode(&out)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:9443", "address and port")
	cert := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	flag.Parse()
	if err := follow(); err != nil {
		panic(err)
	}
	http.HandleFunc("/pods/enforce/confined", review)
	http.HandleFunc("/pods/enforce/managed", review)
	panic(http.ListenAndServeTLS(*listen, *cert, *key, nil))
}
