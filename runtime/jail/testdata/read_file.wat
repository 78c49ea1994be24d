;; Reads 2 GiB of stdin in one call, which is all that one can, for ever.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 33)
  (func (export "_start") (local $i i32)
    (loop $list ;; 1,024 times the same 2 MiB
      (i32.store (i32.shl (local.get $i) (i32.const 3)) (i32.const 0x10000))
      (i32.store offset=4 (i32.shl (local.get $i) (i32.const 3)) (i32.const 0x200000))
      (br_if $list (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (loop $l (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 0xfff0))) (br $l))))
