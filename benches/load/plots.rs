//! Draws how cost grows, as SVG by hand: three plots from the figures of a run.

use crate::Outcome;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// One plot.
struct Plot {
    file: &'static str,
    title: &'static str,
    curve: &'static str,
    /// Member of a point along the axis.
    along: &'static str,
    lines: &'static [Line],
}

/// One line of a plot: a member of its points and what it is called.
struct Line {
    member: &'static str,
    name: &'static str,
    color: &'static str,
}

const PLOTS: [Plot; 3] = [
    Plot {
        file: "contacts.svg",
        title: "First import, by contacts",
        curve: "contacts",
        along: "contacts",
        lines: &[
            Line { member: "cpu_us", name: "processor a contact, µs", color: "#1f6feb" },
            Line { member: "peak_mb", name: "memory at most, MB", color: "#d1242f" },
            Line { member: "wall_s", name: "time, s", color: "#2da44e" },
        ],
    },
    Plot {
        file: "people.svg",
        title: "Five messages of everybody at once, by people",
        curve: "people",
        along: "people",
        lines: &[
            Line { member: "cpu_us", name: "processor a message, µs", color: "#1f6feb" },
            Line { member: "memory_mb", name: "memory, MB", color: "#d1242f" },
            Line { member: "amo_requests", name: "amoCRM's requests a message", color: "#2da44e" },
        ],
    },
    Plot {
        file: "bridges.svg",
        title: "Idle bridges in one process",
        curve: "bridges",
        along: "bridges",
        lines: &[
            Line { member: "memory_mb", name: "memory, MB", color: "#d1242f" },
            Line { member: "cpu_percent", name: "processor, % of one core", color: "#1f6feb" },
            Line { member: "ready_s", name: "start to ready, s", color: "#2da44e" },
        ],
    },
];

/// Draws all plots of which the file has figures.
pub fn draw(figures: &Path, folder: &Path) -> Outcome<()> {
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(figures)?)?;
    std::fs::create_dir_all(folder)?;
    for plot in PLOTS {
        let points = figures["growth"][plot.curve].as_array().cloned().unwrap_or_default();
        if points.is_empty() {
            eprintln!("{}: no figures", plot.file);
            continue;
        }
        std::fs::write(folder.join(plot.file), plot.svg(&points)?)?;
        println!("{}", folder.join(plot.file).display());
    }
    Ok(())
}

/// Size of a plot and of the frame in it.
const SIZE: (f64, f64) = (720.0, 400.0);
const FRAME: (f64, f64, f64, f64) = (70.0, 50.0, 690.0, 300.0);

/// A logarithmic axis, by whole decades.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>) -> Axis {
        let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        // Lines of zeros alone have no logarithm.
        if low.is_finite() {
            Axis { low: low as i32, high: (high as i32).max(low as i32 + 1) }
        } else {
            Axis { low: 0, high: 1 }
        }
    }

    fn share(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}

impl Plot {
    fn svg(&self, points: &[Value]) -> Outcome<String> {
        let of = |point: &Value, member: &str| point[member].as_f64().unwrap_or_default();
        let along = Axis::around(points.iter().map(|point| of(point, self.along)));
        let up =
            Axis::around(self.lines.iter().flat_map(|line| points.iter().map(move |point| of(point, line.member))));
        let (left, top, right, bottom) = FRAME;
        let x = |value: f64| left + along.share(value) * (right - left);
        let y = |value: f64| bottom - up.share(value) * (bottom - top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<text x=\"{left}\" y=\"28\" font-size=\"16\">{}</text>\n",
            SIZE.0, SIZE.1, self.title
        );
        for value in along.decades() {
            let at = x(value);
            writeln!(svg, "<line x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#d8dee4\"/>")?;
            writeln!(svg, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>", bottom + 20.0)?;
        }
        for value in up.decades() {
            let at = y(value);
            writeln!(svg, "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#d8dee4\"/>")?;
            writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", left - 8.0, at + 4.0)?;
        }
        for (number, line) in self.lines.iter().enumerate() {
            let places: Vec<(f64, f64)> = points
                .iter()
                .filter(|point| of(point, line.member) > 0.0)
                .map(|point| (x(of(point, self.along)), y(of(point, line.member))))
                .collect();
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let color = line.color;
            writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
                path.join(" ")
            )?;
            for (x, y) in places {
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"/>")?;
            }
            let (at, height) = (left + number as f64 * 215.0, bottom + 55.0);
            writeln!(svg, "<rect x=\"{at}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{color}\"/>", height - 6.0)?;
            writeln!(svg, "<text x=\"{}\" y=\"{height}\">{}</text>", at + 20.0, line.name)?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}
