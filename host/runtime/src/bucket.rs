//! A rate with a burst: how much may be spent at once, and how fast it comes back.

use std::time::Instant;

/// What may be spent of something, refilled as time goes by. Units are the caller's: bytes, calls, nanoseconds.
#[derive(Debug)]
pub(crate) struct Bucket {
    burst: u64,
    per_second: u64,
    /// May be below zero: what was spent before it could be asked for.
    level: i128,
    refilled: Instant,
}

/// Nanoseconds of a second.
const SECOND_NS: u128 = 1_000_000_000;

impl Bucket {
    /// A full one.
    pub(crate) fn new(burst: u64, per_second: u64) -> Self {
        Self { burst, per_second, level: i128::from(burst), refilled: Instant::now() }
    }

    /// Takes `amount` if there is as much.
    pub(crate) fn take(&mut self, amount: u64, now: Instant) -> bool {
        self.refill(now);
        let left = self.level.saturating_sub(i128::from(amount));
        if left < 0 {
            return false;
        }
        self.level = left;
        true
    }

    /// Takes what is spent already. What is missing is a debt that the next one who asks finds.
    pub(crate) fn charge(&mut self, amount: u64, now: Instant) {
        self.refill(now);
        self.level = self.level.saturating_sub(i128::from(amount));
    }

    /// How long until nothing is owed, in nanoseconds; 0 when nothing is.
    pub(crate) fn owed_ns(&mut self, now: Instant) -> u64 {
        self.refill(now);
        if self.level >= 0 {
            return 0;
        }
        let owed = self.level.unsigned_abs().saturating_mul(SECOND_NS);
        u64::try_from(owed.div_ceil(u128::from(self.per_second.max(1)))).unwrap_or(u64::MAX)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_nanos();
        let refill = passed.saturating_mul(u128::from(self.per_second)) / SECOND_NS;
        // What is less than one unit goes on counting from the last refill.
        if refill > 0 {
            let refill = i128::try_from(refill).unwrap_or(i128::MAX);
            self.level = self.level.saturating_add(refill).min(i128::from(self.burst));
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn burst_is_spent_and_comes_back_with_time() {
        let mut bucket = Bucket::new(10, 2);
        let begun = bucket.refilled;
        assert!(bucket.take(10, begun) && !bucket.take(1, begun));
        assert!(!bucket.take(1, begun + Duration::from_millis(499)));
        assert!(bucket.take(1, begun + Duration::from_millis(500)));
        let later = begun + Duration::from_secs(3_600);
        assert!(bucket.take(10, later) && !bucket.take(1, later), "never more than the burst");
    }

    #[test]
    fn what_was_spent_before_it_was_asked_for_is_owed() {
        let mut bucket = Bucket::new(100, 1_000);
        let begun = bucket.refilled;
        bucket.charge(600, begun);
        assert_eq!(bucket.owed_ns(begun), 500_000_000);
        assert!(!bucket.take(1, begun));
        assert_eq!(bucket.owed_ns(begun + Duration::from_millis(500)), 0);
    }

    #[test]
    fn bucket_that_never_refills_owes_for_ever_and_does_not_divide_by_nothing() {
        let mut bucket = Bucket::new(0, 0);
        let begun = bucket.refilled;
        bucket.charge(5, begun);
        assert_eq!(bucket.owed_ns(begun + Duration::from_secs(9)), 5_000_000_000);
    }
}
