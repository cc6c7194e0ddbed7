//! From a misdeed to a component: a core module as text, with the signatures that the contract asks for, wrapped by
//! `wit-component`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{Function, Resolve, WorldId, WorldItem, WorldKey};

use crate::{Export, Misdeed, Wish, root};

/// The contract, as its folder is called.
const CONTRACT: &str = "wit/toolpost-plugin-1.0";
/// What the misdeeds use of WASI.
const WASI: &str = include_str!("../wasi.wit");
const PACKAGE: &str = "toolpost:plugin";
const VERSION: &str = "1.0.0";
const WASI_VERSION: &str = "0.2.0";
/// Where texts begin in memory. Below are the description and room for answers.
const TEXTS_AT: usize = 4096;
/// Where the only type is described.
const TYPE_AT: usize = 64;
/// Where the wishes are, and what one of them takes.
const WANTS_AT: usize = 128;
const WANT_BYTES: usize = 12;

pub(crate) fn build(misdeed: &Misdeed, export: Export) -> Vec<u8> {
    let (resolve, world) = world(misdeed, export);
    let text = module(misdeed, export, &resolve, world);
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("metadata can be added");
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .unwrap_or_else(|error| panic!("{}: {error:#}", misdeed.plugin_name(export)))
}

/// A world with what the component imports and exports.
fn world(misdeed: &Misdeed, export: Export) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    resolve
        .push_dir(root().join(CONTRACT))
        .expect("the contract can be read");
    let mut text = format!("package toolpost:hostile;\n{WASI}\nworld hostile {{\n");
    let modules: BTreeSet<String> = misdeed
        .imports
        .iter()
        .map(|import| Import::of(import).module())
        .collect();
    for module in modules {
        let _ = writeln!(text, "import {module};");
    }
    for interface in ["plugin", export.interface()] {
        let _ = writeln!(text, "export {PACKAGE}/{interface}@{VERSION};");
    }
    text.push('}');
    let package = resolve
        .push_str("hostile.wit", &text)
        .expect("the world fits the contract");
    let world = resolve
        .select_world(&[package], Some("hostile"))
        .expect("there is one world");
    (resolve, world)
}

/// A function that a component calls: of the contract (`log#write`), or of WASI (`wasi:io/poll#[method]pollable.block`).
struct Import<'a> {
    package: &'a str,
    interface: &'a str,
    function: &'a str,
}

impl<'a> Import<'a> {
    fn of(text: &'a str) -> Self {
        let (path, function) = text.split_once('#').expect("interface#function");
        let (package, interface) = path.split_once('/').unwrap_or((PACKAGE, path));
        Self {
            package,
            interface,
            function,
        }
    }

    /// The module that it is imported from.
    fn module(&self) -> String {
        let version = match self.package {
            PACKAGE => VERSION,
            _ => WASI_VERSION,
        };
        format!("{}/{}@{version}", self.package, self.interface)
    }

    /// Its name in the text: `write`, `fields`, `pollable.block`.
    fn id(&self) -> &'a str {
        let name = self.function;
        name.split_once(']').map_or(name, |(_, id)| id)
    }
}

fn module(misdeed: &Misdeed, export: Export, resolve: &Resolve, world: WorldId) -> String {
    let mut text = String::from("(module\n");
    for import in misdeed.imports.iter().map(|import| Import::of(import)) {
        let imports = resolve.worlds[world].imports.iter();
        let function = find(resolve, imports, &import);
        let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
        let _ = writeln!(
            text,
            "(import \"{}\" \"{}\" (func ${} {}))",
            import.module(),
            import.function,
            import.id(),
            types(&signature)
        );
    }
    text.push_str(MEMORY);
    text.push_str(misdeed.items);
    let mut texts = Texts::default();
    let describe = description(misdeed, export, &mut texts);
    for (interface, name) in exported(export) {
        let exports = resolve.worlds[world].exports.iter();
        let wanted = Import {
            package: PACKAGE,
            interface,
            function: name,
        };
        let function = find(resolve, exports, &wanted);
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        let body = match name {
            name if name == export.name() => misdeed.body,
            _ => "",
        };
        let rest = match name {
            "describe" => describe.as_str(),
            _ => "(unreachable)",
        };
        let _ = writeln!(
            text,
            "(func ${name} (export \"{PACKAGE}/{interface}@{VERSION}#{name}\") {} {body} {rest})",
            types(&signature)
        );
    }
    text.push_str(&texts.segments);
    text.push(')');
    text
}

