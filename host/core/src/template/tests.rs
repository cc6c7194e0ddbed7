use serde_json::{Value, json};

use super::*;
use crate::model::SourceStampSpec;
use crate::step::When;
use crate::{Properties, Results};

fn stamp(codebase: &str, branch: Option<&str>) -> SourceStampSpec {
    SourceStampSpec {
        codebase: codebase.into(),
        repository: format!("https://example.org/{codebase}.git"),
        branch: branch.map(Into::into),
        ..SourceStampSpec::default()
    }
}

fn scope() -> Scope {
    let mut properties = Properties::new();
    properties.set("jobs", 8, "Builder");
    properties.set("targets", json!(["a", "b"]), "Builder");
    properties.set("branch", "main", "Build");
    properties.set("owner", Value::Null, "Change");
    properties.set("got-revision", "abc", "git");
    properties.set("object", json!({"z": 1, "a": [true, null]}), "Builder");
    Scope::new()
        .with_properties(&properties)
        .with_sources([stamp("", Some("main"))])
        .with_build(&BuildScope {
            number: Some(7),
            builder: "unit".into(),
            ..BuildScope::default()
        })
        .with_worker(&WorkerScope {
            name: "local".into(),
            info: [("os".to_owned(), json!("linux"))].into(),
        })
}

#[track_caller]
fn check_text(template: &str, expected: &str) {
    let rendered = Templates::default().render(template, &scope());
    assert_eq!(rendered.as_deref(), Ok(expected), "{template}");
}

#[track_caller]
fn check_value(template: &Value, expected: &Value) {
    let rendered = Templates::default().render_value(template, &scope());
    assert_eq!(rendered.as_ref(), Ok(expected), "{template}");
}

#[track_caller]
fn failure(template: &str) -> String {
    let error = Templates::default()
        .render_value(&template.into(), &scope())
        .expect_err(template);
    format!(
        "{:?} at {}:{}: {}",
        error.kind, error.line, error.column, error.message
    )
}

#[test]
fn texts_are_rendered() {
    check_text("plain % $HOME {x}\n", "plain % $HOME {x}\n");
    check_text("-j{{ prop.jobs }}\n", "-j8\n");
    check_text("{{ prop[\"got-revision\"] }}!", "abc!");
    check_text(
        "{{ src.branch }} on {{ worker.name }}/{{ worker.info.os }}",
        "main on local/linux",
    );
    check_text("{{ build.builder }}#{{ build.number }}", "unit#7");
    check_text("{% for t in prop.targets %}{{ t }};{% endfor %}", "a;b;");
    check_text("<{{ prop.branch }}> & \"q\"", "<main> & \"q\"");
}

