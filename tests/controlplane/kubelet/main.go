// SPDX-License-Identifier: Apache-2.0
//
// kubelet as its own main() starts it, of the same release as the control plane. A program of its own: it
// runs inside of the tests' nodes, which have no use for the rest.

package main

import (
	"context"
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	os.Exit(cli.Run(app.NewKubeletCommand(context.Background())))
}
