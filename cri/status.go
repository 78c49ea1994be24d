// SPDX-License-Identifier: Apache-2.0

package cri

import (
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/sandbox"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (p *pod) status(config Config, verbose bool) (sandbox.ControllerStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := sandbox.ControllerStatus{
		SandboxID: p.id,
		State:     criapi.PodSandboxState_SANDBOX_NOTREADY.String(),
		CreatedAt: p.createdAt,
		ExitedAt:  p.exitedAt,
	}
	if p.ready() {
		s.State = criapi.PodSandboxState_SANDBOX_READY.String()
		s.Pid = p.pid()
	}
	if !verbose {
		return s, nil
	}
	info, err := json.Marshal(podInfo{
		Pid:         s.Pid,
		RuntimeType: config.RuntimeType,
		Config:      p.config,
	})
	if err != nil {
		return s, fmt.Errorf("describing sandbox %q: %w", p.id, err)
	}
	s.Info = map[string]string{"info": string(info)}
	return s, nil
}

func (p *pod) ready() bool {
	if p.thread == nil {
		return false
	}
	select {
	case <-p.thread.Done():
		return false
	default:
		return true
	}
}

// podInfo is what `crictl inspectp` shows, under the names that upstream uses
// for the same things.
type podInfo struct {
	Pid         uint32                   `json:"pid"`
	Status      string                   `json:"processStatus,omitempty"`
	RuntimeType string                   `json:"runtimeType"`
	Config      *criapi.PodSandboxConfig `json:"config"`
	CNIResult   json.RawMessage          `json:"cniResult,omitempty"`
	Metadata    json.RawMessage          `json:"sandboxMetadata,omitempty"`
}
