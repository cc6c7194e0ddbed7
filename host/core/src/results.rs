//! Result codes of steps, builds, requests and build sets, with Buildbot's numbers and order of severity.

/// How a step, build, request or build set ended.
///
/// The numbers are those of Buildbot's manual, section "Build Result Codes"; they are stored and sent as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Results {
    /// It worked.
    Success = 0,
    /// It worked, with something to look at.
    Warnings = 1,
    /// It ran and did not work.
    Failure = 2,
    /// It was not run.
    Skipped = 3,
    /// It could not be run properly: the farm's fault, not the code's.
    Exception = 4,
    /// It is to be run again.
    Retry = 5,
    /// A person or a rule stopped it.
    Cancelled = 6,
}

impl Results {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Warnings,
        Self::Failure,
        Self::Skipped,
        Self::Exception,
        Self::Retry,
        Self::Cancelled,
    ];

    /// The number that is stored and sent.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The result with this number, or `None` for a number that Buildbot does not define.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code)
            .ok()
            .and_then(|code| Self::ALL.get(code).copied())
    }

    /// The lower-case name that Buildbot uses in texts and style sheets.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warnings => "warnings",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
            Self::Exception => "exception",
            Self::Retry => "retry",
            Self::Cancelled => "cancelled",
        }
    }

    /// How bad it is: skipped, success, warnings, failure, exception, retry, cancelled.
    ///
    /// Skipped is the mildest, so that a build of which all steps but one are skipped has that one's result.
    fn severity(self) -> u8 {
        match self {
            Self::Skipped => 0,
            Self::Success => 1,
            Self::Warnings => 2,
            Self::Failure => 3,
            Self::Exception => 4,
            Self::Retry => 5,
            Self::Cancelled => 6,
        }
    }

    /// The worse of the two.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if other.severity() > self.severity() {
            other
        } else {
            self
        }
    }

    /// Whether what depends on it may go on: success or warnings.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Success | Self::Warnings)
    }
}

impl std::fmt::Display for Results {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_buildbots() {
        let table = Results::ALL.map(|r| (r.code(), r.name()));
        assert_eq!(
            table,
            [
                (0, "success"),
                (1, "warnings"),
                (2, "failure"),
                (3, "skipped"),
                (4, "exception"),
                (5, "retry"),
                (6, "cancelled"),
            ]
        );
        for r in Results::ALL {
            assert_eq!(Results::from_code(i64::from(r.code())), Some(r));
        }
        assert_eq!(Results::from_code(7), None);
        assert_eq!(Results::from_code(-1), None);
    }

    #[test]
    fn worst_is_an_order() {
        for a in Results::ALL {
            for b in Results::ALL {
                assert_eq!(a.worst(b), b.worst(a), "{a} and {b}");
                for c in Results::ALL {
                    assert_eq!(a.worst(b).worst(c), a.worst(b.worst(c)));
                }
            }
        }
        assert_eq!(Results::Skipped.worst(Results::Success), Results::Success);
        assert_eq!(Results::Failure.worst(Results::Warnings), Results::Failure);
        assert_eq!(
            Results::Exception.worst(Results::Cancelled),
            Results::Cancelled
        );
    }
}
