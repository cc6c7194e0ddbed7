//! Reads what real compilers printed: the files in `fixtures/`.

use super::{Collector, Rules};

fn check(text: &str, expected: &[&str]) {
    let mut collector = Collector::new(Rules {
        context_lines: 9,
        ..Rules::default()
    });
    text.lines().for_each(|line| collector.line(line));
    collector.finish();
    let shown = |kept: &super::Kept| format!("{} +{}", kept.warning, kept.context.len());
    let found: Vec<String> = collector.kept().iter().map(shown).collect();
    assert_eq!(found, expected);
}

#[test]
fn cargo_colour_txt() {
    check(
        include_str!("../../fixtures/cargo-colour.txt"),
        &[
            "src/lib.rs:4:27: unused variable: `unused` +5",
            "src/lib.rs:5:4: function `never` is never used +5",
        ],
    );
}

#[test]
fn cargo_txt() {
    check(
        include_str!("../../fixtures/cargo.txt"),
        &[
            "src/lib.rs:4:27: unused variable: `unused` +5",
            "src/lib.rs:5:4: function `never` is never used +5",
        ],
    );
}

#[test]
fn gcc_colour_txt() {
    check(
        include_str!("../../fixtures/gcc-colour.txt"),
        &[
            "a.c:3:33: initialization of ‘char *’ from ‘int’ makes pointer from integer without a cast [-Wint-conversion] +2",
            "a.c:3:45: format ‘%s’ expects argument of type ‘char *’, but argument 2 has type ‘int’ [-Wformat=] +6",
            "a.c:3:62: comparison between pointer and integer +2",
            "a.c:3:20: unused variable ‘x’ [-Wunused-variable] +2",
            "a.c:2:12: ‘never’ defined but not used [-Wunused-function] +2",
        ],
    );
}

#[test]
fn gcc_txt() {
    check(
        include_str!("../../fixtures/gcc.txt"),
        &[
            "a.c:3:33: initialization of ‘char *’ from ‘int’ makes pointer from integer without a cast [-Wint-conversion] +2",
            "a.c:3:45: format ‘%s’ expects argument of type ‘char *’, but argument 2 has type ‘int’ [-Wformat=] +6",
            "a.c:3:62: comparison between pointer and integer +2",
            "a.c:3:20: unused variable ‘x’ [-Wunused-variable] +2",
            "a.c:2:12: ‘never’ defined but not used [-Wunused-function] +2",
        ],
    );
}

#[test]
fn javac_txt() {
    check(
        include_str!("../../fixtures/javac.txt"),
        &[
            "Lathe.java:1: found raw type: List [rawtypes] +0",
            "Lathe.java:1: found raw type: ArrayList [rawtypes] +0",
            "Lathe.java:1: unchecked call to add(E) as a member of the raw type List [unchecked] +0",
            "Lathe.java:1: stop() in Thread has been deprecated [deprecation] +0",
        ],
    );
}
