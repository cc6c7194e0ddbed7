//! How much one client may ask for, and how often passwords may be tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Passwords that are tried from one address: so many at once, and as many in a minute.
const TRIES_PER_ADDRESS: u32 = 10;
/// Passwords that are tried for one name.
const TRIES_PER_NAME: u32 = 30;
/// Requests that may come at once, as a multiple of those in a second.
const BURST_SECONDS: u32 = 10;
/// Clients that are remembered; beyond that those go that have been quiet.
const CLIENTS_MAX: usize = 10_000;

type Limiter<K> = DefaultKeyedRateLimiter<K>;

/// The limits.
pub(super) struct Limits {
    by_address: Limiter<IpAddr>,
    by_name: Limiter<String>,
    /// With the requests per second that it was made for.
    requests: Mutex<Option<(u32, Arc<Limiter<IpAddr>>)>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            by_address: RateLimiter::keyed(per_minute(TRIES_PER_ADDRESS)),
            by_name: RateLimiter::keyed(per_minute(TRIES_PER_NAME)),
            requests: Mutex::default(),
        }
    }
}

fn per_minute(count: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))
}

/// Whoever has one address of such a network has all of them.
fn client(address: Option<IpAddr>) -> IpAddr {
    match address {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

impl Limits {
    /// Whether one more password may be tried.
    pub(super) fn may_try(&self, address: Option<IpAddr>, name: &str) -> bool {
        let from = self.by_address.check_key(&client(address)).is_ok();
        // Who is stopped already does not use up what others may try for that name.
        let may = from && self.by_name.check_key(&name.to_owned()).is_ok();
        if self.by_address.len() > CLIENTS_MAX {
            self.by_address.retain_recent();
        }
        if self.by_name.len() > CLIENTS_MAX {
            self.by_name.retain_recent();
        }
        may
    }

    /// Whether one more log-in at a provider may be begun.
    pub(super) fn may_begin(&self, address: Option<IpAddr>) -> bool {
        self.by_address.check_key(&client(address)).is_ok()
    }

    /// Whether one more request may be made, when so many may be in a second.
    pub(super) fn may_ask(&self, per_second: u32, address: Option<IpAddr>) -> bool {
        let limiter = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            match &*requests {
                Some((made_for, limiter)) if *made_for == per_second => Arc::clone(limiter),
                _ => {
                    let rate = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
                    let burst = rate
                        .saturating_mul(NonZeroU32::new(BURST_SECONDS).unwrap_or(NonZeroU32::MIN));
                    let quota = Quota::per_second(rate).allow_burst(burst);
                    let limiter = Arc::new(RateLimiter::keyed(quota));
                    *requests = Some((per_second, Arc::clone(&limiter)));
                    limiter
                }
            }
        };
        let may = limiter.check_key(&client(address)).is_ok();
        if limiter.len() > CLIENTS_MAX {
            limiter.retain_recent();
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_by_address_and_by_name() {
        let limits = Limits::default();
        let address = |last: u8| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        for _ in 0..TRIES_PER_ADDRESS {
            assert!(limits.may_try(address(1), "ada"));
        }
        assert!(!limits.may_try(address(1), "eve"));
        for from in 2..4 {
            for _ in 0..TRIES_PER_ADDRESS {
                assert!(limits.may_try(address(from), "ada"));
            }
        }
        assert!(!limits.may_try(address(4), "ada"));
        assert!(limits.may_try(address(4), "bob"));
        let v6 = |text: &str| Some(text.parse().expect("an address"));
        for host in 0..TRIES_PER_ADDRESS {
            assert!(limits.may_try(v6(&format!("2001:db8::{host:x}")), &format!("user {host}")));
        }
        assert!(!limits.may_try(v6("2001:db8::ffff"), "somebody"));
    }

    #[test]
    fn requests_are_counted_by_client() {
        let limits = Limits::default();
        let one = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let asked = (0..100).filter(|_| limits.may_ask(3, one)).count();
        assert!((30..40).contains(&asked), "{asked}");
        assert!(limits.may_ask(3, None));
        assert!(limits.may_ask(4, one), "another limit counts anew");
    }
}
