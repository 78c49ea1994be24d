module github.com/containerd-wasm/containerd-wasm/test/images/web

go 1.26.6

require github.com/stealthrocket/net v0.2.1
