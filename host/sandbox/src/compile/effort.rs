//! How much work a component is for the compiler, found out before it begins: what is begun cannot be stopped, and would keep its
//! thread.
//!
//! The compiler's time grows with the code, but within a function faster than that: wherever branches come together it has to
//! find out, for each variable, which value it has there. So beside bytes there is a limit on those *joins*: the branches of
//! a function times its variables. All limits are twice to ten times what an interpreter of Python or JavaScript has, which is the
//! largest program that there is a reason to put into a plugin. A component within them is compiled in a time that
//! they bound; what is none at all is left to the compiler to tell.

use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, Encoding, FunctionBody, Operator, Parser,
    Payload, TypeSectionReader,
};

/// Functions of all modules.
const FUNCTIONS_MAX: u64 = 100_000;
/// Code of all modules.
const CODE_BYTES_MAX: u64 = 32 << 20;
/// Code of one function.
const FUNCTION_BYTES_MAX: u64 = 1 << 20;
/// Joins of one function.
const FUNCTION_JOINS_MAX: u64 = 4_000_000;
/// Joins of all functions.
const JOINS_MAX: u64 = 80_000_000;
/// Functions that translate between the component's types and memory: each is made by the compiler.
const ADAPTERS_MAX: u64 = 5_000;

/// What there is too much of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooMuch {
    pub(crate) what: &'static str,
    pub(crate) has: u64,
    pub(crate) limit: u64,
}

/// What a component has of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Effort {
    functions: u64,
    code_bytes: u64,
    function_bytes: u64,
    function_joins: u64,
    joins: u64,
    adapters: u64,
}

/// Refuses what the compiler could work on for too long.
pub(super) fn check(component: &[u8]) -> Result<(), TooMuch> {
    let mut effort = Effort::default();
    // What cannot be read is not compiled either.
    let _ = effort.read(component);
    effort.judge()
}

impl Effort {
    fn judge(&self) -> Result<(), TooMuch> {
        for (what, has, limit) in [
            ("functions", self.functions, FUNCTIONS_MAX),
            ("bytes of code", self.code_bytes, CODE_BYTES_MAX),
            (
                "bytes in one function",
                self.function_bytes,
                FUNCTION_BYTES_MAX,
            ),
            (
                "branches times variables in one function",
                self.function_joins,
                FUNCTION_JOINS_MAX,
            ),
            (
                "branches times variables in all functions",
                self.joins,
                JOINS_MAX,
            ),
            ("functions of its interfaces", self.adapters, ADAPTERS_MAX),
        ] {
            if has > limit {
                return Err(TooMuch { what, has, limit });
            }
        }
        Ok(())
    }

    /// Counts up to what cannot be read.
    fn read(&mut self, component: &[u8]) -> Result<(), BinaryReaderError> {
        let mut module = Module::default();
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version {
                    encoding: Encoding::Module,
                    ..
                } => module = Module::default(),
                Payload::TypeSection(types) => module.add_types(types)?,
                Payload::FunctionSection(functions) => {
                    module.functions = functions.into_iter().collect::<Result<_, _>>()?;
                    module.functions.reverse();
                }
                Payload::CodeSectionEntry(body) => self.add(&mut module, &body)?,
                Payload::ComponentCanonicalSection(adapters) => {
                    self.adapters += u64::from(adapters.count());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        module: &mut Module,
        body: &FunctionBody<'_>,
    ) -> Result<(), BinaryReaderError> {
        let bytes = body.range().len() as u64;
        self.functions += 1;
        self.code_bytes += bytes;
        self.function_bytes = self.function_bytes.max(bytes);
        let of_type = module.functions.pop();
        let mut variables = of_type.map_or(0, |of_type| module.arity(of_type));
        for local in body.get_locals_reader()? {
            variables += u64::from(local?.0);
        }
        let (mut branches, mut on_stack) = (0, 0);
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            branches += branches_of(&operator);
            if let Some(BlockType::FuncType(of_type)) = block_type(&operator) {
                on_stack = module.arity(of_type).max(on_stack);
            }
        }
        let joins = (variables + on_stack).saturating_mul(branches);
        self.function_joins = self.function_joins.max(joins);
        self.joins = self.joins.saturating_add(joins);
        Ok(())
    }
}

