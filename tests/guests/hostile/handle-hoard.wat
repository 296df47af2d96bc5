;; Opens the same device for ever and never gives one back.

(import "hostler:host/domain@0.1.1" "[method]domain.endpoint" (func $endpoint (param i32 i32 i32 i32)))
(import "hostler:host/endpoint@0.1.1" "[resource-drop]endpoint" (func $drop-endpoint (param i32)))
(data (i32.const 256) "serial0")
(func $open (param $domain i32) (result i32)
  (call $endpoint (local.get $domain) (i32.const 256) (i32.const 7) (i32.const 512))
  (if (i32.load8_u (i32.const 512)) (then unreachable))
  (i32.load (i32.const 516)))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (loop $forever (drop (call $open (local.get $domain))) (br $forever))
  (call $drop-endpoint (i32.const 1))
  (i32.const 16))
