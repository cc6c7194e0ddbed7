//! "Did you mean": the nearest of the names that would have been right.

/// How alike two names must be: catches a slip or two of the finger, not another word.
const SIMILARITY_MIN: f64 = 0.75;
/// With at most this many right names, all of them are listed when none is near.
const LISTED_MAX: usize = 20;

/// The name among `known` that `wrong` most likely stands for.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = normal(wrong);
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, &normal(name)), name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        // The first of equals, so that the answer does not depend on anything unseen.
        .fold(None, |best: Option<(f64, &str)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        })
        .map(|(_, name)| name)
}

/// A help line for an unknown name: the nearest, or a short list; nothing when nothing is known.
pub(crate) fn help<'a>(
    wrong: &str,
    what: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(name) = nearest(wrong, known.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    match known.len() {
        0 => None,
        1..=LISTED_MAX => Some(format!("known {what}: {}", list(known))),
        more => Some(format!(
            "there are {more} {what}, among them {}",
            list(known.into_iter().take(LISTED_MAX))
        )),
    }
}

/// Names in backticks with commas.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Case, hyphens and underscores do not make a name another one: people who come from Buildbot write
/// `haltOnFailure`.
fn normal(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}
