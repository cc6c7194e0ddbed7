;; Has the right names with the wrong types: an error of two kinds instead of three.
(component
  ;; Memory apart from the program, so that imports can be lowered before the program is there.
  (core module $libc
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    ;; Hands out memory and never takes it back.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.and
        (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7))
        (i32.const -8)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))

  (core module $main
    (import "libc" "memory" (memory 2))
    (data (i32.const 1024) "wrong-types")
    (data (i32.const 1040) "1.0.0")
    (data (i32.const 1056) "has wrong types")
    (data (i32.const 1088) "{\"type\": \"object\"}")
    (data (i32.const 1120) "done")
    ;; Stores a string: its place and its length.
    (func $text (param $at i32) (param $pointer i32) (param $length i32)
      (i32.store (local.get $at) (local.get $pointer))
      (i32.store offset=4 (local.get $at) (local.get $length)))
    (func $describe (export "describe") (result i32)
      ;; a record of name, version, description, one step type at 64, no wants
      (call $text (i32.const 0) (i32.const 1024) (i32.const 11))
      (call $text (i32.const 8) (i32.const 1040) (i32.const 5))
      (call $text (i32.const 16) (i32.const 1056) (i32.const 15))
      (call $text (i32.const 24) (i32.const 64) (i32.const 1))
      (call $text (i32.const 32) (i32.const 0) (i32.const 0))
      (call $text (i32.const 64) (i32.const 1024) (i32.const 11))
      (call $text (i32.const 72) (i32.const 1056) (i32.const 15))
      (call $text (i32.const 80) (i32.const 1088) (i32.const 18))
      (i32.const 0))
    (func $run (export "run") (param i32 i32 i32 i32) (result i32)
      ;; ok(success, "done")
      (i32.store8 (i32.const 128) (i32.const 0))
      (i32.store8 (i32.const 132) (i32.const 0))
      (call $text (i32.const 136) (i32.const 1120) (i32.const 4))
      (i32.const 128)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))))

  (type $step-type (record
    (field "name" string) (field "summary" string) (field "parameters-schema" string)))
  (type $scheduler-type (record
    (field "name" string) (field "summary" string) (field "parameters-schema" string)
    (field "force-schema" (option string))))
  (type $reporter-type (record
    (field "name" string) (field "summary" string) (field "parameters-schema" string)))
  (type $capability (variant
    (case "http-host" string) (case "secret" string) (case "environment" string)
    (case "storage") (case "mail") (case "trigger" string)
    (case "artifacts" string)))
  (type $plugin-info (record
    (field "name" string) (field "version" string) (field "description" string)
    (field "steps" (list $step-type)) (field "schedulers" (list $scheduler-type))
    (field "reporters" (list $reporter-type)) (field "wants" (list $capability))))
  (func $describe (result $plugin-info)
    (canon lift (core func $main "describe") (memory $memory) (realloc $realloc)))
  (instance $plugin
    (export "step-type" (type $step-type))
    (export "scheduler-type" (type $scheduler-type))
    (export "reporter-type" (type $reporter-type))
    (export "capability" (type $capability))
    (export "plugin-info" (type $plugin-info))
    (export "describe" (func $describe)))
  (export "toolpost:plugin/plugin@1.0.0" (instance $plugin))

  (type $results (enum
    "success" "warnings" "failure" "skipped" "exception" "retry" "cancelled"))
  (type $error (variant
    (case "retryable" string) (case "permanent" string)))
  (type $step-outcome (record (field "results" $results) (field "summary" string)))
  (func $run (param "type-name" string) (param "parameters" string)
    (result (result $step-outcome (error $error)))
    (canon lift (core func $main "run") (memory $memory) (realloc $realloc)))
  (instance $step
    (export "results" (type $results))
    (export "error" (type $error))
    (export "step-outcome" (type $step-outcome))
    (export "run" (func $run)))
  (export "toolpost:plugin/step@1.0.0" (instance $step))
)
