// SPDX-License-Identifier: Apache-2.0

// Command manager is an admission webhook as operators in Go have it, by controller-runtime: a manager with a cache of
// the AppArmorProfiles, probes, metrics, a certificate that is read again when its file changes, and handlers that decode
// pods with the API's types. It does of apparmor-controller the reviews of pods and their placement, and no more: it makes
// no certificates, does not compile policy and reconciles nothing.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"clientgo/policy"
)

const declaredField = "status.profileNames"

// reviews answers for namespaces with apparmor.io/enforce.
type reviews struct {
	profiles client.Reader
	decoder  admission.Decoder
	level    string
}

func declaring(ctx context.Context, profiles client.Reader, name string) []AppArmorProfile {
	var list AppArmorProfileList
	if err := profiles.List(ctx, &list, client.MatchingFields{declaredField: name}); err != nil {
		return nil
	}
	return list.Items
}

func (r *reviews) Handle(ctx context.Context, request admission.Request) admission.Response {
	var pod corev1.Pod
	if err := r.decoder.Decode(request, &pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	var declared policy.Declared
	if r.level == "managed" {
		declared = func(name string) bool { return len(declaring(ctx, r.profiles, name)) > 0 }
	}
	if text := policy.Violations(&pod, declared); text != "" {
		return admission.Denied("namespace \"" + request.Namespace + "\" has apparmor.io/enforce=" + r.level + ": " + text)
	}
	return admission.Allowed("")
}

// placement has pods come to nodes that have their profiles.
type placement struct {
	profiles client.Reader
	decoder  admission.Decoder
}

func (p *placement) Handle(ctx context.Context, request admission.Request) admission.Response {
	var pod corev1.Pod
	if err := p.decoder.Decode(request, &pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	var terms []corev1.PreferredSchedulingTerm
	for _, name := range policy.Localhost(&pod) {
		for _, profile := range declaring(ctx, p.profiles, name) {
			terms = append(terms, corev1.PreferredSchedulingTerm{
				Weight: 100,
				Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: "apparmor.io/profile-" + profile.Name, Operator: corev1.NodeSelectorOpIn, Values: []string{"true"},
				}}},
			})
		}
	}
	if len(terms) == 0 {
		return admission.Allowed("")
	}
	if pod.Spec.Affinity == nil {
		pod.Spec.Affinity = &corev1.Affinity{}
	}
	if pod.Spec.Affinity.NodeAffinity == nil {
		pod.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	node := pod.Spec.Affinity.NodeAffinity
	node.PreferredDuringSchedulingIgnoredDuringExecution = append(node.PreferredDuringSchedulingIgnoredDuringExecution, terms...)
	changed, err := json.Marshal(&pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, changed)
}

func must[T any](value T, err error) T {
	utilruntime.Must(err)
	return value
}

func webhookServer(address, certificates string) webhook.Server {
	host, port, err := net.SplitHostPort(address)
	utilruntime.Must(err)
	return webhook.NewServer(webhook.Options{Host: host, Port: must(strconv.Atoi(port)), CertDir: certificates})
}

func main() {
	listen := flag.String("listen", "127.0.0.1:9443", "address and port of the webhooks")
	certificates := flag.String("cert-dir", "", "folder with tls.crt and tls.key")
	metrics := flag.String("metrics", "127.0.0.1:8080", "address and port of the metrics")
	probes := flag.String("probes", "127.0.0.1:8081", "address and port of the probes")
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))

	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	addToScheme(scheme)
	manager := must(ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: *metrics},
		HealthProbeBindAddress: *probes,
		WebhookServer:          webhookServer(*listen, *certificates),
	}))
	ctx := ctrl.SetupSignalHandler()
	utilruntime.Must(manager.GetFieldIndexer().IndexField(ctx, &AppArmorProfile{}, declaredField,
		func(object client.Object) []string { return object.(*AppArmorProfile).Status.ProfileNames }))
	server, decoder := manager.GetWebhookServer(), admission.NewDecoder(scheme)
	for _, level := range []string{"confined", "managed"} {
		server.Register("/pods/enforce/"+level, &webhook.Admission{
			Handler: &reviews{profiles: manager.GetClient(), decoder: decoder, level: level},
		})
	}
	server.Register("/scheduling/preferred", &webhook.Admission{
		Handler: &placement{profiles: manager.GetClient(), decoder: decoder},
	})
	utilruntime.Must(manager.AddHealthzCheck("healthz", healthz.Ping))
	utilruntime.Must(manager.AddReadyzCheck("readyz", server.StartedChecker()))
	utilruntime.Must(manager.Start(ctx))
}
