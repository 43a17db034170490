// SPDX-License-Identifier: Apache-2.0
//
// The servers' flags: as a production cluster runs them, but for what only costs a test time.

package main

import (
	"net"
	"strconv"
)

const (
	serviceRange = "10.96.0.0/16"
	tokenIssuer  = "https://kubernetes.default.svc.cluster.local"
)

// firstServiceIP is the address of the Service default/kubernetes.
var firstServiceIP = net.IPv4(10, 96, 0, 1)

// auditPolicy records each finished write, by whom and with what answer, without its body.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

func (r *rig) etcdFlags() []string {
	return []string{
		"--data-dir=" + r.file("etcd"),
		"--listen=" + r.etcdPort.address(),
		"--trusted-ca-file=" + r.pki.path("etcd-ca.crt"),
		"--cert-file=" + r.pki.path("etcd.crt"),
		"--key-file=" + r.pki.path("etcd.key"),
	}
}

func (r *rig) apiServerFlags() []string {
	return []string{
		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		"--secure-port=" + strconv.Itoa(r.apiPort.number),
		"--permit-port-sharing=true",
		"--etcd-servers=https://" + r.etcdPort.address(),
		"--etcd-cafile=" + r.pki.path("etcd-ca.crt"),
		"--etcd-certfile=" + r.pki.path("etcd-client.crt"),
		"--etcd-keyfile=" + r.pki.path("etcd-client.key"),
		"--tls-cert-file=" + r.pki.path("apiserver.crt"),
		"--tls-private-key-file=" + r.pki.path("apiserver.key"),
		"--client-ca-file=" + r.pki.path("ca.crt"),
		"--kubelet-client-certificate=" + r.pki.path("kubelet-client.crt"),
		"--kubelet-client-key=" + r.pki.path("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		// A kubelet or webhook is reached as a Service's endpoint; the API server itself never is.
		"--endpoint-reconciler-type=none",
		// There is no kube-proxy: a Service without endpoints is an error at once, not a connection to nowhere.
		"--enable-aggregator-routing=true",
		"--service-cluster-ip-range=" + serviceRange,
		"--service-account-issuer=" + tokenIssuer,
		"--service-account-key-file=" + r.pki.path("service-account.pub"),
		"--service-account-signing-key-file=" + r.pki.path("service-account.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction,ServiceAccount",
		"--allow-privileged=true",
		"--audit-policy-file=" + r.pki.path("audit-policy.yaml"),
		"--audit-log-path=" + r.file("audit.log"),
		"--audit-log-format=json",
		// In the file before the client has its answer, so that a test may read it right away.
		"--audit-log-mode=blocking",
		"--audit-log-maxsize=4096",
		// A stop ends open watches; without it they hold the server up for a minute.
		"--shutdown-watch-termination-grace-period=1s",
		"--profiling=false",
	}
}

func (r *rig) controllerManagerFlags() []string {
	return append(r.sideServerFlags("controller-manager", r.controllerManagerPort),
		"--root-ca-file="+r.pki.path("ca.crt"),
		"--service-account-private-key-file="+r.pki.path("service-account.key"),
		"--use-service-account-credentials=true",
		"--cluster-signing-cert-file="+r.pki.path("ca.crt"),
		"--cluster-signing-key-file="+r.pki.path("ca.key"),
		"--service-cluster-ip-range="+serviceRange,
		// Its start makes some fifty service accounts, which takes 5 s at the default rate.
		"--kube-api-qps=1000",
		"--kube-api-burst=1000",
	)
}

func (r *rig) schedulerFlags() []string {
	return r.sideServerFlags("scheduler", r.schedulerPort)
}

// sideServerFlags are common to the servers that are the API server's clients. One replica needs no
// election.
func (r *rig) sideServerFlags(name string, p *port) []string {
	return []string{
		"--kubeconfig=" + r.pki.path(name+".kubeconfig"),
		"--leader-elect=false",
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(p.number),
		"--permit-port-sharing=true",
		"--tls-cert-file=" + r.pki.path("apiserver.crt"),
		"--tls-private-key-file=" + r.pki.path("apiserver.key"),
		"--profiling=false",
	}
}
