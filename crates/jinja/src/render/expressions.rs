//! Values of expressions.

use std::cmp::Ordering;

use super::Renderer;
use crate::{
    ast::{Arguments, Comparison, Expr, ExprKind, Operator, Sign},
    error::{Fault, Result},
    format,
    value::{Value, range_len},
};

/// Evaluated arguments of a call.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Value>,
    pub(crate) named: Vec<(String, Value)>,
}

impl<'t> Renderer<'t> {
    pub(super) fn eval(&mut self, expression: &'t Expr) -> Result<Value> {
        self.deeper(|renderer| {
            renderer.step(1)?;
            renderer.line = expression.line;
            renderer.value(expression)
        })
    }

    fn value(&mut self, expression: &'t Expr) -> Result<Value> {
        match &expression.kind {
            ExprKind::Const(value) => Ok(value.clone()),
            ExprKind::Name(name) => Ok(self.lookup(name)),
            ExprKind::List(items) => {
                let items = self.eval_all(items)?;
                self.list(items)
            }
            ExprKind::Tuple(items) => {
                let items = self.eval_all(items)?;
                self.list(Vec::new())?;
                Value::tuple(items)
            }
            ExprKind::Dict(pairs) => self.dict(pairs),
            ExprKind::Choice { condition, yes, no } => {
                if self.eval(condition)?.truth() {
                    return self.eval(yes);
                }
                match no {
                    Some(no) => self.eval(no),
                    None => Ok(Value::undefined(
                        "the inline if-expression evaluated to false and no else section was defined.",
                    )),
                }
            }
            ExprKind::And(left, right) => {
                let left = self.eval(left)?;
                if left.truth() { self.eval(right) } else { Ok(left) }
            }
            ExprKind::Or(left, right) => {
                let left = self.eval(left)?;
                if left.truth() { Ok(left) } else { self.eval(right) }
            }
            ExprKind::Not(inner) => Ok(Value::Bool(!self.eval(inner)?.truth())),
            ExprKind::Unary(sign, inner) => {
                let inner = self.eval(inner)?;
                unary(*sign, &inner)
            }
            ExprKind::Binary(operator, left, right) => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                self.binary(*operator, &left, &right)
            }
            ExprKind::Concat(parts) => {
                let mut whole = String::new();
                for part in parts {
                    let part = self.eval(part)?;
                    let part = self.str_of(&part)?;
                    self.charge_text((whole.len() + part.len()) as u64)?;
                    whole.push_str(&part);
                }
                Ok(Value::text(whole))
            }
            ExprKind::Compare(first, rest) => self.comparisons(first, rest),
            ExprKind::Attribute(inner, name) => {
                let inner = self.eval(inner)?;
                self.attribute(&inner, name)
            }
            ExprKind::Item(inner, key) => {
                let inner = self.eval(inner)?;
                let key = self.eval(key)?;
                self.item(&inner, &key)
            }
            ExprKind::Slice(inner, parts) => self.slice(inner, parts),
            ExprKind::Call(callee, arguments) => {
                let callee = self.eval(callee)?;
                let arguments = self.eval_arguments(arguments)?;
                self.call(&callee, arguments)
            }
            ExprKind::Filter(inner, name, arguments) => {
                let Some(inner) = inner else {
                    return Fault::operation("a filter without value"); // chains pass theirs along
                };
                let inner = self.eval(inner)?;
                let arguments = self.eval_arguments(arguments)?;
                self.filter(name, inner, arguments)
            }
            ExprKind::Test(inner, name, arguments) => {
                let inner = self.eval(inner)?;
                let arguments = self.eval_arguments(arguments)?;
                self.test(name, &inner, arguments).map(Value::Bool)
            }
        }
    }

    fn eval_all(&mut self, expressions: &'t [Expr]) -> Result<Vec<Value>> {
        expressions.iter().map(|expression| self.eval(expression)).collect()
    }

    fn dict(&mut self, pairs: &'t [(Expr, Expr)]) -> Result<Value> {
        self.charge(2 * super::VALUE_BYTES * pairs.len() as u64)?;
        let mut evaluated = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = self.eval(key)?;
            evaluated.push((key, self.eval(value)?));
        }
        Value::dict(evaluated)
    }

    pub(super) fn eval_arguments(&mut self, arguments: &'t Arguments) -> Result<Args> {
        let mut args = Args { positional: self.eval_all(&arguments.positional)?, named: Vec::new() };
        for (name, value) in &arguments.named {
            let value = self.eval(value)?;
            args.add(name, value)?;
        }
        if let Some(spread) = &arguments.spread {
            let spread = self.eval(spread)?;
            args.positional.extend(self.items_of(&spread)?);
        }
        if let Some(spread) = &arguments.spread_named {
            let Value::Dict(dict) = self.eval(spread)? else {
                return Fault::operation("argument after ** must be a mapping");
            };
            for (name, value) in dict.pairs() {
                let name = name.as_text().ok_or_else(|| Fault::Operation("keywords must be strings".into()))?;
                args.add(name, value.clone())?;
            }
        }
        Ok(args)
    }

    /// The value of a name, from the scopes inside out, then what the caller gave, then the environment.
    pub(super) fn lookup(&self, name: &str) -> Value {
        let mut scope = Some(self.scope);
        while let Some(id) = scope {
            let scope_names = &self.scopes[id.0];
            if let Some((_, value)) = scope_names.names.iter().find(|(known, _)| *known == name) {
                return value.clone();
            }
            scope = scope_names.parent;
        }
        if let Some((_, value)) = self.context.iter().find(|(known, _)| known == name) {
            return value.clone();
        }
        super::call::function(name).unwrap_or_else(|| Value::undefined(format!("'{name}' is undefined")))
    }

    fn comparisons(&mut self, first: &'t Expr, rest: &'t [(Comparison, Expr)]) -> Result<Value> {
        let mut left = self.eval(first)?;
        for (comparison, right) in rest {
            let right = self.eval(right)?;
            if !self.compare(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    pub(super) fn compare(&mut self, comparison: Comparison, left: &Value, right: &Value) -> Result<bool> {
        let ordered = |wanted: fn(Ordering) -> bool| Ok(left.order(right)?.is_some_and(wanted));
        match comparison {
            Comparison::Eq | Comparison::Ne => Ok(self.equals(left, right)? == (comparison == Comparison::Eq)),
            Comparison::In => self.contains(right, left),
            Comparison::NotIn => self.contains(right, left).map(|found| !found),
            ordering => {
                self.step(left.size().min(right.size()))?;
                match ordering {
                    Comparison::Lt => ordered(Ordering::is_lt),
                    Comparison::Le => ordered(Ordering::is_le),
                    Comparison::Gt => ordered(Ordering::is_gt),
                    _ => ordered(Ordering::is_ge),
                }
            }
        }
    }

    pub(super) fn equals(&mut self, left: &Value, right: &Value) -> Result<bool> {
        self.step(left.size().min(right.size()))?;
        Ok(left.equals(right))
    }

    /// Python's `needle in haystack`.
    pub(super) fn contains(&mut self, haystack: &Value, needle: &Value) -> Result<bool> {
        self.step(haystack.size())?;
        match haystack {
            Value::Text(text) => match needle {
                Value::Text(needle) => Ok(text.contains(&**needle)),
                other => Fault::operation(format!(
                    "'in <string>' requires string as left operand, not {}",
                    other.type_name()
                )),
            },
            Value::Dict(dict) | Value::View(crate::value::View::Keys, dict) => {
                needle.check_hashable()?;
                Ok(dict.get(needle).is_some())
            }
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                Fault::operation(format!("argument of type '{}' is not iterable", haystack.type_name()))
            }
            _ => Ok(self.items_of(haystack)?.iter().any(|item| item.equals(needle))),
        }
    }

    pub(super) fn binary(&mut self, operator: Operator, left: &Value, right: &Value) -> Result<Value> {
        match (operator, left, right) {
            (_, Value::Undefined(words), _) | (_, _, Value::Undefined(words))
                if !(operator == Operator::Rem && matches!(left, Value::Text(_))) =>
            {
                Err(Fault::Undefined(words.to_string()))
            }
            (Operator::Add, Value::Text(a), Value::Text(b)) => {
                self.charge_text((a.len() + b.len()) as u64)?;
                Ok(Value::text([&**a, &**b].concat()))
            }
            (Operator::Add, Value::List(a), Value::List(b)) => {
                let items = a.iter().chain(b.iter());
                self.charge(super::VALUE_BYTES * (a.len() + b.len()) as u64)?;
                Value::list(items.cloned().collect())
            }
            (Operator::Add, Value::Tuple(a), Value::Tuple(b)) => {
                self.charge(super::VALUE_BYTES * (a.len() + b.len()) as u64)?;
                Value::tuple(a.iter().chain(b.iter()).cloned().collect())
            }
            (Operator::Mul, _, count) if is_sequence(left) && count.as_int().is_some() => {
                self.repeated(left, count.as_int().unwrap_or(0))
            }
            (Operator::Mul, count, _) if is_sequence(right) && count.as_int().is_some() => {
                self.repeated(right, count.as_int().unwrap_or(0))
            }
            (Operator::Rem, Value::Text(text), _) => {
                self.step(right.size())?;
                let made = format::percent(text, right)?;
                self.text(made)
            }
            _ => arithmetic(operator, left, right),
        }
    }

    fn repeated(&mut self, value: &Value, count: i64) -> Result<Value> {
        let count = u64::try_from(count).unwrap_or(0);
        match value {
            Value::Text(text) => {
                self.charge_text((text.len() as u64).saturating_mul(count))?;
                Ok(Value::text(text.repeat(count as usize)))
            }
            Value::List(items) | Value::Tuple(items) => {
                self.charge((items.len() as u64).saturating_mul(count).saturating_mul(super::VALUE_BYTES))?;
                let length = items.len() * count as usize;
                let repeated = items.iter().cycle().take(length).cloned().collect();
                if matches!(value, Value::List(_)) { Value::list(repeated) } else { Value::tuple(repeated) }
            }
            _ => Ok(value.clone()), // `is_sequence` admits no others
        }
    }

    fn slice(&mut self, inner: &'t Expr, parts: &'t [Option<Expr>; 3]) -> Result<Value> {
        let value = self.eval(inner)?;
        let mut bounds = [None; 3];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            let Some(part) = part else { continue };
            *bound = match self.eval(part)? {
                Value::None => None,
                part => Some(
                    part.as_int().ok_or_else(|| Fault::Operation("slice indices must be integers or None".into()))?,
                ),
            };
        }
        self.step(value.size())?;
        match &value {
            Value::Text(text) => {
                self.charge_text(4 * text.len() as u64)?;
                let letters: Vec<char> = text.chars().collect();
                let kept = slice_indices(letters.len(), bounds)?.map(|at| letters[at]).collect::<String>();
                self.text(kept)
            }
            Value::List(items) | Value::Tuple(items) => {
                let kept: Vec<Value> = slice_indices(items.len(), bounds)?.map(|at| items[at].clone()).collect();
                self.charge(super::VALUE_BYTES * kept.len() as u64)?;
                if matches!(value, Value::List(_)) { Value::list(kept) } else { Value::tuple(kept) }
            }
            Value::Range(range) => {
                let [first, _, step] = **range;
                let [start, stop, stride] = slice_bounds(range_len(range), bounds)?;
                let at = |index: i64| first.saturating_add(index.saturating_mul(step));
                Ok(Value::Range([at(start), at(stop), stride.saturating_mul(step)].into()))
            }
            Value::Undefined(words) => Err(Fault::Undefined(words.to_string())),
            other => Fault::operation(format!("'{}' object is not subscriptable", other.type_name())),
        }
    }

    /// An item by its place or key; undefined where there is none.
    pub(super) fn item(&mut self, value: &Value, key: &Value) -> Result<Value> {
        let found = match value {
            Value::Undefined(words) => return Err(Fault::Undefined(words.to_string())),
            Value::Dict(dict) => {
                self.step(dict.pairs().len() as u64 / 8)?;
                if key.check_hashable().is_ok() { dict.get(key).cloned() } else { None }
            }
            Value::Text(text) => {
                self.step(value.size())?;
                let place = key.as_int().and_then(|index| place(index, || text.chars().count()));
                place.and_then(|at| text.chars().nth(at)).map(|c| Value::text(c.encode_utf8(&mut [0; 4]) as &str))
            }
            Value::List(items) | Value::Tuple(items) => {
                key.as_int().and_then(|index| place(index, || items.len())).and_then(|at| items.get(at).cloned())
            }
            Value::Range(range) => {
                let place = key.as_int().and_then(|index| place(index, || range_len(range)));
                let inside = place.filter(|at| *at < range_len(range));
                inside.map(|at| Value::Int(range[0] + at as i64 * range[2]))
            }
            _ => None,
        };
        match (found, key) {
            (Some(found), _) => Ok(found),
            (None, Value::Text(name)) => self.bare_attribute(value, name),
            (None, key) => {
                let mut words = format!("{} has no element ", described(value));
                key.repr(&mut words)?;
                Ok(Value::undefined(words))
            }
        }
    }

    pub(super) fn filter_chain(&mut self, chain: &'t [Expr], text: String) -> Result<Value> {
        let mut value = self.text(text)?;
        for filter in chain {
            let ExprKind::Filter(_, name, arguments) = &filter.kind else { continue };
            let arguments = self.eval_arguments(arguments)?;
            value = self.filter(name, value, arguments)?;
        }
        Ok(value)
    }
}

