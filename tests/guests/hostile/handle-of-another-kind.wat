;; Uses its domain as if it were a character device.

(import "hostler:host/endpoint@0.1.1" "[method]endpoint.facts" (func $endpoint-facts (param i32 i32)))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $endpoint-facts (local.get $domain) (i32.const 512))
  (i32.const 16))
