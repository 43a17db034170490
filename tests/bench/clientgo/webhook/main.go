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

	"clientgo/server"
)

const (
	bodyMax     = 8 << 20
	namedMax    = 16
	whatToWrite = "; write securityContext.appArmorProfile, {type: RuntimeDefault} or {type: Localhost, " +
		"localhostProfile: NAME}, for the pod or for each container"
)

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

func isDeclared(profile *string) bool {
	found := false
	declared.Range(func(_, names any) bool {
		for _, name := range names.([]string) {
			found = found || profile != nil && name == *profile
		}
		return !found
	})
	return found
}

// effective is the type of the profile that counts, and where it stands.
func effective(pod *corev1.Pod, name string, context *corev1.SecurityContext, managed bool) (corev1.AppArmorProfileType, string) {
	if context != nil && context.AppArmorProfile != nil {
		if managed && context.AppArmorProfile.LocalhostProfile != nil && !isDeclared(context.AppArmorProfile.LocalhostProfile) {
			return "", " that an AppArmorProfile declares"
		}
		return context.AppArmorProfile.Type, ""
	}
	if value, ok := pod.Annotations[corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix+name]; ok {
		switch {
		case value == "runtime/default":
			return corev1.AppArmorProfileTypeRuntimeDefault, " by its annotation"
		case value == "unconfined":
			return corev1.AppArmorProfileTypeUnconfined, " by its annotation"
		case strings.HasPrefix(value, "localhost/"):
			return corev1.AppArmorProfileTypeLocalhost, " by its annotation"
		}
		return "", " by its annotation"
	}
	if context := pod.Spec.SecurityContext; context != nil && context.AppArmorProfile != nil {
		return context.AppArmorProfile.Type, " by the pod's securityContext"
	}
	return "", ""
}

func violations(pod *corev1.Pod, managed bool) string {
	var found []string
	look := func(what, name string, context *corev1.SecurityContext) {
		switch kind, source := effective(pod, name, context, managed); kind {
		case "":
			found = append(found, fmt.Sprintf("%s %q has no profile%s", what, name, source))
		case corev1.AppArmorProfileTypeUnconfined:
			found = append(found, fmt.Sprintf("%s %q is Unconfined%s", what, name, source))
		}
	}
	if pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows {
		return ""
	}
	for i := range pod.Spec.InitContainers {
		look("init container", pod.Spec.InitContainers[i].Name, pod.Spec.InitContainers[i].SecurityContext)
	}
	for i := range pod.Spec.Containers {
		look("container", pod.Spec.Containers[i].Name, pod.Spec.Containers[i].SecurityContext)
	}
	for i := range pod.Spec.EphemeralContainers {
		look("ephemeral container", pod.Spec.EphemeralContainers[i].Name, pod.Spec.EphemeralContainers[i].SecurityContext)
	}
	if len(found) == 0 {
		return ""
	}
	more := ""
	if len(found) > namedMax {
		more = fmt.Sprintf(" and %d more", len(found)-namedMax)
		found = found[:namedMax]
	}
	return strings.Join(found, ", ") + more + whatToWrite
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
	if text := violations(&pod, strings.HasSuffix(request.URL.Path, "/managed")); text != "" {
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
