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
    /// Whether it asks for storage.
    pub(crate) wants_storage: bool,
    /// What the schema of its parameters says, where that is the misdeed.
    pub(crate) schema: Option<fn() -> String>,
    /// Further functions, tables and data of the module.
    pub(crate) items: &'static str,
    /// What the export does.
    pub(crate) body: &'static str,
}

const EVERYWHERE: &[Export] = &[Describe, Run, Handle, Report];
const CALLS: &[Export] = &[Run, Handle, Report];

/// Does nothing bad.
const NOTHING: Misdeed = Misdeed {
    word: "nothing",
    reason: "",
    exports: EVERYWHERE,
    imports: &[],
    wants_storage: false,
    schema: None,
    items: "",
    body: "",
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
        wants_storage: true,
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
