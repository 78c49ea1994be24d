;; Opens and reads its root until that fails. With an argument it closes each again, and
;; stops after 5000. Exits with the error number if that is not ENOMEM (48), and otherwise
;; with how many it has opened.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $read (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) ".")
  (func $one (result i32) (local $err i32)
    (local.set $err (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 2)
      (i64.const 0x4000) (i64.const 0) (i32.const 0) (i32.const 8)))
    (if (local.get $err) (then (return (local.get $err))))
    (local.set $err (call $read (i32.load (i32.const 8)) (i32.const 64) (i32.const 64) (i64.const 0) (i32.const 12)))
    (if (i32.and (i32.eqz (local.get $err)) (i32.gt_u (i32.load (i32.const 0)) (i32.const 1)))
      (then (local.set $err (call $close (i32.load (i32.const 8))))))
    (local.get $err))
  (func (export "_start") (local $n i32) (local $err i32)
    (drop (call $args (i32.const 0) (i32.const 4)))
    (loop $l
      (local.set $err (call $one))
      (if (i32.eqz (local.get $err)) (then
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.or (i32.eq (i32.load (i32.const 0)) (i32.const 1))
                          (i32.lt_u (local.get $n) (i32.const 5000)))))))
    (if (i32.and (i32.ne (local.get $err) (i32.const 0)) (i32.ne (local.get $err) (i32.const 48)))
      (then (call $exit (i32.add (i32.const 100000) (local.get $err)))))
    (call $exit (local.get $n))))
