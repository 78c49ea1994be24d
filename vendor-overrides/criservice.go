// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"fmt"
	"reflect"

	upstream "github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/containerd-wasm/containerd-wasm/cri"
	"github.com/containerd-wasm/containerd-wasm/plugins"
)

// decorateCRIService sets our RuntimeService before upstream's. Without a controller
// of ours there is nothing that would differ.
func decorateCRIService(r *plugin.Registration) error {
	initUpstream := r.InitFn
	r.InitFn = func(ic *plugin.InitContext) (any, error) {
		v, err := initUpstream(ic)
		if err != nil {
			return nil, err
		}
		c, err := ic.GetByID(upstream.SandboxControllerPlugin, plugins.Wasm)
		pods, ok := c.(*cri.Controller)
		if err != nil || !ok {
			return v, nil
		}
		if err := replaceRuntimeService(v, pods); err != nil {
			return nil, err
		}
		return v, nil
	}
	return nil
}

// replaceRuntimeService replaces the service to which upstream's plugin passes calls on.
// Its type is internal; it has both services in exported fields, or in those of what it
// embeds.
//
// Errors: NotFound naming what has changed.
func replaceRuntimeService(service any, pods *cri.Controller) error {
	runtime, ok := serviceField[criapi.RuntimeServiceServer](service, "RuntimeServiceServer")
	images, okImages := serviceField[criapi.ImageServiceServer](service, "ImageServiceServer")
	if !ok || !okImages || !runtime.CanSet() {
		return fmt.Errorf("upstream has changed: its CRI service, a %T, has no fields RuntimeServiceServer and ImageServiceServer that can be set: %w", service, errdefs.ErrNotFound)
	}
	ours := cri.NewRuntimeService(runtime.Interface().(criapi.RuntimeServiceServer), images.Interface().(criapi.ImageServiceServer), pods)
	runtime.Set(reflect.ValueOf(ours))
	return nil
}

// serviceField finds a field of an interface type, which is not nil, of a struct or a
// pointer to one.
func serviceField[T any](service any, name string) (field reflect.Value, ok bool) {
	v := reflect.Indirect(reflect.ValueOf(service))
	if v.Kind() != reflect.Struct {
		return field, false
	}
	f, found := v.Type().FieldByName(name)
	if !found || f.Type != reflect.TypeFor[T]() {
		return field, false
	}
	field, err := v.FieldByIndexErr(f.Index) // an embedded pointer may be nil
	return field, err == nil && !field.IsNil()
}
