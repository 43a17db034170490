// SPDX-License-Identifier: Apache-2.0
//
// Service-account tokens as the kubelet gets them for its pods: from the TokenRequest API, bound to a pod
// and so to the pod's node, which the API server then knows about each request.

package main

import (
	"context"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	systemNamespace = "apparmor-system"
	agentAccount    = "apparmor-agent"
	controlAccount  = "apparmor-controller"
	tokenSeconds    = 7 * 24 * 60 * 60
)

// account is NAMESPACE/NAME, or a NAME in the operator's namespace.
type account struct {
	namespace, name string
}

func parseAccount(text string) account {
	if namespace, name, found := strings.Cut(text, "/"); found {
		return account{namespace, name}
	}
	return account{systemNamespace, text}
}

func (a account) user() string {
	return "system:serviceaccount:" + a.namespace + ":" + a.name
}

func (r *rig) writeAgentCredential(ctx context.Context, node string) error {
	return r.writeCredential(ctx, "agent-"+node, account{systemNamespace, agentAccount}, node)
}

func (r *rig) writeControllerCredential(ctx context.Context) error {
	return r.writeCredential(ctx, "controller", account{systemNamespace, controlAccount}, "")
}

// writeCredential writes the client's kubeconfigs and token. Manifests without its service account are
// for tests that do without that client.
func (r *rig) writeCredential(ctx context.Context, name string, a account, node string) error {
	token, err := r.token(ctx, a, node)
	if apierrors.IsNotFound(err) {
		r.say("no ServiceAccount %s/%s in the manifests: %s.kubeconfig is not written", a.namespace, a.name, name)
		return nil
	}
	if err != nil {
		return err
	}
	return r.writeTokenKubeconfigs(name, a.user(), token)
}

// token asks for a token of the account, bound to the account's pod on the node if one is named.
func (r *rig) token(ctx context.Context, a account, node string) (string, error) {
	accounts := r.client.CoreV1().ServiceAccounts(a.namespace)
	if _, err := accounts.Get(ctx, a.name, metav1.GetOptions{}); err != nil {
		return "", fmt.Errorf("cannot make a token: %w", err)
	}
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}
	if node != "" {
		pod, err := r.ensurePod(ctx, a, node)
		if err != nil {
			return "", err
		}
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
		}
	}
	answer, err := accounts.CreateToken(ctx, a.name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("cannot make a token of %s/%s: %w", a.namespace, a.name, err)
	}
	return answer.Status.Token, nil
}

// ensurePod returns the account's pod on the node, made anew when it is missing, leaving, or of an earlier
// Node of that name.
func (r *rig) ensurePod(ctx context.Context, a account, node string) (*corev1.Pod, error) {
	target, err := r.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot bind a token to node %s: %w", node, err)
	}
	pods := r.client.CoreV1().Pods(a.namespace)
	name := a.name + "-" + node
	existing, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		if existing.DeletionTimestamp == nil && existing.Annotations[nodeUIDAnnotation] == string(target.UID) {
			return existing, nil
		}
		now := int64(0)
		if err := pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil &&
			!apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("cannot replace pod %s/%s: %w", a.namespace, name, err)
		}
	} else if !apierrors.IsNotFound(err) {
		return nil, err
	}
	pod, err := pods.Create(ctx, clientPod(name, a, target), metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot create pod %s/%s: %w", a.namespace, name, err)
	}
	if !r.opts.heartbeat {
		return pod, nil
	}
	pod.Status = runningStatus(pod.Spec.Containers[0])
	return pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}

const nodeUIDAnnotation = "rig/node-uid"

// clientPod stands for a program that runs on the node. Its label is none that a DaemonSet of the
// manifests would adopt it by.
func clientPod(name string, a account, node *corev1.Node) *corev1.Pod {
	automount := false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{"rig/client": a.name},
			Annotations: map[string]string{nodeUIDAnnotation: string(node.UID)},
		},
		Spec: corev1.PodSpec{
			NodeName:                     node.Name,
			HostNetwork:                  true,
			ServiceAccountName:           a.name,
			AutomountServiceAccountToken: &automount,
			Tolerations:                  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:                   []corev1.Container{{Name: a.name, Image: a.name}},
		},
	}
}

func runningStatus(container corev1.Container) corev1.PodStatus {
	now := metav1.Now()
	started := true
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: &now,
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: container.Name, Image: container.Image, Ready: true, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}},
	}
	for _, kind := range []corev1.PodConditionType{
		corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady,
	} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{
			Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now,
		})
	}
	return status
}
