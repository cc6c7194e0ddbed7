//! What they do: core instructions, and what those need.

use crate::Export::{self, Describe, Handle, Report, Run};

/// One bad thing.
#[derive(Debug)]
pub struct Misdeed {
    /// A word for it.
    pub word: &'static str,
    /// A part of the reason that people are told, where it is a call that ends for it.
    pub reason: &'static str,
    pub(crate) exports: &'static [Export],
    /// Functions of the contract that it calls, as `interface#function`; `$function` in the text.
    pub(crate) imports: &'static [&'static str],
    /// What it asks the operator for.
    pub(crate) wants: &'static [Wish],
    /// What the schema of its parameters says, where that is the misdeed.
    pub(crate) schema: Option<fn() -> String>,
    /// Further functions, tables and data of the module.
    pub(crate) items: &'static str,
    /// What the export does.
    pub(crate) body: &'static str,
}

/// What a plugin asks for in `wants`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    HttpHost(&'static str),
    Secret(&'static str),
    Storage,
    Trigger(&'static str),
}

const EVERYWHERE: &[Export] = &[Describe, Run, Handle, Report];
const CALLS: &[Export] = &[Run, Handle, Report];

/// Does nothing bad.
const NOTHING: Misdeed = Misdeed {
    word: "nothing",
    reason: "",
    exports: EVERYWHERE,
    imports: &[],
    wants: &[],
    schema: None,
    items: "",
    body: "",
};

/// Sends requests to where its parameter `to` says, until it is told why not.
const HTTP: Misdeed = Misdeed {
    exports: &[Run],
    imports: &[
        "wasi:io/poll#[method]pollable.block",
        "wasi:http/types#[constructor]fields",
        "wasi:http/types#[method]fields.get",
        "wasi:http/types#[constructor]outgoing-request",
        "wasi:http/types#[method]outgoing-request.set-scheme",
        "wasi:http/types#[method]outgoing-request.set-authority",
        "wasi:http/types#[method]outgoing-request.set-path-with-query",
        "wasi:http/types#[method]incoming-response.headers",
        "wasi:http/types#[method]future-incoming-response.subscribe",
        "wasi:http/types#[method]future-incoming-response.get",
        "wasi:http/outgoing-handler#handle",
    ],
    wants: &[Wish::HttpHost("*")],
    items: HTTP_ITEMS,
    body: HTTP_AGAIN,
    ..NOTHING
};

/// All of them.
pub const MISDEEDS: &[Misdeed] = &[
    Misdeed {
        word: "endless-loop",
        reason: "computed for",
        body: "(loop $again (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "trap",
        reason: "crashed",
        items: "(func $sum_up (call $read_the_report)) (func $read_the_report (unreachable))",
        body: "(call $sum_up)",
        ..NOTHING
    },
    Misdeed {
        word: "out-of-bounds",
        reason: "out of bounds memory access",
        body: "(drop (i32.load (i32.const -8)))",
        ..NOTHING
    },
    Misdeed {
        word: "memory-bomb",
        reason: "of memory, its limit is",
        body: "(loop $again (drop (memory.grow (i32.const 16))) (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "table-bomb",
        reason: "elements of a table",
        items: "(table $table 1 funcref)",
        body: "(loop $again (drop (table.grow $table (ref.null func) (i32.const 4096))) (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "deep-recursion",
        reason: "endless recursion",
        items: "(func $dig (param i32) (result i32) (i32.add (local.get 0) (call $dig (i32.add (local.get 0) (i32.const 1)))))",
        body: "(drop (call $dig (i32.const 0)))",
        ..NOTHING
    },
    Misdeed {
        word: "bulk-copy",
        reason: "computed for",
        body: "(drop (memory.grow (i32.const 400)))
            (loop $again
                (memory.copy (i32.const 65536) (i32.const 131072) (i32.const 26000000))
                (memory.copy (i32.const 131072) (i32.const 65536) (i32.const 26000000))
                (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "log-flood",
        reason: "bytes written to the operator's log",
        imports: &["log#write"],
        body: "(loop $again (call $write (i32.const 2) (i32.const 0) (i32.const 4096)) (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "giant-string",
        reason: "bytes in one call of a host function",
        imports: &["log#write"],
        body: "(drop (memory.grow (i32.const 800)))
            (call $write (i32.const 2) (i32.const 0) (i32.const 52000000))",
        ..NOTHING
    },
    Misdeed {
        word: "gigabyte-string",
        // The bytes are not even there.
        reason: "crashed",
        imports: &["log#write"],
        body: "(call $write (i32.const 2) (i32.const 0) (i32.const 0x40000000))",
        ..NOTHING
    },
    Misdeed {
        word: "gigabyte-answer",
        reason: "crashed",
        // Whatever it answers has a pointer and a length here, which lead far out of its memory.
        body: "(memory.fill (i32.const 512) (i32.const 0x3f) (i32.const 256))
            (i32.store (i32.const 512) (i32.const 0))
            (return (i32.const 512))",
        ..NOTHING
    },
    Misdeed {
        word: "rubbish-state",
        reason: "its state is not JSON",
        exports: &[Handle],
        items: "(data (i32.const 3072) \"{\\\"left\\\": \")",
        // ok({ state, no actions })
        body: "(i32.store (i32.const 512) (i32.const 0))
            (i32.store (i32.const 516) (i32.const 3072)) (i32.store (i32.const 520) (i32.const 9))
            (i32.store (i32.const 524) (i32.const 0)) (i32.store (i32.const 528) (i32.const 0))
            (return (i32.const 512))",
        ..NOTHING
    },
    Misdeed {
        word: "key-value-bomb",
        reason: "computed for",
        exports: &[Run, Report],
        imports: &["key-value#set"],
        wants: &[Wish::Storage],
        items: "(data (i32.const 3072) \"key-00000000\") (global $n (mut i32) (i32.const 0))",
        // Another key each time, a value as large as one may be, and the answer is not looked at.
        body: "(loop $again
            (global.set $next (i32.const 65536)) ;; forgets the answers
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (i32.store (i32.const 3076) (i32.or (i32.const 0x30303030) (i32.and (global.get $n) (i32.const 0x07070707))))
            (i32.store (i32.const 3080) (i32.or (i32.const 0x30303030) (i32.and (i32.shr_u (global.get $n) (i32.const 3)) (i32.const 0x07070707))))
            (call $set (i32.const 3072) (i32.const 12) (i32.const 1) (i32.const 0) (i32.const 65536) (i32.const 512))
            (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "artifact-flood",
        reason: "the step has uploaded as many files as it may",
        exports: &[Run],
        imports: &["worker-files#write", "artifacts#upload-file"],
        items: "(data (i32.const 3072) \"flood\") (data (i32.const 3080) \"part-0000\") (global $n (mut i32) (i32.const 0))",
        // A file of 64 KiB, kept under one name after the other.
        body: "(call $write (i32.const 3072) (i32.const 5) (i32.const 0) (i32.const 65536) (i32.const 0) (i32.const 512))
            (loop $again
                (global.set $next (i32.const 65536))
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (i32.store (i32.const 3085) (i32.add (i32.const 0x30303030) (i32.or
                    (i32.and (global.get $n) (i32.const 0x07))
                    (i32.or (i32.shl (i32.and (global.get $n) (i32.const 0x38)) (i32.const 5))
                        (i32.or (i32.shl (i32.and (global.get $n) (i32.const 0x1c0)) (i32.const 10))
                            (i32.shl (i32.and (global.get $n) (i32.const 0xe00)) (i32.const 15)))))))
                (call $upload-file (i32.const 3072) (i32.const 5) (i32.const 3080) (i32.const 9) (i32.const 512))
                (br_if $again (i32.eqz (i32.load8_u (i32.const 512)))))
            ;; The error, as the step's own.
            (i32.store8 (i32.const 640) (i32.const 1)) (i32.store8 (i32.const 644) (i32.const 1))
            (i32.store (i32.const 648) (i32.load (i32.const 524))) (i32.store (i32.const 652) (i32.load (i32.const 528)))
            (return (i32.const 640))",
        ..NOTHING
    },
    Misdeed {
        word: "trigger-flood",
        reason: "requests for other builds",
        exports: &[Run],
        imports: &["triggers#[static]triggered.request"],
        wants: &[Wish::Trigger("*")],
        items: "(data (i32.const 3072) \"sink\")",
        // One list of one builder; sources of this build, no properties, no reason, no priority, not waited for.
        body: "(i32.store (i32.const 3080) (i32.const 3072)) (i32.store (i32.const 3084) (i32.const 4))
            (loop $again
                (global.set $next (i32.const 65536))
                (call $triggered.request (i32.const 3080) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))
                (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "trigger-unasked",
        reason: "the plugin does not say that it asks for builds of the builder `sink`",
        exports: &[Run],
        imports: &["triggers#[static]triggered.request"],
        items: "(data (i32.const 3072) \"sink\")",
        // As above, once, without having said so in `wants`.
        body: "(i32.store (i32.const 3080) (i32.const 3072)) (i32.store (i32.const 3084) (i32.const 4))
            (call $triggered.request (i32.const 3080) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))
            ;; The error, as the step's own.
            (i32.store8 (i32.const 640) (i32.const 1)) (i32.store8 (i32.const 644) (i32.load8_u (i32.const 516)))
            (i32.store (i32.const 648) (i32.load (i32.const 520))) (i32.store (i32.const 652) (i32.load (i32.const 524)))
            (return (i32.const 640))",
        ..NOTHING
    },
    Misdeed {
        word: "secret-printer",
        reason: "",
        exports: &[Run],
        imports: &[
            "secrets#placeholder",
            "commands#[static]running-command.start",
            "commands#[method]running-command.read",
            "log#write",
        ],
        wants: &[Wish::Secret("token")],
        items: SECRET_PRINTER_ITEMS,
        body: SECRET_PRINTER,
        ..NOTHING
    },
    Misdeed {
        word: "http-not-granted",
        reason: "are not granted",
        ..HTTP
    },
    Misdeed {
        word: "http-loopback",
        reason: "has the private address",
        ..HTTP
    },
    Misdeed {
        word: "http-rebinding",
        reason: "has the private address",
        ..HTTP
    },
    Misdeed {
        word: "http-slow-drip",
        reason: "the exchange was not over",
        ..HTTP
    },
    Misdeed {
        word: "http-redirect",
        reason: "are not granted",
        body: HTTP_REDIRECT,
        ..HTTP
    },
    Misdeed {
        word: "host-call-storm",
        reason: "computed for",
        exports: &[Run],
        imports: &["cancellation#is-cancelled"],
        body: "(loop $again (drop (call $is-cancelled)) (br $again))",
        ..NOTHING
    },
    Misdeed {
        word: "step-only",
        reason: "not available here",
        exports: &[Handle, Report],
        imports: &["cancellation#is-cancelled"],
        body: "(drop (call $is-cancelled))",
        ..NOTHING
    },
    Misdeed {
        word: "schema-explosion",
        reason: "would visit more than",
        exports: &[Describe],
        schema: Some(explosion),
        ..NOTHING
    },
    Misdeed {
        word: "schema-circle",
        reason: "refers to itself",
        exports: &[Describe],
        schema: Some(|| r##"{"type":"object","allOf":[{"$ref":"#"}]}"##.into()),
        ..NOTHING
    },
    Misdeed {
        word: "answers-nothing",
        reason: "crashed",
        exports: CALLS,
        body: "(return (i32.const -1))",
        ..NOTHING
    },
];

/// `$ask` sends a request to an authority and waits: a handle of the response, or 0 and an error in `$told`.
const HTTP_ITEMS: &str = r#"
    (data (i32.const 3072) "location") (data (i32.const 3080) "it got through") (data (i32.const 3096) "error code 00") (data (i32.const 3112) "/")
    (global $told (mut i32) (i32.const 3096)) (global $told-length (mut i32) (i32.const 13))
    (func $ask (param $authority i32) (param $length i32) (result i32)
      (local $request i32) (local $future i32)
      (local.set $request (call $outgoing-request (call $fields)))
      (drop (call $outgoing-request.set-scheme (local.get $request) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
      (drop (call $outgoing-request.set-authority (local.get $request) (i32.const 1) (local.get $authority) (local.get $length)))
      (drop (call $outgoing-request.set-path-with-query (local.get $request) (i32.const 1) (i32.const 3112) (i32.const 1)))
      (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 512))
      (if (i32.load8_u (i32.const 512)) (then (call $remember (i32.const 520)) (return (i32.const 0))))
      (local.set $future (i32.load (i32.const 520)))
      (call $pollable.block (call $future-incoming-response.subscribe (local.get $future)))
      (call $future-incoming-response.get (local.get $future) (i32.const 512))
      (if (i32.load8_u (i32.const 528)) (then (call $remember (i32.const 536)) (return (i32.const 0))))
      (i32.load (i32.const 536)))
    ;; Keeps the text of an error-code if it is an internal error with one, and its number otherwise.
    (func $remember (param $code i32)
      (i32.store8 (i32.const 3107) (i32.add (i32.const 48) (i32.div_u (i32.load8_u (local.get $code)) (i32.const 10))))
      (i32.store8 (i32.const 3108) (i32.add (i32.const 48) (i32.rem_u (i32.load8_u (local.get $code)) (i32.const 10))))
      (if (i32.and (i32.eq (i32.load8_u (local.get $code)) (i32.const 38)) (i32.load8_u offset=8 (local.get $code)))
        (then
          (global.set $told (i32.load offset=12 (local.get $code)))
          (global.set $told-length (i32.load offset=16 (local.get $code))))))
    ;; err(permanent(told))
    (func $give-up (result i32)
      (i32.store8 (i32.const 640) (i32.const 1)) (i32.store8 (i32.const 644) (i32.const 1))
      (i32.store (i32.const 648) (global.get $told)) (i32.store (i32.const 652) (global.get $told-length))
      (i32.const 640))
    ;; ok(success, "it got through")
    (func $triumph (result i32)
      (i32.store8 (i32.const 640) (i32.const 0)) (i32.store8 (i32.const 644) (i32.const 0))
      (i32.store (i32.const 648) (i32.const 3080)) (i32.store (i32.const 652) (i32.const 14))
      (i32.const 640))
"#;

/// Asks ninety times. The parameters are `{"to":"AUTHORITY"}`.
const HTTP_AGAIN: &str = "(local $n i32)
    (loop $again
        (if (call $ask (i32.add (local.get 2) (i32.const 7)) (i32.sub (local.get 3) (i32.const 9)))
            (then (return (call $triumph))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 90))))
    (return (call $give-up))";

/// Asks once, and then where that leads to: `http://AUTHORITY/` in the header `location`.
const HTTP_REDIRECT: &str = "(local $n i32) (local $response i32) (local $at i32) (local $length i32)
    (loop $again
        (local.set $response (call $ask (i32.add (local.get 2) (i32.const 7)) (i32.sub (local.get 3) (i32.const 9))))
        (if (i32.eqz (local.get $response)) (then (return (call $give-up))))
        (call $fields.get (call $incoming-response.headers (local.get $response)) (i32.const 3072) (i32.const 8) (i32.const 512))
        (local.set $at (i32.load (i32.load (i32.const 512))))
        (local.set $length (i32.load offset=4 (i32.load (i32.const 512))))
        (if (call $ask (i32.add (local.get $at) (i32.const 7)) (i32.sub (local.get $length) (i32.const 8)))
            (then (return (call $triumph))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 3))))
    (return (call $give-up))";

/// What prints a secret in many ways, as one command.
const SECRET_PRINTER_ITEMS: &str = r#"
    (data (i32.const 3072) "token") (data (i32.const 3080) "TOKEN") (data (i32.const 3088) "stdio")
    (data (i32.const 3136) "printf '%s\\n' \"$TOKEN\"; printf '%s' \"$TOKEN\" | base64 -w 0; echo; printf 'u:%s' \"$TOKEN\" | base64 -w 20; printf 'us:%s' \"$TOKEN\" | base64 -w 0 | tr '+/' '-_'; echo; printf '%s' \"$TOKEN\" | od -An -v -tx1 | tr -d ' \\n'; echo; printf '%s' \"$TOKEN\" | head -c 5; sleep 0.2; printf '%s' \"$TOKEN\" | tail -c +6; echo; printf '%s\\n' \"$TOKEN\" >&2; set -x; : \"$TOKEN\"")
    (global $length i32 (i32.const 356))
"#;

/// Has them printed to the step's log, prints what it reads of it to the operator's, and makes it the step's text.
const SECRET_PRINTER: &str = "(local $n i32)
    (call $placeholder (i32.const 3072) (i32.const 5) (i32.const 512))
    (if (i32.load8_u (i32.const 512)) (then (unreachable)))
    ;; env: TOKEN = some(placeholder)
    (i32.store (i32.const 600) (i32.const 3080)) (i32.store (i32.const 604) (i32.const 5)) (i32.store8 (i32.const 608) (i32.const 1))
    (i32.store (i32.const 612) (i32.load (i32.const 516))) (i32.store (i32.const 616) (i32.load (i32.const 520)))
    ;; shell(line), that environment, log `stdio`, capture first(65536)
    (i32.store8 (i32.const 704) (i32.const 1)) (i32.store (i32.const 708) (i32.const 3136)) (i32.store (i32.const 712) (global.get $length))
    (i32.store (i32.const 728) (i32.const 600)) (i32.store (i32.const 732) (i32.const 1))
    (i32.store8 (i32.const 784) (i32.const 1)) (i32.store (i32.const 788) (i32.const 3088)) (i32.store (i32.const 792) (i32.const 5))
    (i32.store8 (i32.const 800) (i32.const 1)) (i64.store (i32.const 808) (i64.const 65536))
    (call $running-command.start (i32.const 704) (i32.const 512))
    (if (i32.load8_u (i32.const 512)) (then (unreachable)))
    (local.set $n (i32.load (i32.const 516)))
    (block $ended (loop $again
        (call $running-command.read (local.get $n) (i32.const 512))
        (br_if $ended (i32.eqz (i32.load8_u (i32.const 512))))
        (call $write (i32.const 2) (i32.load (i32.const 520)) (i32.load (i32.const 524)))
        (i32.store (i32.const 648) (i32.load (i32.const 520))) (i32.store (i32.const 652) (i32.load (i32.const 524)))
        (br $again)))
    ;; ok(success, what was read last)
    (i32.store8 (i32.const 640) (i32.const 0)) (i32.store8 (i32.const 644) (i32.const 0))
    (return (i32.const 640))";

/// Sixty definitions that each use the next one twice.
fn explosion() -> String {
    let defs: Vec<String> = (0..60)
        .map(|n| {
            let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, n + 1);
            format!(r#""d{n}":{{"allOf":[{next},{next}]}}"#)
        })
        .collect();
    format!(
        r##"{{"type":"object","$ref":"#/$defs/d0","$defs":{{{},"d60":{{}}}}}}"##,
        defs.join(",")
    )
}
