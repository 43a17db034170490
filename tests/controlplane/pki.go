// SPDX-License-Identifier: Apache-2.0
//
// Certificates and keys of one rig, made anew for each: a CA for the API server and its clients, another
// for etcd, so that a client of the one is a stranger to the other.

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const certificateLife = 30 * 24 * time.Hour

// guestHost is the host's loopback as a QEMU guest with user-mode networking sees it.
const guestHost = "10.0.2.2"

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

type keyPair struct {
	cert []byte
	key  []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateTemplate(pkix.Name{CommonName: name})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key, pem: encodePEM("CERTIFICATE", der)}, nil
}

func certificateTemplate(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		// Guests' clocks may be behind the host's.
		NotBefore: now.Add(-24 * time.Hour),
		NotAfter:  now.Add(certificateLife),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

// client signs a client certificate: user name and groups as Kubernetes reads them.
func (ca *authority) client(user string, groups ...string) (*keyPair, error) {
	template := certificateTemplate(pkix.Name{CommonName: user, Organization: groups})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.sign(template)
}

func (ca *authority) server(name string, dns []string, ips []net.IP) (*keyPair, error) {
	template := certificateTemplate(pkix.Name{CommonName: name})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = dns
	template.IPAddresses = ips
	return ca.sign(template)
}

func (ca *authority) sign(template *x509.Certificate) (*keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, err
	}
	private, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &keyPair{cert: encodePEM("CERTIFICATE", der), key: private}, nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return encodePEM("PRIVATE KEY", der), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// pki is what the servers of a rig read from files and what new clients are signed with.
type pki struct {
	dir     string
	cluster *authority
}

func (p *pki) path(file string) string {
	return filepath.Join(p.dir, file)
}

func newPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	cluster, err := newAuthority("rig-ca")
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir, cluster: cluster}
	if err := p.writeCluster(); err != nil {
		return nil, err
	}
	if err := p.writeEtcd(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *pki) writeCluster() error {
	serving, err := p.cluster.server("kube-apiserver",
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		[]net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(guestHost), firstServiceIP})
	if err != nil {
		return err
	}
	kubelet, err := p.cluster.client("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	caKey, err := encodeKey(p.cluster.key)
	if err != nil {
		return err
	}
	tokens, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tokensKey, err := encodeKey(tokens)
	if err != nil {
		return err
	}
	tokensPublic, err := x509.MarshalPKIXPublicKey(tokens.Public())
	if err != nil {
		return err
	}
	return p.write(map[string][]byte{
		"ca.crt":              p.cluster.pem,
		"ca.key":              caKey,
		"apiserver.crt":       serving.cert,
		"apiserver.key":       serving.key,
		"kubelet-client.crt":  kubelet.cert,
		"kubelet-client.key":  kubelet.key,
		"service-account.key": tokensKey,
		"service-account.pub": encodePEM("PUBLIC KEY", tokensPublic),
	})
}

func (p *pki) writeEtcd() error {
	ca, err := newAuthority("rig-etcd-ca")
	if err != nil {
		return err
	}
	serving, err := ca.server("etcd", []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	client, err := ca.client("kube-apiserver")
	if err != nil {
		return err
	}
	return p.write(map[string][]byte{
		"etcd-ca.crt":     ca.pem,
		"etcd.crt":        serving.cert,
		"etcd.key":        serving.key,
		"etcd-client.crt": client.cert,
		"etcd-client.key": client.key,
	})
}

func (p *pki) write(files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(p.path(name), content, 0o600); err != nil {
			return fmt.Errorf("cannot write a key or certificate: %w", err)
		}
	}
	return nil
}
