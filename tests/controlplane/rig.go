// SPDX-License-Identifier: Apache-2.0
//
// The rig: which servers run, in what order they start, and when it is ready.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/version"
)

const (
	pollInterval  = 25 * time.Millisecond
	serverTimeout = 90 * time.Second
)

type rig struct {
	opts    *upOptions
	ctx     context.Context
	fail    context.CancelCauseFunc
	started time.Time
	pki     *pki

	apiPort, etcdPort, controllerManagerPort, schedulerPort *port

	admin      *rest.Config
	client     kubernetes.Interface
	extensions apiextensions.Interface

	// operations keeps two clients of the control socket from restarting the API server at once.
	operations sync.Mutex
	// mutex guards what follows.
	mutex                                         sync.Mutex
	etcd, apiServer, controllerManager, scheduler *child
	nodes                                         map[string]*fakeNode
	control                                       net.Listener
	ready                                         bool
}

func newRig(parent context.Context, opts *upOptions) *rig {
	ctx, fail := context.WithCancelCause(parent)
	return &rig{opts: opts, ctx: ctx, fail: fail, started: time.Now(), nodes: map[string]*fakeNode{}}
}

func (r *rig) file(name string) string {
	return filepath.Join(r.opts.dir, name)
}

func (r *rig) say(format string, args ...any) {
	fmt.Printf("[%5.1fs] %s\n", time.Since(r.started).Seconds(), fmt.Sprintf(format, args...))
}

