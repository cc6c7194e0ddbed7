//! Well-behaved plugins, put together as component text.

use bytes::Bytes;

/// A plugin to be.
#[derive(Clone)]
pub(super) struct Plugin {
    name: String,
    version: String,
    steps: Vec<String>,
    schema: String,
    wants: Option<String>,
    summary: String,
    /// Core instructions that `run` begins with.
    body: String,
}

/// Where the records are built.
const TEXTS_AT: usize = 4096;
const STEPS_AT: usize = 256;
const WANTS_AT: usize = 192;

impl Plugin {
    /// A plugin with one step type of the same name, whose steps succeed with the version as text.
    pub(super) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            steps: vec![name.into()],
            schema: r#"{"type": "object"}"#.into(),
            wants: None,
            summary: version.into(),
            body: String::new(),
        }
    }

    pub(super) fn steps(mut self, names: &[&str]) -> Self {
        self.steps = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(super) fn schema(mut self, schema: &str) -> Self {
        self.schema = schema.into();
        self
    }

    pub(super) fn wants_host(mut self, host: &str) -> Self {
        self.wants = Some(host.into());
        self
    }

    pub(super) fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    /// The component.
    pub(super) fn build(&self) -> Bytes {
        wat::parse_str(self.text()).unwrap().into()
    }

    fn text(&self) -> String {
        let mut data = Data::default();
        let mut describe = String::new();
        for (at, text) in [(0, &self.name), (8, &self.version), (16, &self.name)] {
            describe += &data.store(at, text);
        }
        describe += &store_list(24, STEPS_AT, self.steps.len());
        describe += &store_list(48, WANTS_AT, usize::from(self.wants.is_some()));
        for (index, step) in self.steps.iter().enumerate() {
            let at = STEPS_AT + 24 * index;
            describe += &data.store(at, step);
            describe += &data.store(at + 8, &self.name);
            describe += &data.store(at + 16, &self.schema);
        }
        if let Some(host) = &self.wants {
            // The first case of the variant, http-host, has the number 0, as fresh memory does.
            describe += &data.store(WANTS_AT + 4, host);
        }
        let run = data.store(136, &self.summary);
        FRAME
            .replace("DATA", &data.segments)
            .replace("DESCRIBE", &describe)
            .replace("BODY", &self.body)
            .replace("OUTCOME", &run)
    }
}

/// Text in memory.
#[derive(Default)]
struct Data {
    segments: String,
    used: usize,
}

impl Data {
    /// Keeps a text, and tells how to store it in a record.
    fn store(&mut self, at: usize, text: &str) -> String {
        let place = TEXTS_AT + self.used;
        self.used += text.len();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        self.segments += &format!("(data (i32.const {place}) \"{quoted}\")\n");
        store_list(at, place, text.len())
    }
}

fn store_list(at: usize, place: usize, length: usize) -> String {
    format!(
        "(i32.store (i32.const {at}) (i32.const {place}))
         (i32.store (i32.const {}) (i32.const {length}))\n",
        at + 4
    )
}

const FRAME: &str = r#"
(component
  (core module $main
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.and
        (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))
      (local.get $at))
    DATA
    (func (export "describe") (result i32) DESCRIBE (i32.const 0))
    (func (export "run") (param i32 i32 i32 i32) (result i32)
      BODY
      (i32.store8 (i32.const 128) (i32.const 0))
      (i32.store8 (i32.const 132) (i32.const 0))
      OUTCOME
      (i32.const 128)))
  (core instance $main (instantiate $main))
  (alias core export $main "memory" (core memory $memory))
  (alias core export $main "realloc" (core func $realloc))

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
    (case "retryable" string) (case "permanent" string) (case "config" string)))
  (type $step-outcome (record (field "results" $results) (field "summary" string)))
  (func $run (param "type-name" string) (param "parameters" string)
    (result (result $step-outcome (error $error)))
    (canon lift (core func $main "run") (memory $memory) (realloc $realloc)))
  (instance $step
    (export "results" (type $results))
    (export "error" (type $error))
    (export "step-outcome" (type $step-outcome))
    (export "run" (func $run)))
  (export "toolpost:plugin/step@1.0.0" (instance $step)))
"#;