/// The functions that the component exports, with their interfaces.
fn exported(export: Export) -> Vec<(&'static str, &'static str)> {
    let call = match export {
        Export::Describe => Export::Run.name(),
        export => export.name(),
    };
    vec![("plugin", "describe"), (export.interface(), call)]
}

fn find<'r>(
    resolve: &'r Resolve,
    items: impl Iterator<Item = (&'r WorldKey, &'r WorldItem)>,
    wanted: &Import<'_>,
) -> &'r Function {
    let module = wanted.module();
    let mut named = items.filter_map(|(key, item)| match item {
        WorldItem::Interface { id, .. } if resolve.name_world_key(key) == module => {
            resolve.interfaces[*id].functions.get(wanted.function)
        }
        _ => None,
    });
    named
        .next()
        .unwrap_or_else(|| panic!("{module} has no {}", wanted.function))
}

/// A signature as text.
fn types(signature: &WasmSignature) -> String {
    let list = |what: &str, types: &[WasmType]| match types {
        [] => String::new(),
        types => {
            let names: Vec<&str> = types.iter().map(|of| name_of(*of)).collect();
            format!("({what} {})", names.join(" "))
        }
    };
    format!(
        "{} {}",
        list("param", &signature.params),
        list("result", &signature.results)
    )
}

fn name_of(of: WasmType) -> &'static str {
    match of {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// Instructions that give a good description of a plugin with one type.
fn description(misdeed: &Misdeed, export: Export, texts: &mut Texts) -> String {
    let name = misdeed.plugin_name(export);
    let schema = misdeed
        .schema
        .map_or_else(|| r#"{"type": "object"}"#.to_owned(), |schema| schema());
    let list_at = match export {
        Export::Describe | Export::Run => 24,
        Export::Handle => 32,
        Export::Report => 40,
    };
    let mut text = String::new();
    for (at, value) in [(0, name.as_str()), (8, VERSION), (16, misdeed.word)] {
        text += &texts.store(at, value);
    }
    text += &pair(list_at, TYPE_AT, 1);
    for (at, value) in [(0, name.as_str()), (8, misdeed.word), (16, &schema)] {
        text += &texts.store(TYPE_AT + at, value);
    }
    text += &pair(48, WANTS_AT, misdeed.wants.len());
    for (n, wish) in misdeed.wants.iter().enumerate() {
        let at = WANTS_AT + n * WANT_BYTES;
        let (case, of) = match *wish {
            Wish::HttpHost(host) => (0, host),
            Wish::Secret(name) => (1, name),
            Wish::Storage => (3, ""),
            Wish::Trigger(builder) => (5, builder),
        };
        let _ = writeln!(text, "(i32.store8 (i32.const {at}) (i32.const {case}))");
        text += &texts.store(at + 4, of);
    }
    text + "(i32.const 0)"
}

/// Texts in memory.
#[derive(Default)]
struct Texts {
    segments: String,
    used: usize,
}

impl Texts {
    /// Keeps a text, and tells how to store its place and length.
    fn store(&mut self, at: usize, text: &str) -> String {
        let place = TEXTS_AT + self.used;
        self.used += text.len();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(self.segments, "(data (i32.const {place}) \"{quoted}\")");
        pair(at, place, text.len())
    }
}

fn pair(at: usize, first: usize, second: usize) -> String {
    format!(
        "(i32.store (i32.const {at}) (i32.const {first})) (i32.store (i32.const {}) (i32.const {second}))\n",
        at + 4
    )
}

/// Memory, and an allocator that takes nothing back.
const MEMORY: &str = r#"
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.and
        (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))
      (local.get $at))
"#;
