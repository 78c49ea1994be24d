// SPDX-License-Identifier: Apache-2.0

// Command podtime measures what a kubelet waits for: the time from
// RunPodSandbox to the container started, over the CRI socket, one pod after
// the other. It takes turns between the handlers, a few pods each, so that what
// else the machine does falls on all of them. The images are of programs that
// end at once.
//
//	podtime -socket unix:///run/containerd/containerd.sock -n 20 wasm=IMAGE runc=IMAGE
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// turn is how many pods of one handler are run in a row.
	turn = 10
	// settle is the time between turns, so that one handler's pods do not wait
	// for the daemon to collect what another's left.
	settle = 300 * time.Millisecond
)

// stages are what is timed; the last is their sum.
var stages = []string{"run sandbox", "create", "start", "total"}

func main() {
	socket := flag.String("socket", "unix:///run/containerd/containerd.sock", "CRI socket")
	n := flag.Int("n", 20, "pods for each handler")
	flag.Parse()
	if err := run(*socket, *n, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "podtime:", err)
		os.Exit(1)
	}
}

func run(socket string, n int, handlers []string) error {
	conn, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := cri.NewRuntimeServiceClient(conn)
	times := make([][][]time.Duration, len(handlers)) // by handler and stage
	for begin := 0; begin < n; begin += turn {
		for h, arg := range handlers {
			time.Sleep(settle)
			handler, image, ok := strings.Cut(arg, "=")
			if !ok {
				return fmt.Errorf("%q is not HANDLER=IMAGE", arg)
			}
			for i := begin; i < min(begin+turn, n); i++ {
				took, err := pod(context.Background(), client, fmt.Sprintf("podtime-%s-%d", handler, i), handler, image)
				if err != nil {
					return fmt.Errorf("a pod of handler %q: %w", handler, err)
				}
				times[h] = append(times[h], took)
			}
		}
	}
	report(handlers, times)
	return nil
}

// pod runs one pod on the host's network, and removes it.
func pod(ctx context.Context, client cri.RuntimeServiceClient, name, handler, image string) (took []time.Duration, err error) {
	host := &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "default"},
		Linux:    &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: host}},
	}
	begin := time.Now()
	lap := begin
	stage := func() {
		now := time.Now()
		took = append(took, now.Sub(lap))
		lap = now
	}
	sandbox, err := client.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
	if err != nil {
		return nil, err
	}
	defer func() {
		if _, rmErr := client.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: sandbox.PodSandboxId}); err == nil {
			err = rmErr
		}
	}()
	stage()
	container, err := client.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: sandbox.PodSandboxId,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "main"},
			Image:    &cri.ImageSpec{Image: image},
			Linux:    &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: host}},
		},
		SandboxConfig: config,
	})
	if err != nil {
		return nil, err
	}
	stage()
	if _, err := client.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container.ContainerId}); err != nil {
		return nil, err
	}
	stage()
	return append(took, lap.Sub(begin)), waitForExit(ctx, client, container.ContainerId)
}

// waitForExit keeps the removal of a container apart from its end.
func waitForExit(ctx context.Context, client cri.RuntimeServiceClient, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		r, err := client.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
		if err != nil {
			return err
		}
		if r.GetStatus().GetState() == cri.ContainerState_CONTAINER_EXITED {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func report(handlers []string, times [][][]time.Duration) {
	fmt.Printf("%-14s", "median of "+fmt.Sprint(len(times[0])))
	for _, s := range stages {
		fmt.Printf("%14s", s)
	}
	fmt.Println()
	totals := make([]time.Duration, len(handlers))
	for h, arg := range handlers {
		handler, _, _ := strings.Cut(arg, "=")
		fmt.Printf("%-14s", handler)
		for s := range stages {
			m := median(times[h], s)
			fmt.Printf("%11.2f ms", float64(m.Microseconds())/1000)
			totals[h] = m
		}
		fmt.Println()
	}
	for h := 1; h < len(handlers); h++ {
		first, _, _ := strings.Cut(handlers[0], "=")
		other, _, _ := strings.Cut(handlers[h], "=")
		fmt.Printf("%s takes %.1f times as long as %s\n", other, float64(totals[h])/float64(totals[0]), first)
	}
}

func median(pods [][]time.Duration, stage int) time.Duration {
	all := make([]time.Duration, len(pods))
	for i, p := range pods {
		all[i] = p[stage]
	}
	slices.Sort(all)
	return all[len(all)/2]
}
