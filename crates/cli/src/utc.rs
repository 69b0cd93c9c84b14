//! Times as date and time of day in UTC, for files that say when something was.

use std::fmt;

/// A moment, in whole seconds.
pub(crate) struct Utc {
    year: u64,
    month: u64,
    day: u64,
    /// The seconds of the day.
    seconds: u64,
}

impl Utc {
    /// So many seconds after 1970-01-01.
    pub(crate) fn at(seconds: u64) -> Utc {
        const DAY: u64 = 86_400;
        let (year, month, day) = civil_date(seconds / DAY);
        Utc { year, month, day, seconds: seconds % DAY }
    }

    /// `2026-11-30`.
    pub(crate) fn date(&self) -> impl fmt::Display {
        let Utc { year, month, day, .. } = self;
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `01:59:31`.
    pub(crate) fn time(&self) -> impl fmt::Display {
        let seconds = self.seconds;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// The Gregorian date of a day since 1970-01-01: year, month, day.
fn civil_date(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day is the last of its year.
    // 719 468 days from 0000-03-01 to 1970-01-01; an era is 400 years, after which the calendar repeats.
    const DAYS_OF_ERA: u64 = 146_097;
    let day = days + 719_468;
    let (era, day) = (day / DAYS_OF_ERA, day % DAYS_OF_ERA);
    // 1460 days of four years, 36 524 of a century, 146 096 of an era: each quotient takes back one leap day that is,
    // or is not.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, and so on: 153 days in five of them.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::{Utc, civil_date};

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(11_016), (2000, 2, 29));
        assert_eq!(civil_date(11_017), (2000, 3, 1));
        assert_eq!(civil_date(20_777), (2026, 11, 20));
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let is_leap =
            |year: u64| year.is_multiple_of(400) || year.is_multiple_of(4) && !year.is_multiple_of(100);
        let length = |year, month| match month {
            2 => 28 + u64::from(is_leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for day in 0..200_000 {
            assert_eq!(civil_date(day), expected);
            let (year, month, day) = expected;
            expected = match () {
                () if day < length(year, month) => (year, month, day + 1),
                () if month < 12 => (year, month + 1, 1),
                () => (year + 1, 1, 1),
            };
        }
    }

    #[test]
    fn times_of_day_have_two_digits_each() {
        let moment = Utc::at(86_400 - 3_595);
        assert_eq!(
            (moment.date().to_string(), moment.time().to_string()),
            ("1970-01-01".into(), "23:00:05".into())
        );
    }
}
