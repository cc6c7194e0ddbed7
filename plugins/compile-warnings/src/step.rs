//! Runs the build, and writes what people and later steps want to know.

use crate::parameters::Parameters;
use crate::parse::Collector;
use crate::verdict::{self, Counted};
use toolpost_sdk::{Context, Error, Level, Outcome, Step};

/// How often the text beside the step says how many warnings there are.
const LINES_PER_SUMMARY: usize = 200;

/// The step type `compile-warnings`.
pub(crate) struct CompileWarnings;

impl Step for CompileWarnings {
    const NAME: &'static str = "compile-warnings";
    const SUMMARY: &'static str =
        "Runs a build, and counts and collects the warnings of its compilers.";
    type Parameters = Parameters;

    fn run(parameters: Parameters, ctx: &Context) -> Result<Outcome, Error> {
        let mut collector = Collector::new(parameters.rules()?);
        let mut command = ctx.command(parameters.command.clone()).log("stdio");
        if let Some(workdir) = &parameters.workdir {
            command = command.workdir(workdir);
        }
        for (name, value) in &parameters.env {
            command = command.env(name, value);
        }
        let running = command.start()?;
        let mut said = 0;
        for (number, line) in running.lines().enumerate() {
            collector.line(&line.text);
            if number % LINES_PER_SUMMARY == 0 && collector.count() != said {
                said = collector.count();
                ctx.set_summary(&format!("building: {said} warnings"));
            }
        }
        collector.finish();
        let exit = running.wait()?;

        let counted = Counted {
            warnings: collector.count(),
            suppressed: collector.suppressed(),
            baseline: baseline(parameters.baseline_property.as_deref(), ctx),
        };
        write_warnings(&collector, ctx)?;
        ctx.set_property(&parameters.property, counted.warnings)?;
        Ok(verdict::outcome(counted, &exit, &parameters))
    }
}

/// The earlier count; a property that is no count compares with nothing.
fn baseline(property: Option<&str>, ctx: &Context) -> Option<u64> {
    let name = property?;
    let value = ctx.property(name)?;
    let count = value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok());
    if count.is_none() {
        let text = format!("the property `{name}` is {value}, which is no count of warnings");
        ctx.log(Level::Warn, &text);
    }
    count
}

/// The log `warnings`: how many of each kind, then each of them.
fn write_warnings(collector: &Collector, ctx: &Context) -> Result<(), Error> {
    if collector.count() == 0 {
        return Ok(());
    }
    let mut log = ctx.text_log("warnings")?;
    let by_code = collector.by_code();
    if by_code.len() > 1 {
        for (code, count) in by_code {
            writeln!(
                log,
                "{count:>6}  {}",
                if code.is_empty() { "other" } else { code }
            )?;
        }
        writeln!(log)?;
    }
    for kept in collector.kept() {
        writeln!(log, "{}", kept.warning)?;
        for line in &kept.context {
            writeln!(log, "    {line}")?;
        }
    }
    let left_out = collector
        .count()
        .saturating_sub(collector.kept().len() as u64);
    if left_out > 0 {
        writeln!(log, "and {left_out} more")?;
    }
    log.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use toolpost_sdk::mock::{MockCommand, MockHost};

    const GCC: &str = "gcc -c a.c\n\u{1b}[1ma.c:3:9:\u{1b}[m warning: unused variable 'x' [-Wunused-variable]\n\
        \u{20}   3 |     int x;\n      |         ^\n\
        vendor/b.h:1:1: warning: odd [-Wodd]\na.c:7:1: warning: odd [-Wodd]\n";

    #[test]
    fn warnings_are_counted_and_collected() {
        let host = MockHost::new().command("make", MockCommand::exit(0).stderr(GCC));
        let outcome = host.run::<CompileWarnings>(json!({
            "command": "make",
            "suppress": [{"file": "^vendor/"}],
            "context_lines": 1,
        }));
        assert_eq!(outcome, Ok(Outcome::warnings("2 warnings, 1 suppressed")));
        assert_eq!(host.property_value("warnings_count"), Some(json!(2)));
        assert_eq!(
            host.log("warnings"),
            "     1  -Wodd\n     1  -Wunused-variable\n\n\
             a.c:3:9: unused variable 'x' [-Wunused-variable]\n        3 |     int x;\n\
             a.c:7:1: odd [-Wodd]\n"
        );
    }

    #[test]
    fn a_quiet_build_has_no_log_of_warnings() {
        let host = MockHost::new().command(["make"], MockCommand::exit(0).stdout("done\n"));
        let outcome = host.run::<CompileWarnings>(json!({"command": ["make"]}));
        assert_eq!(outcome, Ok(Outcome::success("no warnings")));
        assert_eq!(host.log_names(), ["stdio"]);
    }

    #[test]
    fn a_baseline_is_any_property_that_is_a_count() {
        let run = |value: serde_json::Value| {
            let host = MockHost::new()
                .property("before", value)
                .command("make", MockCommand::exit(0).stdout(GCC));
            let parameters = json!({"command": "make", "baseline_property": "before"});
            let outcome = host.run::<CompileWarnings>(parameters).expect("a result");
            (outcome.summary, host.operator_log().len())
        };
        assert_eq!(run(json!(3)), ("3 warnings (as before)".to_owned(), 0));
        assert_eq!(
            run(json!(" 5 ")),
            ("3 warnings (2 fewer than before)".to_owned(), 0)
        );
        assert_eq!(run(json!("many")), ("3 warnings".to_owned(), 1));
    }

    #[test]
    fn parameters_that_make_no_sense_are_named() {
        let check = |parameters, expected: &str| {
            let error = MockHost::new()
                .run::<CompileWarnings>(parameters)
                .expect_err("it is refused");
            assert!(error.to_string().starts_with(expected), "{error}");
        };
        check(
            json!({"command": "x", "patterns": ["("]}),
            "parameter `patterns[0]`: regex",
        );
        check(
            json!({"command": "x", "patterns": ["(?<fiel>x)"]}),
            "parameter `patterns[0]`: the group `fiel` means nothing",
        );
        check(
            json!({"command": "x", "suppress": [{"text": "["}]}),
            "parameter `suppress[0].text`",
        );
        check(
            json!({"command": "x", "suppress": [{}]}),
            "parameter `suppress[0]`: is empty",
        );
        check(
            json!({"command": "x", "patterns_only": true}),
            "parameter `patterns`: none",
        );
        check(
            json!({"command": "x", "warn_above": 3, "fail_above": 1}),
            "parameter `fail_above`: is less",
        );
        check(json!({}), "missing field `command`");
    }
}