#[test]
fn null_prints_nothing_and_containers_print_json() {
    check_text("[{{ prop.owner }}]", "[]");
    check_text("[{{ src.revision }}]", "[]");
    check_text("t={{ prop.targets }}", r#"t=["a","b"]"#);
    check_text("o={{ prop.object }}", r#"o={"z":1,"a":[true,null]}"#);
}

#[test]
fn defaults_take_the_place_of_what_is_missing_or_null() {
    check_text("-{{ prop.none | default('x') }}", "-x");
    check_text("-{{ prop.none | d }}", "-");
    check_text("-{{ src.revision | default(\"newest\") }}", "-newest");
    check_text("-{{ prop.owner | default(prop.branch) }}", "-main");
    check_text("-{{ prop.branch | default('x') }}", "-main");
    check_text("-{{ 'y' if prop.none is defined else 'n' }}", "-n");
}

#[test]
fn one_expression_alone_keeps_its_type() {
    check_value(&json!("{{ prop.jobs }}"), &json!(8));
    check_value(&json!("{{prop.jobs + 1}}"), &json!(9));
    check_value(&json!("{{ prop.targets }}"), &json!(["a", "b"]));
    check_value(
        &json!("{{ prop.object }}"),
        &json!({"z": 1, "a": [true, null]}),
    );
    check_value(&json!("{{ prop.owner }}"), &json!(null));
    check_value(&json!("{{ prop.jobs > 4 }}"), &json!(true));
    check_value(&json!("{{ {'k': {}} }}"), &json!({"k": {}}));
    check_value(&json!("{{ prop.jobs }} "), &json!("8 "));
    check_value(&json!("{{ prop.jobs }}{{ prop.jobs }}"), &json!("88"));
    check_value(&json!("{{ '}} {{' }}"), &json!("}} {{"));
    check_value(&json!("{{- prop.jobs -}}"), &json!("8"));
}

#[test]
fn values_are_rendered_to_any_depth_and_keys_are_not() {
    check_value(
        &json!({"{{ prop.jobs }}": ["make", {"j": "{{ prop.jobs }}"}], "n": 3, "b": false, "z": null}),
        &json!({"{{ prop.jobs }}": ["make", {"j": 8}], "n": 3, "b": false, "z": null}),
    );
}

#[test]
fn a_scope_with_several_codebases_names_each() {
    let scope = Scope::new().with_sources([
        SourceScope {
            got_revision: Some("cafe".into()),
            ..stamp("app", Some("main")).into()
        },
        stamp("lib", None).into(),
    ]);
    let templates = Templates::default();
    let render = |text: &str| templates.render(text, &scope);
    assert_eq!(
        render("{{ src.app.branch }} {{ src.app.revision }} {{ src.lib.branch }}").as_deref(),
        Ok("main cafe ")
    );
    let error = render("{{ src.branch }}").unwrap_err();
    insta::assert_snapshot!(error, @"there is no source `branch` (there are `app`, `lib`); set it, or say what then with `| default(...)`");
}

#[test]
fn what_is_undefined_is_named_with_what_there_is() {
    insta::assert_snapshot!(failure("x {{ prop.brnch }}"), @"Undefined at 1:6: there is no property `brnch` (there are `branch`, `got-revision`, `jobs`, `object`, `owner`, `targets`); set it, or say what then with `| default(...)`");
    insta::assert_snapshot!(failure("{{ prop.brnch }}"), @"Undefined at 1:4: there is no property `brnch` (there are `branch`, `got-revision`, `jobs`, `object`, `owner`, `targets`); set it, or say what then with `| default(...)`");
    insta::assert_snapshot!(failure("a\n{{ prop[\"x-y\"] }}"), @"Undefined at 2:4: there is no property `x-y` (there are `branch`, `got-revision`, `jobs`, `object`, `owner`, `targets`); set it, or say what then with `| default(...)`");
    insta::assert_snapshot!(failure("{{ worker.info.cpu }}"), @"Undefined at 1:4: `worker.info.cpu` is not defined (there are `os`); set it, or say what then with `| default(...)`");
    insta::assert_snapshot!(failure("{{ results == 0 and prop.x }}"), @"Undefined at 1:0: `results` is not defined (there are `build`, `prop`, `src`, `worker`); set it, or say what then with `| default(...)`");
    insta::assert_snapshot!(failure("{{ prop.none.deep }}"), @"Undefined at 1:8: there is no property `none` (there are `branch`, `got-revision`, `jobs`, `object`, `owner`, `targets`); set it, or say what then with `| default(...)`");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let check = |text: &str| {
        let error = Templates::default().check(text).expect_err(text);
        format!("{}:{}: {}", error.line, error.column, error.message)
    };
    insta::assert_snapshot!(check("ok\n  {{ prop.x "), @"2:11: syntax error: unexpected end of input, expected end of variable block");
    insta::assert_snapshot!(check("{% if prop.x %}"), @"1:14: syntax error: unexpected end of input, expected end of block");
    insta::assert_snapshot!(check("ü {{ prop.x | nosuch }}"), @"1:15: there is no filter `nosuch`");
    insta::assert_snapshot!(check("docker inspect -f '{{.State}}'"), @"1:22: syntax error: unexpected `.`; if the braces are meant for another program, write {% raw %}...{% endraw %} around them");
    let expression = Templates::default()
        .evaluate("1 + prop.x", &scope())
        .unwrap_err();
    assert_eq!((expression.line, expression.column), (1, 1));
    let expression = Templates::default()
        .evaluate("prop.x", &scope())
        .unwrap_err();
    assert_eq!((expression.line, expression.column), (1, 1));
    insta::assert_snapshot!(check("{{ }}"), @"1:4: syntax error: unexpected end of variable block");
    insta::assert_snapshot!(check("{{ property.x }}"), @"1:4: there is no `property` in templates; there are `prop`, `src`, `build`, `worker`, `results`, `result`");
    insta::assert_snapshot!(check("{{ nosuch(1) }}"), @"1:4: there is no `nosuch` in templates; there are `prop`, `src`, `build`, `worker`, `results`, `result`");
    insta::assert_snapshot!(failure("{{ prop.jobs + 'x' }}"), @"Invalid at 1:4: invalid operation: tried to use + operator on unsupported types number and string");
}

#[test]
fn good_templates_pass_the_check_without_any_values() {
    let templates = Templates::default();
    for text in [
        "",
        "no template }} here",
        "{{ prop.anything }} {{ src.hello.revision | default('x') }}",
        "{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}",
        "{% set x = prop.a %}{{ x }}",
        "{# a comment #}",
        "{{ prop.list | join(',') | upper | tojson }}",
    ] {
        assert_eq!(templates.check(text), Ok(()), "{text}");
    }
    let nested = json!(["{{ prop.x }}", {"k": "{{ nosuch }}"}]);
    assert!(templates.check_value(&nested).is_err());
    assert_eq!(templates.check_expression("results == 2 or prop.x"), Ok(()));
    assert!(templates.check_expression("{{ prop.x }}").is_err());
    assert!(templates.check_expression("").is_err());
}

#[test]
fn conditions_hold_or_not() {
    let holds = |condition: &str, scope: &Scope| {
        Templates::default().holds(&When::Expression(condition.into()), scope)
    };
    for (condition, expected) in [
        ("true", true),
        ("prop.branch == 'main'", true),
        ("prop.jobs > 10 or 'a' in prop.targets", true),
        ("prop.owner", false),
        ("not prop.owner", true),
        ("prop.none is defined", false),
        ("prop.none | default(false)", false),
        ("''", false),
        ("0", false),
    ] {
        assert_eq!(holds(condition, &scope()), Ok(expected), "{condition}");
    }
    assert!(holds("prop.none", &scope()).is_err());
    let after = scope().with_results(Results::Skipped);
    assert_eq!(
        holds("result == 'skipped' and results == 3", &after),
        Ok(true)
    );
    assert_eq!(Templates::default().holds(&When::NEVER, &after), Ok(false));
}

#[test]
fn greedy_templates_end() {
    for greedy in [
        "{% for a in range(9000) %}{% for b in range(9000) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 999999999 }}",
        "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{{ range(99999) | list | length ** 999 }}",
    ] {
        let error = Templates::default()
            .render(greedy, &scope())
            .expect_err(greedy);
        assert_ne!(
            error.kind,
            TemplateErrorKind::Undefined,
            "{greedy}: {error}"
        );
    }
    let small = Templates::new(TemplateLimits {
        output_bytes_max: 10,
        template_bytes_max: 40,
        depth_max: 2,
        ..TemplateLimits::default()
    });
    let kind = |value: &Value| {
        small
            .render_value(value, &scope())
            .map_err(|error| error.kind)
    };
    let too_much = Err(TemplateErrorKind::TooMuch);
    assert_eq!(kind(&json!("{{ 'x' * 10 }}")), Ok(json!("xxxxxxxxxx")));
    assert_eq!(kind(&json!("{{ 'x' * 11 }}")), too_much);
    assert_eq!(kind(&json!("{{ 'x' * 10 }}y")), too_much);
    assert_eq!(kind(&json!("{{ ['x' * 11] }}")), too_much);
    assert_eq!(
        kind(&json!(format!("{{{{ '{}' }}}}", "x".repeat(40)))),
        too_much
    );
    assert_eq!(kind(&json!([["ok"]])), Ok(json!([["ok"]])));
    assert_eq!(kind(&json!([[["deep"]]])), too_much);
    let deep_source = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(Templates::default().check(&deep_source).is_err());
}

#[test]
fn templates_reach_nothing_outside_their_scope() {
    for outside in [
        "{% include 'file' %}",
        "{% import 'file' as f %}",
        "{{ debug() }}",
        "{{ env.HOME }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ] {
        assert!(
            Templates::default().render(outside, &scope()).is_err(),
            "{outside}"
        );
    }
}
