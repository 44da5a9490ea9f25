//! Which keys of the settings have no value.
//!
//! The deserialiser names the keys of a table when it refuses an unknown one, so each table is asked with a key that
//! none has.

use toml::{Table, Value};

use super::{FaultKind, RunConfig, de};

/// No setting is called that.
const PROBE: &str = "?";

/// The paths of keys that `table`, a whole configuration, leaves out.
pub(super) fn keys(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    let Some(sections) = known(table, &[]) else { return found };
    for section in sections {
        collect(table, &mut vec![section], &mut found);
    }
    found
}

/// Adds what is absent at `path` or below it.
fn collect(table: &Table, path: &mut Vec<String>, found: &mut Vec<String>) {
    let here = path.iter().try_fold(None::<&Value>, |node, key| {
        let inside = node.map_or(Some(table), Value::as_table)?;
        inside.get(key).map(Some)
    });
    match (here.flatten(), known(table, path)) {
        (None | Some(Value::Table(_)), Some(keys)) => {
            for key in keys {
                path.push(key);
                collect(table, path, found);
                path.pop();
            }
        }
        (None, None) => found.push(path.join(".")),
        (Some(_), _) => {}
    }
}

/// The keys of the table at `path`; none if what belongs there is no table with fixed keys.
fn known(table: &Table, path: &[String]) -> Option<Vec<String>> {
    let mut probed = table.clone();
    let mut node = &mut probed;
    for key in path {
        node = node.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())).as_table_mut()?;
    }
    node.insert(PROBE.to_owned(), Value::Boolean(true));
    match de::from_value::<RunConfig>(Value::Table(probed)).err()? {
        fault if fault.path != path => None,
        fault => match fault.kind {
            FaultKind::UnknownKey { key, known } if key == PROBE => Some(known),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Layers, from_layers};

    #[test]
    fn every_key_that_a_run_file_could_give_is_set_or_listed() {
        let mut layers = Layers::default();
        layers.add_text("a file", "[model]\npath = 'm'\n[train]\nlr = 1e-3\n[[tasks]]\ntype = 'sat'\n").unwrap();
        let unset = from_layers(&layers).unwrap().unset().unwrap();
        for key in
            ["model.hub", "model.random.hidden", "stop.score_target", "train.loss.scale", "checkpoint.epoch_steps"]
        {
            assert_eq!(unset.contains(&key.to_owned()), key != "checkpoint.epoch_steps", "{key}: {unset:?}");
        }
        layers.add_set("stop.score_target=0.9").unwrap();
        let fewer = from_layers(&layers).unwrap().unset().unwrap();
        assert_eq!(fewer, unset.into_iter().filter(|key| key != "stop.score_target").collect::<Vec<_>>());
    }
}
