//! Calls: functions of the environment, macros, loops and methods.

use super::{Object, Renderer, ScopeId, expressions::Args};
use crate::{
    ast::Macro,
    error::{Fault, Result},
    value::{Value, range_len},
};

/// Longest range, as in jinja2's sandbox.
const RANGE_MAX: usize = 100_000;

const FUNCTIONS: [&str; 8] =
    ["range", "dict", "namespace", "cycler", "joiner", "lipsum", "raise_exception", "strftime_now"];

pub(super) fn function(name: &str) -> Option<Value> {
    FUNCTIONS.into_iter().find(|known| *known == name).map(Value::Function)
}

impl<'t> Renderer<'t> {
    pub(super) fn call(&mut self, callee: &Value, args: Args) -> Result<Value> {
        self.step(1)?;
        match callee {
            Value::Function(name) => self.call_function(name, args),
            Value::Method(method) => {
                let (value, name) = &**method;
                match value {
                    Value::Object(index) => self.object_method(*index, name, args),
                    value => self.method(value, name, args),
                }
            }
            Value::Object(index) => self.call_object(*index, args),
            Value::Undefined(words) => Err(Fault::Undefined(words.to_string())),
            other => Fault::operation(format!("'{}' object is not callable", other.type_name())),
        }
    }

    fn call_function(&mut self, name: &str, args: Args) -> Result<Value> {
        match name {
            "range" => {
                let [a, b, c] = args.bind("range", ["start", "stop", "step"], 1)?;
                let whole =
                    |value: &Value| value.as_int().ok_or_else(|| Fault::Operation("range takes whole numbers".into()));
                let a = whole(&a.unwrap_or(Value::None))?;
                let (start, stop) = match &b {
                    Some(stop) => (a, whole(stop)?),
                    None => (0, a),
                };
                let range = [start, stop, c.map_or(Ok(1), |step| whole(&step))?];
                if range[2] == 0 {
                    return Fault::operation("range's step must not be zero");
                }
                if range_len(&range) > RANGE_MAX {
                    return Fault::operation(format!("a range of more than {RANGE_MAX} items"));
                }
                Ok(Value::Range(range.into()))
            }
            "dict" => {
                let pairs = self.dict_pairs(args)?;
                Value::dict(pairs)
            }
            "namespace" => {
                let mut names = Vec::new();
                for (key, value) in self.dict_pairs(args)? {
                    let Value::Text(name) = key else {
                        return Fault::unsupported("a namespace whose names are no texts");
                    };
                    if name.starts_with('_') {
                        return Fault::operation(format!("cannot store the attribute {name:?} on a namespace"));
                    }
                    names.retain(|(known, _): &(String, Value)| **known != *name);
                    names.push((name.to_string(), value));
                }
                self.object(Object::Namespace(names))
            }
            "cycler" if args.positional.is_empty() => Fault::operation("at least one item has to be provided"),
            "cycler" => self.object(Object::Cycler(args.positional, 0)),
            "joiner" => {
                let [separator] = args.bind("joiner", ["sep"], 0)?;
                self.object(Object::Joiner(separator.unwrap_or_else(|| Value::text(", ")), false))
            }
            "raise_exception" => {
                let [message] = args.bind("raise_exception", ["message"], 1)?;
                Err(Fault::Raised(self.str_of(&message.unwrap_or(Value::None))?))
            }
            "strftime_now" => {
                let [format] = args.bind("strftime_now", ["format"], 1)?;
                let format = format.unwrap_or(Value::None);
                let Some(format) = format.as_text() else {
                    return Fault::operation("strftime_now takes a text");
                };
                let text = self.date.ok_or(Fault::NoDate)?.format(format)?;
                self.text(text)
            }
            _ => Fault::unsupported(format!("the function {name}")),
        }
    }

    /// The pairs of `dict(mapping or pairs, **named)`.
    fn dict_pairs(&mut self, args: Args) -> Result<Vec<(Value, Value)>> {
        if args.positional.len() > 1 {
            return Fault::operation("dict takes one positional argument at most");
        }
        let mut pairs = Vec::new();
        match args.positional.first() {
            None => {}
            Some(Value::Dict(dict)) => pairs.extend_from_slice(dict.pairs()),
            Some(list) => {
                for item in self.items_of(list)? {
                    let mut item = self.items_of(&item)?.into_iter();
                    let (Some(key), Some(value), None) = (item.next(), item.next(), item.next()) else {
                        return Fault::operation("dict takes pairs");
                    };
                    pairs.push((key, value));
                }
            }
        }
        pairs.extend(args.named.into_iter().map(|(name, value)| (Value::text(name), value)));
        self.charge(2 * super::VALUE_BYTES * pairs.len() as u64)?;
        self.step((pairs.len() as u64).pow(2) / 64)?;
        Ok(pairs)
    }

