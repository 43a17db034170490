// SPDX-License-Identifier: Apache-2.0
//
// The etcd of the rig: one member, no peers, TLS with client certificates, and no fsync, as a test's data
// need not outlive the machine.

package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

func runEtcd() int {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	dataDir := flags.String("data-dir", "", "folder for the data")
	listen := flags.String("listen", "", "address:port that clients connect to")
	caFile := flags.String("trusted-ca-file", "", "CA that clients' certificates are signed by")
	certFile := flags.String("cert-file", "", "serving certificate")
	keyFile := flags.String("key-file", "", "key of the serving certificate")
	_ = flags.Parse(os.Args[1:])
	for _, f := range []string{"data-dir", "listen", "trusted-ca-file", "cert-file", "key-file"} {
		if flags.Lookup(f).Value.String() == "" {
			fmt.Fprintf(os.Stderr, "etcd: --%s is missing\n", f)
			return 2
		}
	}

	// Before the start, which takes longer than a test may need to change its mind.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	cfg := etcdConfig(*dataDir, *listen)
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile: *certFile, KeyFile: *keyFile, TrustedCAFile: *caFile, ClientCertAuth: true,
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		fmt.Fprintf(os.Stderr, "etcd: cannot start on %s with data in %s: %v\n", *listen, *dataDir, err)
		return 1
	}
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(30 * time.Second):
		fmt.Fprintln(os.Stderr, "etcd: elected no leader in 30 s")
		return 1
	case <-stop:
		server.Close()
		return 0
	}
	select {
	case <-stop:
		server.Close()
		return 0
	case err = <-server.Err():
	case <-server.Server.StopNotify():
	}
	fmt.Fprintf(os.Stderr, "etcd: stopped by itself: %v\n", err)
	return 1
}

func etcdConfig(dataDir, listen string) *embed.Config {
	clients := url.URL{Scheme: "https", Host: listen}
	// Never listened on: a cluster of one still needs an address to be a member by.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:1"}

	cfg := embed.NewConfig()
	cfg.Name = "rig"
	cfg.Dir = dataDir
	cfg.ListenClientUrls = []url.URL{clients}
	cfg.AdvertiseClientUrls = []url.URL{clients}
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	cfg.UnsafeNoFsync = true
	// The supervisor holds the port as well, so that nobody takes it between two starts.
	cfg.SocketOpts = transport.SocketOpts{ReusePort: true, ReuseAddress: true}
	// Nobody votes but the member itself: a short election makes for a short start.
	cfg.TickMs = 20
	cfg.ElectionMs = 100
	// Set by etcd's own flags alone; 0 would report every request as slow.
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	cfg.Logger = "zap"
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{"stderr"}
	return cfg
}

// compact removes all revisions but the present one, as the API server itself does every five minutes with
// what is older than that.
func (r *rig) compact(ctx context.Context) (int64, error) {
	tls, err := transport.TLSInfo{
		CertFile: r.pki.path("etcd-client.crt"), KeyFile: r.pki.path("etcd-client.key"),
		TrustedCAFile: r.pki.path("etcd-ca.crt"),
	}.ClientConfig()
	if err != nil {
		return 0, err
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + r.etcdPort.address()}, TLS: tls, Logger: zap.NewNop(),
		DialTimeout: 5 * time.Second,
	})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	answer, err := client.Get(ctx, "any", clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	revision := answer.Header.Revision
	if _, err := client.Compact(ctx, revision, clientv3.WithCompactPhysical()); err != nil {
		return 0, fmt.Errorf("cannot compact etcd to revision %d: %w", revision, err)
	}
	return revision, nil
}
