;; sock_getaddrinfo with a list whose addresses point outside the memory: error 21 (fault).
(module
  (import "wasi_snapshot_preview1" "sock_getaddrinfo" (func $g (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "localhost80")
  (data (i32.const 100) "\c8\00\00\00") ;; res -> 200
  ;; addrinfo at 200: flags u16, family u8, socktype u8, protocol u32, addrlen u32, ai_addr u32, canon, canonlen, next
  (data (i32.const 200) "\00\00\01\02\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00")
  (func (export "_start")
    (if (i32.ne (call $g (i32.const 0) (i32.const 9) (i32.const 9) (i32.const 2) (i32.const 300) (i32.const 100) (i32.const 1) (i32.const 400))
          (i32.const 21))
      (then (unreachable)))))
