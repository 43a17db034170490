// SPDX-License-Identifier: Apache-2.0
//
// Node objects that live as if a kubelet ran on them: Ready, with a Lease renewed every 10 s and a status
// written every 5 min, which is what a kubelet does by default.

package main

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/version"
)

const (
	leaseInterval  = 10 * time.Second
	leaseDuration  = 40 * time.Second
	statusInterval = 5 * time.Minute
	leaseNamespace = corev1.NamespaceNodeLease
)

type fakeNode struct {
	name       string
	uid        string
	lastStatus time.Time
}

// addNode makes the Node and all its credentials.
func (r *rig) addNode(ctx context.Context, name string) error {
	if err := checkNodeName(name); err != nil {
		return err
	}
	node := newNode(name)
	if r.opts.heartbeat {
		node.Status = readyStatus(name)
	}
	created, err := r.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("cannot create Node %s: %w", name, err)
	}
	if r.opts.heartbeat {
		if err := r.renewLease(ctx, created); err != nil {
			return err
		}
	}
	if err := r.writeKubeletKubeconfigs(name); err != nil {
		return err
	}
	// A real kubelet would try to run the pod that such a credential is bound to.
	if r.opts.heartbeat {
		if err := r.writeAgentCredential(ctx, name); err != nil {
			return err
		}
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.nodes[name] = &fakeNode{name: name, uid: string(created.UID), lastStatus: time.Now()}
	return nil
}

// deleteNode removes the Node as an administrator does. Its Lease goes by ownership, its pods by the
// controller manager's pod collector, and with the pod the agent's token, as on a real cluster.
func (r *rig) deleteNode(ctx context.Context, name string) error {
	if err := r.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("cannot delete Node %s: %w", name, err)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.nodes, name)
	return nil
}

func newNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelHostname:   name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
	}}}
}

func readyStatus(name string) corev1.NodeStatus {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("4"),
		corev1.ResourceMemory:           resource.MustParse("8Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("32Gi"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
	return corev1.NodeStatus{
		Capacity:    capacity,
		Allocatable: capacity,
		Conditions:  nodeConditions(metav1.Now(), metav1.Now()),
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: "10.0.2.15"},
			{Type: corev1.NodeHostName, Address: name},
		},
		NodeInfo: corev1.NodeSystemInfo{
			OperatingSystem: "linux", Architecture: "amd64", KubeletVersion: version.Get().GitVersion,
		},
	}
}

func nodeConditions(heartbeat, transition metav1.Time) []corev1.NodeCondition {
	conditions := []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID"},
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"},
	}
	for i := range conditions {
		conditions[i].LastHeartbeatTime = heartbeat
		conditions[i].LastTransitionTime = transition
	}
	return conditions
}

// renewLease renews the Node's Lease, or makes it.
func (r *rig) renewLease(ctx context.Context, node *corev1.Node) error {
	leases := r.client.CoordinationV1().Leases(leaseNamespace)
	now := metav1.NowMicro()
	seconds := int32(leaseDuration / time.Second)
	lease, err := leases.Get(ctx, node.Name, metav1.GetOptions{})
	if err == nil {
		lease.Spec.RenewTime = &now
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	} else if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{
				Name: node.Name,
				OwnerReferences: []metav1.OwnerReference{
					{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID},
				},
			},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: &node.Name, LeaseDurationSeconds: &seconds, RenewTime: &now,
			},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("cannot renew Lease %s/%s: %w", leaseNamespace, node.Name, err)
	}
	return nil
}

// heartbeats runs until the rig ends. A beat that fails is made up for by the next one: the API server
// may be stopped on purpose.
func (r *rig) heartbeats() {
	if !r.opts.heartbeat {
		return
	}
	ticker := time.NewTicker(leaseInterval)
	defer ticker.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-ticker.C:
		}
		for _, node := range r.nodeList() {
			if err := r.beat(node); err != nil && r.apiServerRunning() && r.ctx.Err() == nil {
				r.say("no heartbeat of %s: %v", node.name, err)
			}
		}
	}
}

func (r *rig) apiServerRunning() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.apiServer.running()
}

func (r *rig) nodeList() []*fakeNode {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	list := make([]*fakeNode, 0, len(r.nodes))
	for _, node := range r.nodes {
		list = append(list, node)
	}
	return list
}

func (r *rig) beat(fake *fakeNode) error {
	ctx, cancel := context.WithTimeout(r.ctx, leaseInterval/2)
	defer cancel()
	node, err := r.client.CoreV1().Nodes().Get(ctx, fake.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// A running kubelet does not bring a deleted Node back either.
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.renewLease(ctx, node); err != nil {
		return err
	}
	if time.Since(fake.lastStatus) < statusInterval {
		return nil
	}
	transition := metav1.Now()
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			transition = condition.LastTransitionTime
		}
	}
	node.Status.Conditions = nodeConditions(metav1.Now(), transition)
	if _, err := r.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return err
	}
	fake.lastStatus = time.Now()
	return nil
}

// waitNodes returns when the controller manager has taken the taint of new Nodes away.
func (r *rig) waitNodes() error {
	if !r.opts.heartbeat {
		return nil
	}
	for _, node := range r.nodeList() {
		if err := r.waitNode(node.name); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) waitNode(name string) error {
	return r.poll(settleTimeout, func(ctx context.Context) error {
		node, err := r.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(node.Spec.Taints) > 0 {
			return fmt.Errorf("Node %s has taints: %v", name, node.Spec.Taints)
		}
		return nil
	})
}
