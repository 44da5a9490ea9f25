//! The date that a template is told.

use std::{fmt, str::FromStr};

use crate::error::{Fault, Result};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A day of the Gregorian calendar; for templates it is always midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A text is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no date: expected YYYY-MM-DD, from 1000-01-01 to 9999-12-31")]
pub struct DateError {
    /// The text.
    pub given: String,
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let fault = || DateError { given: text.to_owned() };
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else { return Err(fault()) };
        if (year.len(), month.len(), day.len()) != (4, 2, 2) || !text.bytes().all(|c| c.is_ascii_digit() || c == b'-') {
            return Err(fault());
        }
        let number = |text: &str| text.parse::<u16>().map_err(|_| fault());
        let (year, month, day) = (number(year)?, number(month)?, number(day)?);
        if year < 1000 || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
            return Err(fault());
        }
        Ok(Self { year, month: month as u8, day: day as u8 })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u16, month: u16) -> u16 {
    match month {
        2 => 28 + u16::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Date {
    /// The day that is `days` after 1970-01-01.
    pub fn from_unix_days(days: u32) -> Option<Self> {
        let (mut year, mut rest) = (1970_u16, days);
        loop {
            let length = 365 + u32::from(is_leap(year));
            if rest < length {
                break;
            }
            rest -= length;
            year = year.checked_add(1).filter(|year| *year < 10_000)?;
        }
        let mut month = 1;
        while rest >= u32::from(days_in(year, month)) {
            rest -= u32::from(days_in(year, month));
            month += 1;
        }
        Some(Self { year, month: month as u8, day: rest as u8 + 1 })
    }

    /// Day of the year, from 1.
    fn day_of_year(self) -> u16 {
        (1..u16::from(self.month)).map(|month| days_in(self.year, month)).sum::<u16>() + u16::from(self.day)
    }

    /// 0 is Sunday. Source: Sakamoto's method.
    fn weekday(self) -> u16 {
        const SHIFTS: [u16; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = self.year - u16::from(self.month < 3);
        (year + year / 4 - year / 100 + year / 400 + SHIFTS[usize::from(self.month) - 1] + u16::from(self.day)) % 7
    }

    /// `strftime` in the C locale at midnight.
    pub(crate) fn format(self, format: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut code = rest.next();
            let unpadded = code == Some('-');
            if unpadded {
                code = rest.next();
            }
            let made = match code {
                Some(code) => self.field(code)?,
                None => return Fault::unsupported("a date format that ends in %"),
            };
            let bare = made.trim_start_matches(['0', ' ']);
            out.push_str(match (unpadded, bare) {
                (false, _) => &made,
                (true, "") => "0",
                (true, bare) => bare,
            });
        }
        Ok(out)
    }

    fn field(self, code: char) -> Result<String> {
        let Self { year, month, day } = self;
        let month_name = MONTHS[usize::from(month) - 1];
        let day_name = DAYS[usize::from(self.weekday())];
        let weekday = self.weekday();
        Ok(match code {
            'Y' => year.to_string(),
            'C' => format!("{:02}", year / 100),
            'y' => format!("{:02}", year % 100),
            'm' => format!("{month:02}"),
            'd' => format!("{day:02}"),
            'e' => format!("{day:2}"),
            'j' => format!("{:03}", self.day_of_year()),
            'B' => month_name.into(),
            'b' | 'h' => month_name[..3].into(),
            'A' => day_name.into(),
            'a' => day_name[..3].into(),
            'w' => weekday.to_string(),
            'u' => (if weekday == 0 { 7 } else { weekday }).to_string(),
            'U' => format!("{:02}", (self.day_of_year() + 6 - weekday) / 7),
            'W' => format!("{:02}", (self.day_of_year() + 6 - (weekday + 6) % 7) / 7),
            'H' | 'M' | 'S' => "00".into(),
            'I' => "12".into(),
            'p' => "AM".into(),
            'f' => "000000".into(),
            'Z' | 'z' => String::new(),
            'D' | 'x' => format!("{month:02}/{day:02}/{:02}", year % 100),
            'F' => self.to_string(),
            'T' | 'X' => "00:00:00".into(),
            'R' => "00:00".into(),
            'r' => "12:00:00 AM".into(),
            'c' => format!("{} {} {day:2} 00:00:00 {year}", &day_name[..3], &month_name[..3]),
            '%' => "%".into(),
            'n' => "\n".into(),
            't' => "\t".into(),
            other => return Fault::unsupported(format!("the date format %{other}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(Date::from_unix_days(0).unwrap().to_string(), "1970-01-01");
        // 2024-02-29 is 19782 days after.
        assert_eq!(Date::from_unix_days(19_782).unwrap().to_string(), "2024-02-29");
        assert_eq!(Date::from_unix_days(19_783).unwrap().to_string(), "2024-03-01");
        assert_eq!(Date::from_unix_days(u32::MAX), None);
    }

    #[test]
    fn dates_that_are_none_are_refused() {
        for text in ["2025-02-29", "2025-13-01", "25-01-01", "2025-1-01", "2025-01-00", "2025/01/01", "", "+025-01-01"]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert!("2024-02-29".parse::<Date>().is_ok());
    }
}
