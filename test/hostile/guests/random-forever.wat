;; SPDX-License-Identifier: Apache-2.0
;; Asks for 128 MiB of random bytes, for ever.
;;
;; kill: SIGKILL -> 137
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 2048)
  (func (export "_start")
    (loop $forever
      (drop (call $random (i32.const 0) (i32.const 0x8000000)))
      (br $forever))))
