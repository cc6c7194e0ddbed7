//! Whatever is in a file, the answer is a configuration or problems, never a panic.

use proptest::prelude::*;
use toolpost_config::{Sources, check, diff};

use crate::catalog::{BASE, catalog};

/// Pieces that are near to what people write.
const PIECES: &[&str] = &[
    "[[builder]]\n",
    "[[builder.step]]\n",
    "[master]\n",
    "[[worker]]\n",
    "[[scheduler]]\n",
    "[[changes]]\n",
    "[[lock]]\n",
    "[plugin.x]\n",
    "[[scheduler.parameters]]\n",
    "name = ",
    "use = ",
    "kind = ",
    "workers = ",
    "builders = ",
    "command = ",
    "locks = ",
    "env = ",
    "default = ",
    "type = ",
    "\"x\"",
    "\"w\"",
    "\"shell\"",
    "\"local\"",
    "\"force\"",
    "\"single-branch\"",
    "\"int\"",
    "\"{{ prop.x }}\"",
    "\"{{\"",
    "[",
    "]",
    "{ a = 1 }",
    "1",
    "-7",
    "1e400",
    "nan",
    "true",
    "1979-05-27",
    "\n",
    "\n",
    ",",
    "=",
    ".",
    "'''",
    "\u{feff}",
    "é",
    "\r\n",
    "# comment\n",
    "\0",
];

fn survives(text: &str) {
    let sources = Sources::from_texts("/farm", [("a.toml", text), ("b.toml", BASE)]);
    match check(&sources, &catalog()) {
        Ok(config) => assert!(diff(&config, &config).is_empty()),
        Err(problems) => {
            assert!(!problems.list.is_empty());
            for problem in &problems.list {
                let place = problem
                    .place
                    .as_ref()
                    .expect("what is in a file has a place");
                assert!(place.line >= 1 && place.column >= 1 && place.width >= 1);
                assert!(!problem.message.is_empty());
            }
            assert!(!problems.to_string().is_empty());
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("toolpost.toml");
        std::fs::write(&file, &bytes).expect("written");
        match toolpost_config::load(&file) {
            Ok(sources) => {
                let _ = check(&sources, &catalog());
            }
            Err(problems) => assert!(String::from_utf8(bytes).is_err(), "{problems}"),
        }
    }

    #[test]
    fn near_misses_are_survived(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        survives(&pieces.concat());
    }
}