// step runs one part of the start and says how long it took.
func (r *rig) step(name string, part func() error) error {
	begin := time.Now()
	if err := part(); err != nil {
		// What ended the rig is the cause; that a request then failed is only its consequence.
		if cause := context.Cause(r.ctx); cause != nil {
			return cause
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	r.say("%s (%.1f s)", name, time.Since(begin).Seconds())
	return nil
}

func (r *rig) start() error {
	r.say("Kubernetes %s in %s", version.Get().GitVersion, r.opts.dir)
	if err := r.prepare(); err != nil {
		return err
	}
	if err := r.step("etcd answers", r.startEtcd); err != nil {
		return err
	}
	if err := r.step("kube-apiserver is ready", func() error { return r.startAPIServer() }); err != nil {
		return err
	}
	if err := r.startSideServers(); err != nil {
		return err
	}
	if err := r.populate(); err != nil {
		return err
	}
	if err := r.step("kube-controller-manager and kube-scheduler are ready", r.waitSideServers); err != nil {
		return err
	}
	if err := r.step("nodes are schedulable, policies in force", r.waitSettled); err != nil {
		return err
	}
	if err := r.listen(); err != nil {
		return err
	}
	go r.heartbeats()
	return r.announce()
}

// prepare makes all that the servers need before the first of them starts.
func (r *rig) prepare() error {
	for _, p := range []**port{&r.apiPort, &r.etcdPort, &r.controllerManagerPort, &r.schedulerPort} {
		number := 0
		if p == &r.apiPort {
			number = r.opts.port
		}
		reserved, err := reservePort(number)
		if err != nil {
			return err
		}
		*p = reserved
	}
	var err error
	if r.pki, err = newPKI(r.file("pki")); err != nil {
		return fmt.Errorf("cannot make keys and certificates: %w", err)
	}
	if err := r.pki.write(map[string][]byte{"audit-policy.yaml": []byte(auditPolicy)}); err != nil {
		return err
	}
	for path, identity := range map[string][]string{
		r.file("admin.kubeconfig"):                  {"admin", "system:masters"},
		r.pki.path("controller-manager.kubeconfig"): {"system:kube-controller-manager"},
		r.pki.path("scheduler.kubeconfig"):          {"system:kube-scheduler"},
	} {
		if err := r.writeCertificateKubeconfig(path, loopback, identity[0], identity[1:]...); err != nil {
			return err
		}
	}
	return r.connect()
}

// connect makes the supervisor's own clients. It is somebody else than the admin that tests use, so that
// the audit log tells their writes apart.
func (r *rig) connect() error {
	pair, err := r.pki.cluster.client("rig", "system:masters")
	if err != nil {
		return err
	}
	r.admin = &rest.Config{
		Host: "https://" + r.apiPort.address(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData: r.pki.cluster.pem, CertData: pair.cert, KeyData: pair.key,
		},
		QPS:     -1,
		Timeout: 10 * time.Second,
	}
	if r.client, err = kubernetes.NewForConfig(r.admin); err != nil {
		return err
	}
	r.extensions, err = apiextensions.NewForConfig(r.admin)
	return err
}

func (r *rig) childDied(c *child) {
	r.fail(c.deathNote())
}

func (r *rig) startEtcd() error {
	c, err := startChild("etcd", r.opts.dir, r.etcdFlags(), r.childDied)
	if err != nil {
		return err
	}
	r.mutex.Lock()
	r.etcd = c
	r.mutex.Unlock()
	return r.poll(serverTimeout, func(context.Context) error {
		conn, err := net.DialTimeout("tcp", r.etcdPort.address(), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// startAPIServer returns when /readyz is ok, which includes its post-start hooks (roles, namespaces). Of a
// flag that is given twice the last one counts.
func (r *rig) startAPIServer(flags ...string) error {
	c, err := startChild("kube-apiserver", r.opts.dir, append(r.apiServerFlags(), flags...), r.childDied)
	if err != nil {
		return err
	}
	r.mutex.Lock()
	r.apiServer = c
	r.mutex.Unlock()
	return r.poll(serverTimeout, func(ctx context.Context) error {
		return r.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (r *rig) startSideServers() error {
	manager, err := startChild("kube-controller-manager", r.opts.dir, r.controllerManagerFlags(), r.childDied)
	if err != nil {
		return err
	}
	scheduler, err := startChild("kube-scheduler", r.opts.dir, r.schedulerFlags(), r.childDied)
	if err != nil {
		manager.stop(0)
		return err
	}
	r.mutex.Lock()
	r.controllerManager, r.scheduler = manager, scheduler
	r.mutex.Unlock()
	return nil
}

func (r *rig) waitSideServers() error {
	for name, address := range map[string]string{
		"kube-controller-manager": "https://" + r.controllerManagerPort.address() + "/healthz",
		"kube-scheduler":          "https://" + r.schedulerPort.address() + "/readyz",
	} {
		if err := r.poll(serverTimeout, r.healthCheck(address)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// populate fills the cluster with what a running one has: the project's manifests, nodes, credentials.
func (r *rig) populate() error {
	for _, path := range r.opts.manifests {
		name := fmt.Sprintf("%s is applied", path)
		if err := r.step(name, func() error { return r.applyManifests(path) }); err != nil {
			return err
		}
	}
	return r.step("nodes and credentials are there", func() error {
		for _, node := range r.opts.nodes {
			if err := r.addNode(r.ctx, node); err != nil {
				return err
			}
		}
		return r.writeControllerCredential(r.ctx)
	})
}

func (r *rig) waitSettled() error {
	if err := r.waitPolicies(); err != nil {
		return err
	}
	// Pods of the default namespace are refused without it, and the controller manager makes it.
	err := r.poll(settleTimeout, func(ctx context.Context) error {
		_, err := r.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return r.waitNodes()
}

// poll asks again until there is no error, the time is up, or the rig is ended.
func (r *rig) poll(limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		last := check(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(r.ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("not within %v: %w", limit, last)
		case <-ticker.C:
		}
	}
}

// announce tells people and programs that the rig can be used.
func (r *rig) announce() error {
	seconds := time.Since(r.started).Seconds()
	content, err := json.Marshal(map[string]any{
		"port": r.apiPort.number, "version": version.Get().GitVersion, "seconds": seconds, "pid": os.Getpid(),
	})
	if err != nil {
		return err
	}
	if err := writeAtomically(r.file("ready"), append(content, '\n'), 0o644); err != nil {
		return err
	}
	r.mutex.Lock()
	r.ready = true
	r.mutex.Unlock()
	fmt.Printf("ready in %.1f s   KUBECONFIG=%s\n", seconds, r.file("admin.kubeconfig"))
	return nil
}

// shutdown leaves no process behind. Clients of the API server go first, so that they see no errors.
func (r *rig) shutdown() {
	r.fail(errors.New("the rig is shut down"))
	_ = os.Remove(r.file("ready"))
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.control != nil {
		_ = r.control.Close()
	}
	var clients sync.WaitGroup
	for _, c := range []*child{r.scheduler, r.controllerManager} {
		clients.Go(func() { c.stop(time.Second) })
	}
	clients.Wait()
	r.apiServer.stop(2 * time.Second)
	r.etcd.stop(2 * time.Second)
	for _, p := range []*port{r.apiPort, r.etcdPort, r.controllerManagerPort, r.schedulerPort} {
		p.release()
	}
}
