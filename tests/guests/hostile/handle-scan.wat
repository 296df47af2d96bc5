;; Drops every number as a handle, to find one that is another's.

(import "hostler:host/endpoint@0.1.1" "[resource-drop]endpoint" (func $drop-endpoint (param i32)))
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (local $handle i32)
  (loop $next
    (call $drop-endpoint (local.get $handle))
    (local.set $handle (i32.add (local.get $handle) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $handle) (i32.const 1048576))))
  (i32.const 16))
