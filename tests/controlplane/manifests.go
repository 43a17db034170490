// SPDX-License-Identifier: Apache-2.0
//
// The project's own manifests, applied as a user applies them: with kubectl, server-side.

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	extensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const settleTimeout = 30 * time.Second

// repositoryManifests finds crds/ and deploy/ of the repository around the current folder.
func repositoryManifests() ([]string, error) {
	start, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		paths := []string{filepath.Join(dir, "crds"), filepath.Join(dir, "deploy")}
		if isFolder(paths[0]) && isFolder(paths[1]) {
			return paths, nil
		}
		if dir == filepath.Dir(dir) {
			return nil, fmt.Errorf("no folder from %s upwards has crds and deploy; name manifests with --manifests", start)
		}
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func hasKustomization(dir string) bool {
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

func (r *rig) applyManifests(path string) error {
	how := "-f"
	if hasKustomization(path) {
		how = "-k"
	}
	cmd := selfCommand("kubectl", r.opts.dir, []string{
		"--kubeconfig=" + r.file("admin.kubeconfig"), "apply", "--server-side", how, path,
	})
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := spawn(cmd); err != nil {
		return fmt.Errorf("cannot start kubectl: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("kubectl apply %s %s failed (%w):\n%s", how, path, err, output.String())
		}
	case <-r.ctx.Done():
		_ = cmd.Process.Kill()
		<-done
		return context.Cause(r.ctx)
	}
	return r.waitDefinitions()
}

// waitDefinitions returns when the API serves every CustomResourceDefinition there is.
func (r *rig) waitDefinitions() error {
	return r.poll(settleTimeout, func(ctx context.Context) error {
		list, err := r.extensions.ApiextensionsV1().CustomResourceDefinitions().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if !isEstablished(&list.Items[i]) {
				return fmt.Errorf("CustomResourceDefinition %s is not Established: %v",
					list.Items[i].Name, list.Items[i].Status.Conditions)
			}
		}
		return nil
	})
}

func isEstablished(definition *extensionsv1.CustomResourceDefinition) bool {
	for _, condition := range definition.Status.Conditions {
		if condition.Type == extensionsv1.Established {
			return condition.Status == extensionsv1.ConditionTrue
		}
	}
	return false
}

// waitPolicies returns when the ValidatingAdmissionPolicies applied so far are in force. The API server
// takes changes over in batches, about once a second, and says nowhere when. A policy made after them
// that refuses one ConfigMap tells: caches see objects in the order in which they were made.
func (r *rig) waitPolicies() error {
	const name = "rig-policies-in-force"
	policies := r.client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := r.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	list, err := policies.List(r.ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		return err
	}
	if _, err := policies.Create(r.ctx, probePolicy(name), metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err = bindings.Create(r.ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	err = r.poll(settleTimeout, func(ctx context.Context) error {
		_, err := r.client.CoreV1().ConfigMaps("default").Create(ctx,
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}},
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case err == nil:
			return errors.New("the API server enforces no ValidatingAdmissionPolicy yet")
		case strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+name+"'"):
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(bindings.Delete(r.ctx, name, metav1.DeleteOptions{}),
		policies.Delete(r.ctx, name, metav1.DeleteOptions{}))
}

func probePolicy(name string) *admissionv1.ValidatingAdmissionPolicy {
	failurePolicy := admissionv1.Fail
	return &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &failurePolicy,
			MatchConstraints: &admissionv1.MatchResources{
				ResourceRules: []admissionv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionv1.RuleWithOperations{
						Operations: []admissionv1.OperationType{admissionv1.Create},
						Rule: admissionv1.Rule{
							APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
						},
					},
				}},
			},
			MatchConditions: []admissionv1.MatchCondition{{
				Name: "probe", Expression: "object.metadata.name == '" + name + "'",
			}},
			Validations: []admissionv1.Validation{{Expression: "false"}},
		},
	}
}

// healthCheck asks one of the servers beside the API server; their certificate is the API server's.
func (r *rig) healthCheck(address string) func(context.Context) error {
	transport, err := rest.TransportFor(r.admin)
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		answer, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", address, answer.Status)
		}
		return nil
	}
}
