//! Layers of settings: run files from left to right, then `--set` options, the later wins.
//!
//! Promise: tables are merged key by key, everything else (arrays too) is replaced whole; the
//! layer that last brought a value can be named.

use super::error::ConfigError;
use toml::{Table, Value};

/// Named layers, in order of growing strength.
#[derive(Debug, Default, Clone)]
pub struct Layers {
    layers: Vec<(String, Table)>,
    merged: Table,
}

impl Layers {
    /// Adds a layer of TOML text over the ones before.
    pub fn add_text(&mut self, layer: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let message = error.to_string().trim_end().to_owned();
            ConfigError::Syntax { layer: layer.to_owned(), message }
        })?;
        merge(&mut self.merged, table.clone());
        self.layers.push((layer.to_owned(), table));
        Ok(())
    }

    /// Adds one `key.path=value` option over the layers before.
    ///
    /// The value is read as TOML (`3`, `0.5`, `true`, `[1, 2]`, `{a = 1}`, `"text"`); what does
    /// not parse as TOML is taken as a plain string. A number in the path is an array index.
    pub fn add_set(&mut self, given: &str) -> Result<(), ConfigError> {
        let bad = |reason: &str| ConfigError::BadSet { given: given.to_owned(), reason: reason.to_owned() };
        let (path, text) = given.split_once('=').ok_or_else(|| bad("expected key.path=value"))?;
        let keys: Vec<&str> = path.trim().split('.').map(str::trim).collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(bad("the key path has an empty part"));
        }
        let value = parse_value(text.trim());
        let mut root = Value::Table(std::mem::take(&mut self.merged));
        let placed = place(&mut root, &keys, value);
        if let Value::Table(table) = root {
            self.merged = table;
        }
        placed.map_err(|reason| bad(&reason))?;
        self.layers.push((format!("--set {given}"), only_path(&keys)));
        Ok(())
    }

    /// Sets one string value by path, as `--set` would, under the layer's own name.
    pub fn add_option(&mut self, layer: &str, path: &str, value: impl Into<Value>) -> Result<(), ConfigError> {
        let keys: Vec<&str> = path.split('.').collect();
        let mut root = Value::Table(std::mem::take(&mut self.merged));
        let placed = place(&mut root, &keys, value.into());
        if let Value::Table(table) = root {
            self.merged = table;
        }
        placed.map_err(|reason| ConfigError::BadSet { given: layer.to_owned(), reason })?;
        self.layers.push((layer.to_owned(), only_path(&keys)));
        Ok(())
    }

    /// All layers as one table.
    pub fn merged(&self) -> &Table {
        &self.merged
    }

    /// The name of the strongest layer that holds something at `path`.
    pub fn source_of(&self, path: &[String]) -> Option<&str> {
        self.layers.iter().rev().find(|(_, table)| holds(table, path)).map(|(layer, _)| layer.as_str())
    }

    /// The name of the layer, if there is only one.
    pub fn only(&self) -> Option<&str> {
        self.layers.first().filter(|_| self.layers.len() == 1).map(|(layer, _)| layer.as_str())
    }
}

fn parse_value(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Puts `value` at `keys`, making tables on the way; an index must point into an array, or one past its end.
fn place(node: &mut Value, keys: &[&str], value: Value) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        *node = value;
        return Ok(());
    };
    match node {
        Value::Table(table) => {
            let child = table.entry((*key).to_owned()).or_insert_with(|| Value::Table(Table::new()));
            place(child, rest, value)
        }
        Value::Array(items) => {
            let count = items.len();
            let index: usize = key.parse().map_err(|_| format!("`{key}` is not an array index"))?;
            if index > count {
                return Err(format!("index {index} is past the end: the array has {count} entries"));
            }
            if index == count {
                items.push(Value::Table(Table::new()));
            }
            place(&mut items[index], rest, value)
        }
        other => Err(format!("`{key}` leads into {}, which has no keys", other.type_str())),
    }
}

/// A table that holds only the given path, so that [`Layers::source_of`] finds it.
fn only_path(keys: &[&str]) -> Table {
    let mut value = Value::Boolean(true);
    for key in keys.iter().rev() {
        let mut table = Table::new();
        table.insert((*key).to_owned(), value);
        value = Value::Table(table);
    }
    match value {
        Value::Table(table) => table,
        _ => Table::new(),
    }
}

fn holds(table: &Table, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let mut node = table.get(first);
    for key in rest {
        node = match node {
            Some(Value::Table(table)) => table.get(key),
            Some(Value::Array(items)) => key.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
    }
    node.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(texts: &[&str], sets: &[&str]) -> Result<Layers, ConfigError> {
        let mut layers = Layers::default();
        for (index, text) in texts.iter().enumerate() {
            layers.add_text(&format!("file{index}"), text)?;
        }
        for set in sets {
            layers.add_set(set)?;
        }
        Ok(layers)
    }

    #[test]
    fn tables_merge_and_arrays_are_replaced() {
        let layers = layers(&["[a]\nx=1\ny=2\nz=[1,2]", "[a]\ny=3\nz=[9]\n[b]\nw='t'"], &[]).unwrap();
        let expected: Table = "[a]\nx=1\ny=3\nz=[9]\n[b]\nw='t'".parse().unwrap();
        assert_eq!(*layers.merged(), expected);
    }

    #[test]
    fn set_reads_toml_values_and_falls_back_to_text() {
        let sets = ["a.int=3", "a.float=0.5", "a.flag=true", "a.list=[1, 2]", "a.word=grpo", "a.url=http://x/?a=b"];
        let layers = layers(&[], &sets).unwrap();
        let expected: Table =
            "[a]\nint=3\nfloat=0.5\nflag=true\nlist=[1,2]\nword='grpo'\nurl='http://x/?a=b'".parse().unwrap();
        assert_eq!(*layers.merged(), expected);
    }

    #[test]
    fn set_reaches_into_arrays_and_may_append_one_entry() {
        let layers = layers(&["[[tasks]]\nn=1"], &["tasks.0.n=2", "tasks.1.n=5"]).unwrap();
        let expected: Table = "[[tasks]]\nn=2\n[[tasks]]\nn=5".parse().unwrap();
        assert_eq!(*layers.merged(), expected);
    }

    #[test]
    fn a_set_that_leads_nowhere_is_refused() {
        let text = |sets: &[&str]| layers(&["[a]\nx=1\n[[t]]\nn=1"], sets).unwrap_err().to_string();
        assert!(text(&["novalue"]).contains("expected key.path=value"));
        assert!(text(&["a..x=1"]).contains("empty part"));
        assert!(text(&["t.7.n=1"]).contains("index 7 is past the end: the array has 1 entries"));
        assert!(text(&["a.x.y=1"]).contains("leads into integer"));
    }

    #[test]
    fn the_strongest_layer_that_holds_a_path_is_named() {
        let layers = layers(&["[a]\nx=1", "[a]\ny=1"], &["a.y=2"]).unwrap();
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(layers.source_of(&path("a.x")), Some("file0"));
        assert_eq!(layers.source_of(&path("a.y")), Some("--set a.y=2"));
        assert_eq!(layers.source_of(&path("a.z")), None);
    }

    #[test]
    fn a_syntax_error_names_the_file_and_the_line() {
        let message = layers(&["[a]\nx = = 1"], &[]).unwrap_err().to_string();
        assert!(message.starts_with("file0 is not valid TOML") && message.contains("line 2"), "{message}");
    }
}
