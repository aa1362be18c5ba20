//! Medians, percentiles, and the table at the end.

/// One line of the table.
pub struct Row {
    pub name: String,
    pub goal: Option<Goal>,
    pub value: f64,
    pub unit: &'static str,
    /// What the value was made from.
    pub note: String,
    /// Exit with a failure where the goal is missed. For what no noise excuses.
    pub must_hold: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    pub fn new(name: impl Into<String>, goal: Option<Goal>, value: f64, unit: &'static str, note: impl Into<String>) -> Self {
        Self { name: name.into(), goal, value, unit, note: note.into(), must_hold: false }
    }

    /// The goal is a matter of right and wrong, not of speed.
    pub fn strict(mut self) -> Self {
        self.must_hold = true;
        self
    }

    pub fn holds(&self) -> bool {
        match self.goal {
            Some(Goal::AtMost(bound)) => self.value <= bound,
            Some(Goal::AtLeast(bound)) => self.value >= bound,
            None => true,
        }
    }
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    println!("{:<62} {:>14} {:>12}  from", "figure", "measured", "goal");
    for row in rows {
        let goal = match row.goal {
            Some(Goal::AtMost(bound)) => format!("≤ {}", number(bound)),
            Some(Goal::AtLeast(bound)) => format!("≥ {}", number(bound)),
            None => String::new(),
        };
        let mark = if row.holds() { "" } else { " MISSED" };
        println!("{:<62} {:>9} {:<4} {goal:>12}  {}{mark}", row.name, number(row.value), row.unit, row.note);
    }
}

/// Three digits that matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1_000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// The middle value; zero of none.
pub fn median(values: &[f64]) -> f64 {
    percentile(&mut values.to_vec(), 50.0)
}

/// The value below which `percent` of them lie; zero of none.
pub fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = ((values.len() as f64 - 1.0).max(0.0) * percent / 100.0).round() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

/// The ratios of `ours` to the mean of the floor runs before and after each.
pub fn ratios(floor: &[f64], ours: &[f64]) -> Vec<f64> {
    floor.windows(2).zip(ours).map(|(around, ours)| ours / ((around[0] + around[1]) / 2.0)).collect()
}
