//! Line charts as inline SVG, without scripts or fonts of their own.
//!
//! Promise: any finite or non-finite input gives a well-formed picture; the number of points drawn
//! is bounded; colours come from the page's style (`.s0` … `.s3`), so that light and dark both work.
//! Hand-written because a plotting crate would fix colours and fonts at drawing time.

use super::html::escape;
use std::fmt::Write;

/// Points drawn of one series at most; longer ones are averaged in equal buckets.
const POINTS_MAX: usize = 240;
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;

/// One curve.
pub(crate) struct Series {
    pub(crate) label: &'static str,
    /// `(step, value)`; points that are not finite are left out.
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) look: Look,
}

/// How a curve is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A line through the values.
    Line,
    /// The values faint, a moving average in front.
    Smoothed,
    /// A line with a dot at every value, for few values.
    Dots,
}

/// A chart with its title.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    /// What the numbers are, in a few words.
    pub(crate) note: String,
    pub(crate) series: Vec<Series>,
    /// The axis reaches at least from the first to the second.
    pub(crate) span: Option<(f64, f64)>,
}

impl Chart {
    /// The chart as a `<figure>`; empty if there is nothing to draw.
    pub(super) fn to_html(&self) -> String {
        let curves: Vec<Curve<'_>> = self
            .series
            .iter()
            .enumerate()
            .map(|(index, series)| Curve { index, series, points: thin(&series.points) })
            .filter(|curve| !curve.points.is_empty())
            .collect();
        let all = curves.iter().flat_map(|curve| &curve.points);
        let Some(frame) = Frame::around(all, self.span) else {
            return String::new();
        };
        let svg = curves.iter().fold(frame.axes(), |svg, curve| svg + &frame.draw(curve));
        let legend: String = curves.iter().map(Curve::key).collect();
        format!(
            "<figure><figcaption><h3>{}</h3><p>{}</p></figcaption><div class=\"legend\">{legend}</div>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{svg}</svg></figure>",
            escape(self.title),
            escape(&self.note),
            escape(self.title),
        )
    }
}

/// A series as it is drawn.
struct Curve<'a> {
    /// Its place in the chart, which gives the colour.
    index: usize,
    series: &'a Series,
    /// Thinned; not empty.
    points: Vec<(f64, f64)>,
}

impl Curve<'_> {
    /// Colour, label and last value.
    fn key(&self) -> String {
        let last = self.points.last().map_or(0.0, |point| point.1);
        format!(
            "<span class=\"key s{}\"><i></i>{} <b>{}</b></span>",
            self.index,
            escape(self.series.label),
            number(last)
        )
    }
}

/// The part of the plane that a chart shows.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    y_ticks: Vec<f64>,
}

impl Frame {
    fn around<'a>(points: impl Iterator<Item = &'a (f64, f64)>, span: Option<(f64, f64)>) -> Option<Self> {
        let mut x = (f64::INFINITY, f64::NEG_INFINITY);
        let mut y = span.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        for point in points {
            x = (x.0.min(point.0), x.1.max(point.0));
            y = (y.0.min(point.1), y.1.max(point.1));
        }
        if x.0 > x.1 {
            return None;
        }
        if x.0 == x.1 {
            x = (x.0 - 1.0, x.1 + 1.0);
        }
        let y_ticks = ticks(y.0, y.1, 4);
        let ends = (y_ticks.first().copied()?, y_ticks.last().copied()?);
        let y = (y.0.min(ends.0), y.1.max(ends.1));
        Some(Self { x, y, y_ticks })
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let across = (x - self.x.0) / (self.x.1 - self.x.0);
        let up = (y - self.y.0) / (self.y.1 - self.y.0);
        (LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM))
    }

    fn axes(&self) -> String {
        let mut svg = String::new();
        for tick in &self.y_ticks {
            let (_, y) = self.place((self.x.0, *tick));
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 3.5,
                number(*tick)
            );
        }
        for tick in ticks(self.x.0, self.x.1, 5) {
            // Only whole steps inside the picture have a name.
            if tick < self.x.0 || tick > self.x.1 || tick.fract() != 0.0 {
                continue;
            }
            let (x, _) = self.place((tick, self.y.0));
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - 6.0,
                number(tick)
            );
        }
        svg
    }

    fn draw(&self, curve: &Curve<'_>) -> String {
        let Curve { index, series, points } = curve;
        let mut svg = match series.look {
            Look::Smoothed => {
                let raw = self.line(&format!("raw s{index}"), points);
                raw + &self.line(&format!("line s{index}"), &smooth(points))
            }
            Look::Line | Look::Dots => self.line(&format!("line s{index}"), points),
        };
        let (class, radius) = match series.look {
            Look::Dots => ("dot", 3),
            // Seen only under the pointer, to be told the number.
            Look::Line | Look::Smoothed => ("hover", 5),
        };
        for point in points {
            let (x, y) = self.place(*point);
            let _ = write!(
                svg,
                "<circle class=\"{class} s{index}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\">\
                 <title>step {}: {} {}</title></circle>",
                number(point.0),
                escape(series.label),
                number(point.1)
            );
        }
        svg
    }

    fn line(&self, class: &str, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (index, point) in points.iter().enumerate() {
            let (x, y) = self.place(*point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        format!("<path class=\"{class}\" d=\"{path}\"/>")
    }
}

/// At most [`POINTS_MAX`] points: means of equal buckets, finite values only.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let bucket = finite.len().div_ceil(POINTS_MAX).max(1);
    finite
        .chunks(bucket)
        .map(|chunk| {
            let count = chunk.len() as f64;
            let mean = chunk.iter().map(|point| point.1).sum::<f64>() / count;
            // The bucket stands at its last step, so that the curve ends where the run ends.
            (chunk.last().map_or(0.0, |point| point.0), mean)
        })
        .collect()
}

