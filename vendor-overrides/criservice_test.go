// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	upstream "github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/cri"
	"github.com/containerd-wasm/containerd-wasm/plugins"
)

// server is as upstream's plugin: an internal type that embeds its services.
type server struct {
	criapi.RuntimeServiceServer
	criapi.ImageServiceServer
}

// serverWithTCP is the other one that upstream's may be.
type serverWithTCP struct {
	*server
}

func services() *server {
	return &server{criapi.UnimplementedRuntimeServiceServer{}, criapi.UnimplementedImageServiceServer{}}
}

func TestRuntimeServiceIsReplaced(t *testing.T) {
	one, two := services(), services()
	for desc, tc := range map[string]struct {
		service any
		runtime *criapi.RuntimeServiceServer
	}{"pointer": {one, &one.RuntimeServiceServer}, "embedded": {serverWithTCP{two}, &two.RuntimeServiceServer}} {
		if err := replaceRuntimeService(tc.service, cri.New(cri.Config{})); err != nil {
			t.Errorf("%s: %v", desc, err)
		}
		if _, ok := (*tc.runtime).(*cri.RuntimeService); !ok {
			t.Errorf("%s: calls go to %T", desc, *tc.runtime)
		}
	}
}

func TestChangedCRIServiceIsNamed(t *testing.T) {
	type renamed struct{ RuntimeServer criapi.RuntimeServiceServer }
	for desc, service := range map[string]any{
		"nothing": nil, "no struct": 7, "another name": &renamed{}, "another type": &struct{ RuntimeServiceServer context.Context }{},
		"nil": &server{}, "nil pointer": (*server)(nil), "nil within": serverWithTCP{},
		"no images": &server{RuntimeServiceServer: criapi.UnimplementedRuntimeServiceServer{}}, "not to be set": *services(),
	} {
		err := replaceRuntimeService(service, cri.New(cri.Config{}))
		if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), fmt.Sprintf("upstream has changed: its CRI service, a %T", service)) {
			t.Errorf("%s: got %v", desc, err)
		}
	}
}

// initCRI runs the decorated plugin, with a sandbox controller or an error in its place.
func initCRI(t *testing.T, service any, serviceErr error, controller any, controllerErr error) (any, error) {
	t.Helper()
	set := plugin.NewPluginSet()
	c := plugin.Registration{
		Type:   upstream.SandboxControllerPlugin,
		ID:     plugins.Wasm,
		InitFn: func(*plugin.InitContext) (any, error) { return controller, controllerErr },
	}
	if err := set.Add(c.Init(plugin.NewContext(t.Context(), set, nil))); err != nil {
		t.Fatal(err)
	}
	r := plugin.Registration{InitFn: func(*plugin.InitContext) (any, error) { return service, serviceErr }}
	if err := decorateCRIService(&r); err != nil {
		t.Fatal(err)
	}
	return r.InitFn(plugin.NewContext(t.Context(), set, nil))
}

// Without what is ours, upstream's service is what it was.
func TestDecorateCRIService(t *testing.T) {
	broken := errors.New("broken")
	for desc, tc := range map[string]struct {
		service       any
		serviceErr    error
		controller    any
		controllerErr error
		replaced      bool
		want          string
	}{
		"both":                   {services(), nil, cri.New(cri.Config{}), nil, true, ""},
		"no sandboxes":           {services(), nil, cri.NewWithout(broken, cri.Config{}), nil, true, ""},
		"no controller":          {services(), nil, nil, broken, false, ""},
		"another controller":     {services(), nil, 7, nil, false, ""},
		"no service":             {nil, broken, cri.New(cri.Config{}), nil, false, "broken"},
		"upstream has changed":   {7, nil, cri.New(cri.Config{}), nil, false, "upstream has changed: its CRI service, a int, has no fields"},
		"changed and not needed": {7, nil, nil, broken, false, ""},
	} {
		v, err := initCRI(t, tc.service, tc.serviceErr, tc.controller, tc.controllerErr)
		if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", desc, err, tc.want)
		}
		if s, ok := v.(*server); ok {
			if _, replaced := s.RuntimeServiceServer.(*cri.RuntimeService); replaced != tc.replaced {
				t.Errorf("%s: calls go to %T", desc, s.RuntimeServiceServer)
			}
		} else if tc.replaced {
			t.Errorf("%s: got %T", desc, v)
		}
	}
}