    fn call_object(&mut self, index: u32, args: Args) -> Result<Value> {
        match &mut self.objects[index as usize] {
            Object::Macro(source, scope) => {
                let (source, scope) = (*source, *scope);
                self.call_macro(source, scope, args)
            }
            Object::Loop(state) if state.source.recursive => {
                let (source, scope, depth) = (state.source, state.scope, state.depth + 1);
                let [items] = args.bind("loop", ["iterable"], 1)?;
                let items = items.unwrap_or(Value::None);
                let text = self.deeper(|renderer| {
                    renderer.captured(scope, |renderer| renderer.for_loop(source, &items, scope, depth))
                })?;
                self.text(text)
            }
            Object::Loop(_) => Fault::operation("the loop must be marked as recursive to be called"),
            Object::Joiner(separator, used) => {
                let given = if *used { separator.clone() } else { Value::text("") };
                *used = true;
                Ok(given)
            }
            _ => Fault::operation("such an object is not callable"),
        }
    }

    /// Positional arguments first, then named ones, then defaults, which see the parameters before them.
    fn call_macro(&mut self, source: &'t Macro, scope: ScopeId, args: Args) -> Result<Value> {
        let Args { positional, mut named } = args;
        let count = source.parameters.len();
        if positional.len() > count && !source.names.varargs {
            return Fault::operation(format!("macro '{}' takes not more than {count} arguments", source.name));
        }
        let mut given: Vec<Option<Value>> = positional.iter().take(count).cloned().map(Some).collect();
        for parameter in &source.parameters[given.len()..] {
            let place = named.iter().position(|(name, _)| name == parameter);
            given.push(place.map(|place| named.remove(place).1));
        }
        let takes_caller = source.names.caller && !source.parameters.iter().any(|name| name == "caller");
        let caller = takes_caller.then(|| match named.iter().position(|(name, _)| name == "caller") {
            Some(place) => named.remove(place).1,
            None => Value::undefined("No caller defined"),
        });
        if !source.names.kwargs
            && let Some((name, _)) = named.first()
        {
            return Fault::operation(format!("macro '{}' takes no keyword argument '{name}'", source.name));
        }
        let line = self.line;
        let text = self.deeper(|renderer| {
            renderer.captured(scope, |renderer| {
                let first_default = count - source.defaults.len();
                for (place, (parameter, value)) in source.parameters.iter().zip(given).enumerate() {
                    let default = place.checked_sub(first_default).map(|at| &source.defaults[at]);
                    let value = match (value, default) {
                        (Some(value), _) => value,
                        (None, Some(default)) => renderer.eval(default)?,
                        (None, None) => Value::undefined(format!("parameter '{parameter}' was not provided")),
                    };
                    renderer.set(parameter, value)?;
                }
                if let Some(caller) = caller {
                    renderer.set("caller", caller)?;
                }
                if source.names.kwargs {
                    let pairs = named.into_iter().map(|(name, value)| (Value::text(name), value)).collect();
                    renderer.set("kwargs", Value::dict(pairs)?)?;
                }
                if source.names.varargs {
                    let rest = positional.into_iter().skip(count).collect();
                    renderer.set("varargs", Value::tuple(rest)?)?;
                }
                renderer.run(&source.body).map(|_| ())
            })
        })?;
        self.line = line;
        self.text(text)
    }

    fn object_method(&mut self, index: u32, name: &str, args: Args) -> Result<Value> {
        match (&mut self.objects[index as usize], name) {
            (Object::Cycler(items, at), "next") => {
                let given = items[*at].clone();
                *at = (*at + 1) % items.len();
                Ok(given)
            }
            (Object::Cycler(_, at), "reset") => {
                *at = 0;
                Ok(Value::None)
            }
            (Object::Loop(_), "cycle") if args.positional.is_empty() => Fault::operation("no items for cycling given"),
            (Object::Loop(state), "cycle") => {
                let at = usize::try_from(state.index).unwrap_or(0) % args.positional.len();
                Ok(args.positional[at].clone())
            }
            (Object::Loop(state), "changed") => {
                let before = state.changed.replace(args.positional.clone());
                let same = |before: &Vec<Value>| {
                    before.len() == args.positional.len()
                        && before.iter().zip(&args.positional).all(|(a, b)| a.equals(b))
                };
                let changed = !before.as_ref().is_some_and(same);
                let cost = args.positional.iter().map(Value::size).sum();
                self.step(cost)?;
                Ok(Value::Bool(changed))
            }
            _ => Fault::operation(format!("such an object has no method {name}")),
        }
    }
}