/// What is known of a core module when its code comes.
#[derive(Default)]
struct Module {
    /// How many values go into and come out of a function of each type.
    arities: Vec<u64>,
    /// The types of the functions whose code has not come yet, the next one last.
    functions: Vec<u32>,
}

impl Module {
    fn add_types(&mut self, types: TypeSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for group in types {
            for of_type in group?.into_types() {
                self.arities.push(match of_type.composite_type.inner {
                    CompositeInnerType::Func(function) => {
                        (function.params().len() + function.results().len()) as u64
                    }
                    _ => 0,
                });
            }
        }
        Ok(())
    }

    fn arity(&self, of_type: u32) -> u64 {
        let index = usize::try_from(of_type).unwrap_or(usize::MAX);
        self.arities.get(index).copied().unwrap_or_default()
    }
}

/// How many ways lead on from here, beside to the next instruction.
fn branches_of(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::BrOnNull { .. }
        | Operator::BrOnNonNull { .. }
        | Operator::BrOnCast { .. }
        | Operator::BrOnCastFail { .. } => 1,
        Operator::TryTable { try_table } => 1 + try_table.catches.len() as u64,
        Operator::BrTable { targets } => 1 + u64::from(targets.len()),
        _ => 0,
    }
}

fn block_type(operator: &Operator<'_>) -> Option<BlockType> {
    match operator {
        Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
            Some(*blockty)
        }
        Operator::TryTable { try_table } => Some(try_table.ty),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a component of two modules, one after the other, with these functions in the second.
    fn effort(functions: &str) -> Effort {
        let text = format!(
            "(component
               (core module (type (func (param i32))) (func (type 0) (block (br 0))))
               (core module (type $pair (func (param i32 i32) (result i32 i32))) {functions}))"
        );
        let mut effort = Effort::default();
        effort.read(&wat::parse_str(text).unwrap()).unwrap();
        effort
    }

    #[test]
    fn joins_are_branches_times_variables() {
        let alone = effort("");
        assert_eq!((alone.functions, alone.joins), (1, 2));
        for (function, joins) in [
            ("(func (local i32 i64))", 0),
            ("(func (local i32 i64) (block (br 0)))", 2 * 2),
            (
                "(func (param i32) (result i32) (loop (br 0)) (i32.const 1))",
                2 * 2,
            ),
            ("(func (if (i32.const 1) (then) (else)))", 0),
            (
                "(func (local i32) (block (br_table 0 0 0 0 (i32.const 1))))",
                5,
            ),
            (
                "(func (local i32) (i32.const 1) (i32.const 2) (block (type $pair)) (drop) (drop))",
                5,
            ),
        ] {
            let with = effort(function);
            assert_eq!(with.functions, 2, "{function}");
            assert_eq!(with.joins - alone.joins, joins, "{function}");
        }
    }

    #[test]
    fn each_limit_is_told_with_its_name() {
        let none = Effort::default();
        assert_eq!(none.judge(), Ok(()));
        let large = effort(&format!("(func {})", "nop ".repeat(1 << 20)));
        let told = large.judge().unwrap_err();
        assert_eq!(
            (told.what, told.limit),
            ("bytes in one function", FUNCTION_BYTES_MAX)
        );
        let many = Effort {
            functions: FUNCTIONS_MAX + 1,
            ..none
        };
        assert_eq!(many.judge().unwrap_err().what, "functions");
        // A few bytes that would keep a compiler busy for minutes: each branch joins fifty thousand variables.
        let locals = "(local i64) ".repeat(50_000);
        let branches = "(block (br_if 0 (i32.const 1)))".repeat(500);
        let knot = effort(&format!("(func {locals} {branches})"));
        let told = knot.judge().unwrap_err();
        assert_eq!(told.what, "branches times variables in one function");
        assert_eq!(told.has, 50_000 * 1_000);
        let adapters = Effort {
            adapters: ADAPTERS_MAX + 1,
            ..none
        };
        assert!(adapters.judge().is_err());
    }
}
