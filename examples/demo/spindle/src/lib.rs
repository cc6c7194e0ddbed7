//! Speeds and feeds of a lathe: small enough to build in a second, real enough to have tests.
//!
//! Lengths are millimetres, cutting speeds metres per minute, spindle speeds revolutions per minute.

use std::f64::consts::PI;
use std::fmt;

/// Why a cut cannot be planned.
#[derive(Debug, Clone, PartialEq)]
pub enum CutError {
    /// The workpiece has no thickness (millimetres).
    Diameter(f64),
    /// The cutting speed is not above zero (metres per minute).
    CuttingSpeed(f64),
    /// The lathe turns slower than the cut asks for (revolutions per minute).
    TooFast {
        /// What the cut asks for.
        wanted: f64,
        /// What the lathe can do.
        limit: f64,
    },
}

impl fmt::Display for CutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Diameter(mm) => write!(f, "a workpiece of {mm} mm cannot be turned"),
            Self::CuttingSpeed(v) => write!(f, "a cutting speed of {v} m/min cuts nothing"),
            Self::TooFast { wanted, limit } => {
                write!(f, "the cut wants {wanted:.0} rpm, the lathe does {limit:.0}")
            }
        }
    }
}

impl std::error::Error for CutError {}

/// Revolutions per minute at which the edge moves with `cutting_speed` on a workpiece of `diameter`.
///
/// # Errors
/// When either number is not above zero.
pub fn spindle_speed(cutting_speed: f64, diameter: f64) -> Result<f64, CutError> {
    if diameter.is_nan() || diameter <= 0.0 {
        return Err(CutError::Diameter(diameter));
    }
    if cutting_speed.is_nan() || cutting_speed <= 0.0 {
        return Err(CutError::CuttingSpeed(cutting_speed));
    }
    Ok(cutting_speed * 1000.0 / (PI * diameter))
}

/// As [`spindle_speed`], for a lathe that turns at most `limit` times a minute.
///
/// # Errors
/// As [`spindle_speed`], and when the lathe is too slow.
pub fn spindle_speed_on(limit: f64, cutting_speed: f64, diameter: f64) -> Result<f64, CutError> {
    let wanted = spindle_speed(cutting_speed, diameter)?;
    if wanted > limit {
        return Err(CutError::TooFast { wanted, limit });
    }
    Ok(wanted)
}

/// Minutes that one pass of `length` takes with `feed` millimetres per revolution.
#[must_use]
pub fn minutes_of_pass(length: f64, feed: f64, rpm: f64) -> f64 {
    length / (feed * rpm)
}

/// How many passes take `diameter` down to `target` with at most `depth` per pass.
#[must_use]
pub fn passes(diameter: f64, target: f64, depth: f64) -> u32 {
    let stock = (diameter - target) / 2.0;
    if stock <= 0.0 || depth <= 0.0 {
        return 0;
    }
    (stock / depth).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 0.5
    }

    #[test]
    fn steel_on_a_small_bar_turns_fast() {
        assert!(close(spindle_speed(30.0, 10.0).unwrap(), 955.0));
    }

    #[test]
    fn thicker_stock_turns_slower() {
        assert!(spindle_speed(30.0, 40.0).unwrap() < spindle_speed(30.0, 20.0).unwrap());
    }

    #[test]
    fn nothing_cannot_be_turned() {
        assert_eq!(spindle_speed(30.0, 0.0), Err(CutError::Diameter(0.0)));
        assert!(spindle_speed(30.0, f64::NAN).is_err());
    }

    #[test]
    fn a_speed_of_zero_cuts_nothing() {
        assert_eq!(spindle_speed(0.0, 10.0), Err(CutError::CuttingSpeed(0.0)));
    }

    #[test]
    fn a_slow_lathe_says_what_it_lacks() {
        let error = spindle_speed_on(800.0, 30.0, 10.0).unwrap_err();
        assert_eq!(error.to_string(), "the cut wants 955 rpm, the lathe does 800");
    }

    #[test]
    fn a_lathe_within_its_limit_turns() {
        assert!(spindle_speed_on(2000.0, 30.0, 10.0).is_ok());
    }

    #[test]
    fn a_pass_takes_length_over_feed() {
        assert!((minutes_of_pass(100.0, 0.1, 500.0) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn passes_are_rounded_up() {
        assert_eq!(passes(50.0, 46.0, 1.5), 2);
        assert_eq!(passes(50.0, 46.0, 2.0), 1);
    }

    #[test]
    fn stock_that_fits_needs_no_pass() {
        assert_eq!(passes(46.0, 46.0, 1.0), 0);
        assert_eq!(passes(40.0, 46.0, 1.0), 0);
    }
}
