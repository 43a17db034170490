// SPDX-License-Identifier: Apache-2.0
//
// Kubeconfigs with everything inline, so that one file is all that a client or a guest needs.

package main

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func (r *rig) writeKubeconfig(path, host, user string, auth *clientcmdapi.AuthInfo) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["rig"] = &clientcmdapi.Cluster{
		Server:                   fmt.Sprintf("https://%s:%d", host, r.apiPort.number),
		CertificateAuthorityData: r.pki.cluster.pem,
	}
	config.AuthInfos[user] = auth
	config.Contexts["rig"] = &clientcmdapi.Context{Cluster: "rig", AuthInfo: user}
	config.CurrentContext = "rig"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("cannot write a kubeconfig: %w", err)
	}
	return nil
}

// writeCertificateKubeconfig signs a client certificate for the user and writes its kubeconfig.
func (r *rig) writeCertificateKubeconfig(path, host, user string, groups ...string) error {
	pair, err := r.pki.cluster.client(user, groups...)
	if err != nil {
		return fmt.Errorf("cannot sign a certificate for %s: %w", user, err)
	}
	return r.writeKubeconfig(path, host, user,
		&clientcmdapi.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key})
}

// writeTokenKubeconfigs writes NAME.kubeconfig for the host, NAME.guest.kubeconfig for virtual machines
// and the bare NAME.token.
func (r *rig) writeTokenKubeconfigs(name, user, token string) error {
	for suffix, host := range map[string]string{".kubeconfig": loopback, ".guest.kubeconfig": guestHost} {
		auth := &clientcmdapi.AuthInfo{Token: token}
		if err := r.writeKubeconfig(r.file(name+suffix), host, user, auth); err != nil {
			return err
		}
	}
	return writeAtomically(r.file(name+".token"), []byte(token+"\n"), 0o600)
}

// writeKubeletKubeconfigs gives a node's kubelet what it would get by TLS bootstrap.
func (r *rig) writeKubeletKubeconfigs(node string) error {
	for suffix, host := range map[string]string{".kubeconfig": loopback, ".guest.kubeconfig": guestHost} {
		err := r.writeCertificateKubeconfig(r.file("kubelet-"+node+suffix), host, "system:node:"+node, "system:nodes")
		if err != nil {
			return err
		}
	}
	return nil
}
