;; Does nothing wrong: the control, and what the others are made from.

(func $start (param $domain i32) (param $options i32) (param $length i32) (result i32)
  (i32.const 16))
