// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containerd/plugin"
	"github.com/pelletier/go-toml/v2"
)

// decode applies TOML to the default configuration of a plugin. Its type is
// often internal to upstream; TOML reaches it as it does from a configuration
// file. A key that it does not have means that upstream has changed.
//
// Errors: NotFound, naming the key.
func decode(r *plugin.Registration, text string) error {
	if r.Config == nil || reflect.TypeOf(r.Config).Kind() != reflect.Pointer {
		return fmt.Errorf("upstream has changed: there is no default configuration: %w", errdefs.ErrNotFound)
	}
	err := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(r.Config)
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return fmt.Errorf("upstream has changed: no key %q in the configuration: %w",
			strings.Join(missing.Errors[0].Key(), "."), errdefs.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("the default configuration: %w", err)
	}
	return nil
}