/// How jinja2 speaks of a value that lacks something.
pub(super) fn described(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        other => format!("'{} object'", other.type_name()),
    }
}

impl Args {
    pub(crate) fn add(&mut self, name: &str, value: Value) -> Result<()> {
        if self.named.iter().any(|(known, _)| known == name) {
            return Fault::operation(format!("got multiple values for keyword argument '{name}'"));
        }
        self.named.push((name.to_owned(), value));
        Ok(())
    }

    /// The arguments by the names of their parameters; the first `required` must be given.
    pub(crate) fn bind<const N: usize>(
        self,
        of: &str,
        names: [&str; N],
        required: usize,
    ) -> Result<[Option<Value>; N]> {
        if self.positional.len() > N {
            return Fault::operation(format!("{of} takes {N} arguments at most, {} given", self.positional.len()));
        }
        let mut bound = [const { None }; N];
        for (place, value) in bound.iter_mut().zip(self.positional) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            let place = names.iter().position(|known| *known == name);
            match place.map(|place| &mut bound[place]) {
                Some(free @ None) => *free = Some(value),
                Some(_) => return Fault::operation(format!("{of} got multiple values for argument '{name}'")),
                None => return Fault::operation(format!("{of} got an unexpected keyword argument '{name}'")),
            }
        }
        match bound[..required].iter().position(Option::is_none) {
            Some(missing) => Fault::operation(format!("{of} is missing its argument '{}'", names[missing])),
            None => Ok(bound),
        }
    }
}

