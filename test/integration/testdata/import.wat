;; SPDX-License-Identifier: Apache-2.0
;; Needs a function that no host has.
(module
  (import "env" "missing" (func))
  (func (export "_start")))
