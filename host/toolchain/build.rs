//! Lists the files of the plugin contract and of WASI's HTTP, which become part of the program.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).to_owned();
    let mut code = String::new();
    for (name, directory) in [
        ("CONTRACT", "../../wit/toolpost-plugin-1.0"),
        ("HTTP", "wit"),
    ] {
        let directory = root.join(directory);
        println!("cargo::rerun-if-changed={}", directory.display());
        let Ok(entries) = fs::read_dir(&directory) else {
            println!("cargo::error={} cannot be read", directory.display());
            return;
        };
        let mut files: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "wit"))
            .collect();
        files.sort();
        let _ = writeln!(code, "pub(crate) const {name}: &[(&str, &str)] = &[");
        for path in files {
            let file_name = path.file_name().unwrap_or_default();
            let _ = writeln!(code, "    ({file_name:?}, include_str!({path:?})),");
        }
        code.push_str("];\n");
    }
    let output = Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("wit.rs");
    if let Err(error) = fs::write(&output, code) {
        println!("cargo::error={}: {error}", output.display());
    }
}
