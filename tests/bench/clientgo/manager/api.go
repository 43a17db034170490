// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// AppArmorProfile, as much of it as a webhook needs.
type AppArmorProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   AppArmorProfileSpec   `json:"spec"`
	Status AppArmorProfileStatus `json:"status,omitempty"`
}

type AppArmorProfileSpec struct {
	Policy string `json:"policy"`
}

type AppArmorProfileStatus struct {
	ProfileNames []string `json:"profileNames,omitempty"`
}

type AppArmorProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []AppArmorProfile `json:"items"`
}

func (in *AppArmorProfile) copy() *AppArmorProfile {
	out := &AppArmorProfile{TypeMeta: in.TypeMeta, Spec: in.Spec}
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.ProfileNames = slices.Clone(in.Status.ProfileNames)
	return out
}

func (in *AppArmorProfile) DeepCopyObject() runtime.Object { return in.copy() }

func (in *AppArmorProfileList) DeepCopyObject() runtime.Object {
	out := &AppArmorProfileList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].copy())
	}
	return out
}

func addToScheme(scheme *runtime.Scheme) {
	version := schema.GroupVersion{Group: "apparmor.io", Version: "v1alpha1"}
	scheme.AddKnownTypes(version, &AppArmorProfile{}, &AppArmorProfileList{})
	metav1.AddToGroupVersion(scheme, version)
}
