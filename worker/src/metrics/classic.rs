//! The classic text format, made from OpenMetrics: a counter's type is told of the name that its samples have, and
//! what only OpenMetrics knows is left out.

/// `page` in the classic format.
pub(super) fn of(page: &str) -> String {
    let mut classic = String::with_capacity(page.len());
    // Of each figure the help comes before the type, which says what the figure is called.
    let mut help = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take() {
                classic.push_str(&format!("# HELP {name}{suffix} {text}\n"));
            }
            classic.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            classic.push_str(line);
            classic.push('\n');
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_counter_is_a_counter_under_the_name_of_its_samples() {
        let page = "# HELP jobs Jobs.\n# TYPE jobs counter\njobs_total{code=\"a\"} 1\n# HELP up It is.\n# TYPE up gauge\n# UNIT up seconds\nup 1\n# EOF\n";
        let classic = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{code=\"a\"} 1\n# HELP up It is.\n# TYPE up gauge\nup 1\n";
        assert_eq!(super::of(page), classic);
    }
}