fn is_sequence(value: &Value) -> bool {
    matches!(value, Value::Text(_) | Value::List(_) | Value::Tuple(_))
}

/// The place of a Python index, negative ones counted from the end.
fn place(index: i64, length: impl FnOnce() -> usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        length().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    }
}

/// Python's `slice.indices`: start, stop and step within a sequence of this length.
fn slice_bounds(length: usize, [start, stop, step]: [Option<i64>; 3]) -> Result<[i64; 3]> {
    let (length, step) = (length as i64, step.unwrap_or(1));
    if step == 0 {
        return Fault::operation("slice step cannot be zero");
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |given: Option<i64>, default: i64| match given {
        None => default,
        Some(at) if at < 0 => (at.saturating_add(length)).max(low),
        Some(at) => at.min(high),
    };
    let (first, end) = if step > 0 { (low, high) } else { (high, low) };
    Ok([bound(start, first), bound(stop, end), step])
}

/// The places that a slice goes through.
fn slice_indices(length: usize, bounds: [Option<i64>; 3]) -> Result<impl Iterator<Item = usize>> {
    let [mut at, stop, step] = slice_bounds(length, bounds)?;
    Ok(std::iter::from_fn(move || {
        let inside = if step > 0 { at < stop } else { at > stop };
        let given = inside.then_some(at as usize)?;
        at = at.saturating_add(step);
        Some(given)
    }))
}

fn unary(sign: Sign, value: &Value) -> Result<Value> {
    let too_large = || Fault::Unsupported("a whole number beyond 64 bits".into());
    match (value, sign) {
        (Value::Undefined(words), _) => Err(Fault::Undefined(words.to_string())),
        (Value::Float(number), Sign::Minus) => Ok(Value::Float(-number)),
        (Value::Float(number), Sign::Plus) => Ok(Value::Float(*number)),
        _ => match (value.as_int(), sign) {
            (Some(number), Sign::Minus) => number.checked_neg().map(Value::Int).ok_or_else(too_large),
            (Some(number), Sign::Plus) => Ok(Value::Int(number)),
            (None, _) => Fault::operation(format!("bad operand type for unary sign: '{}'", value.type_name())),
        },
    }
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value> {
    let float = |value: &Value| match value {
        Value::Float(number) => Some(*number),
        other => other.as_int().map(|number| number as f64),
    };
    let too_large = || Fault::Unsupported("a whole number beyond 64 bits".into());
    let by_zero = || Fault::Operation("division by zero".into());
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        let whole = match operator {
            Operator::Add => a.checked_add(b),
            Operator::Sub => a.checked_sub(b),
            Operator::Mul => a.checked_mul(b),
            Operator::Div | Operator::FloorDiv | Operator::Rem if b == 0 => return Err(by_zero()),
            Operator::Div => return Ok(Value::Float(a as f64 / b as f64)),
            Operator::FloorDiv => a.checked_div(b).map(|q| q - i64::from(a % b != 0 && (a < 0) != (b < 0))),
            Operator::Rem => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
            Operator::Pow if b < 0 && a == 0 => return Err(by_zero()),
            Operator::Pow if b < 0 => return Ok(Value::Float((a as f64).powf(b as f64))),
            Operator::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        };
        return whole.map(Value::Int).ok_or_else(too_large);
    }
    let (Some(a), Some(b)) = (float(left), float(right)) else {
        let (left, right) = (left.type_name(), right.type_name());
        return Fault::operation(format!("unsupported operand types for {operator:?}: '{left}' and '{right}'"));
    };
    Ok(Value::Float(match operator {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mul => a * b,
        Operator::Div | Operator::FloorDiv | Operator::Rem if b == 0.0 => return Err(by_zero()),
        Operator::Div => a / b,
        Operator::FloorDiv => ((a - floor_rem(a, b)) / b).round(),
        Operator::Rem => floor_rem(a, b),
        Operator::Pow if a == 0.0 && b < 0.0 => return Err(by_zero()),
        Operator::Pow => {
            let power = a.powf(b);
            if power.is_nan() && !a.is_nan() && !b.is_nan() {
                return Fault::unsupported("a complex number");
            }
            if power.is_infinite() && a.is_finite() && b.is_finite() {
                return Fault::operation("the power is too large for a float");
            }
            power
        }
    }))
}

/// The remainder with the sign of the divisor.
fn floor_rem(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0.0_f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}
