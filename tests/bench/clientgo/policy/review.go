// SPDX-License-Identifier: Apache-2.0

// Package policy is what the webhooks in Go say about a pod: the effective profile of each container, and which of
// them have none.
package policy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	namedMax    = 16
	whatToWrite = "; write securityContext.appArmorProfile, {type: RuntimeDefault} or {type: Localhost, " +
		"localhostProfile: NAME}, for the pod or for each container"
)

// Declared tells whether an AppArmorProfile declares the profile; nil for the level confined, which does not ask.
type Declared func(profile string) bool

// effective is the type of the profile that counts, and where it stands.
func effective(pod *corev1.Pod, name string, context *corev1.SecurityContext, declared Declared) (corev1.AppArmorProfileType, string) {
	if context != nil && context.AppArmorProfile != nil {
		if profile := context.AppArmorProfile.LocalhostProfile; declared != nil && profile != nil && !declared(*profile) {
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

// Violations is what of the pod is not as the level wants it, and what to write; empty: all is.
func Violations(pod *corev1.Pod, declared Declared) string {
	var found []string
	look := func(what, name string, context *corev1.SecurityContext) {
		switch kind, source := effective(pod, name, context, declared); kind {
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

// Localhost is the Localhost profiles that the pod names, each once.
func Localhost(pod *corev1.Pod) []string {
	var names []string
	add := func(profile *corev1.AppArmorProfile) {
		if profile != nil && profile.LocalhostProfile != nil && !slices.Contains(names, *profile.LocalhostProfile) {
			names = append(names, *profile.LocalhostProfile)
		}
	}
	if pod.Spec.SecurityContext != nil {
		add(pod.Spec.SecurityContext.AppArmorProfile)
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if containers[i].SecurityContext != nil {
				add(containers[i].SecurityContext.AppArmorProfile)
			}
		}
	}
	return names
}
