;; SPDX-License-Identifier: Apache-2.0
;; Calls itself a hundred thousand levels deep, and stays there until it is killed.
;;
;; kill: SIGKILL -> 137
(module
  (memory (export "memory") 1)
  (func $f (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (loop $forever (br $forever))))
    (i32.xor (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1)))))
  (func (export "_start") (drop (call $f (i32.const 100000)))))
