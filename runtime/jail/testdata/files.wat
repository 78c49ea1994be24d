;; Opens sockets until it fails; exits with the error number if that is not EMFILE
;; (33), and otherwise with the number of sockets.
(module
  (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32) (local $err i32)
    (loop $l
      (local.set $err (call $open (i32.const 1) (i32.const 2) (i32.const 0)))
      (if (i32.eqz (local.get $err))
        (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $l))))
    (if (i32.ne (local.get $err) (i32.const 33)) (then (call $exit (i32.add (i32.const 1000) (local.get $err)))))
    (call $exit (local.get $n))))
