;; Writes a line of the log with a line break and commands for a terminal in it. Not wrong: it is escaped.

(import "hostler:host/log@0.1.1" "write" (func $log (param i32 i32 i32 i32 i32)))
(data (i32.const 256) "ok\0a2026-01-01 ERROR forged\1b]0;owned\07\1b[2J")
(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (call $log (i32.const 2) (i32.const 256) (i32.const 40) (i32.const 0) (i32.const 0))
  (i32.const 16))