/// Mean over a window of `n/16` points on each side, cut at the ends: no lag, unlike a running mean.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let side = points.len() / 16;
    let mean = |window: &[(f64, f64)]| window.iter().map(|point| point.1).sum::<f64>() / window.len() as f64;
    (0..points.len())
        .map(|at| {
            // The same reach on both sides, so that a straight line stays a straight line.
            let side = side.min(at).min(points.len() - 1 - at);
            (points[at].0, mean(&points[at - side..=at + side]))
        })
        .collect()
}

/// Round numbers (1, 2 or 5 times a power of ten apart) from below `low` to above `high`.
fn ticks(low: f64, high: f64, wanted: u32) -> Vec<f64> {
    let (low, high) = if high > low {
        (low, high)
    } else {
        let pad = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        (low - pad, high + pad)
    };
    let rough = (high - low) / f64::from(wanted);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let first = (low / step).floor();
    let last = (high / step).ceil();
    // Bounded by construction (about `wanted` + 2); the bound guards against absurd magnitudes.
    let count = ((last - first).max(1.0) as usize).min(20);
    (0..=count).map(|index| (first + index as f64) * step).collect()
}

/// A number in as few characters as it needs.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if size >= 1e4 {
        crate::summary::count(value)
    } else if size < 1e-3 {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
    } else if value.fract() == 0.0 || size >= 1e3 {
        format!("{value:.0}")
    } else {
        let digits = if size < 10.0 { 3 } else { 1 };
        let text = format!("{value:.digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        let near = |given: Vec<f64>, expected: &[f64]| {
            assert_eq!(given.len(), expected.len(), "{given:?}");
            assert!(given.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{given:?}");
        };
        near(ticks(0.0, 1.0, 4), &[0.0, 0.5, 1.0]);
        near(ticks(0.13, 0.87, 4), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        near(ticks(-3.0, 7.0, 4), &[-5.0, 0.0, 5.0, 10.0]);
        assert!(ticks(5.0, 5.0, 4).len() >= 2);
        assert!(ticks(0.0, 1e300, 4).len() <= 21);
    }

    #[test]
    fn long_series_are_averaged_and_end_where_the_run_ends() {
        let points: Vec<_> = (1..=10_000).map(|x| (f64::from(x), 2.0)).collect();
        let thin = thin(&points);
        assert!(thin.len() <= POINTS_MAX);
        assert_eq!(*thin.last().unwrap(), (10_000.0, 2.0));
    }

    #[test]
    fn smoothing_keeps_a_straight_line_and_its_ends() {
        let points: Vec<_> = (0..64).map(|x| (f64::from(x), 2.0 * f64::from(x))).collect();
        let smooth = smooth(&points);
        assert!(smooth.iter().zip(&points).all(|(a, b)| (a.1 - b.1).abs() < 1e-9));
        assert_eq!(smooth.len(), 64);
    }

    #[test]
    fn odd_numbers_never_reach_the_picture() {
        let chart = |points: Vec<(f64, f64)>| {
            let series = Series { label: "a<b", points, look: Look::Smoothed };
            Chart { title: "t", note: String::new(), series: vec![series], span: None }.to_html()
        };
        let html = chart(vec![(1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 1.5)]);
        assert!(html.contains("a&lt;b") && !html.contains("NaN") && !html.contains("inf"), "{html}");
        assert_eq!(chart(vec![(1.0, f64::NAN)]), "");
        assert_eq!(chart(Vec::new()), "");
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.25, 12.34, 2567.5, 0.000105, 45_678.0, 0.1 + 0.2].map(number);
        assert_eq!(texts, ["0", "0.25", "12.3", "2568", "1.05e-4", "45.7k", "0.3"]);
    }
}
