//! Runs a parsed template: statements, scopes, loops and macros.
//!
//! Promise: the text that jinja2 gives, or a fault; work and memory are counted before they are taken.

mod access;
mod call;
mod expressions;
mod filters;
mod filters_more;
mod methods;
mod predicates;

use std::ops::Range;

use crate::{
    Date, Rendered,
    ast::{Expr, ExprKind, For, Macro, Stmt, StmtKind, Target},
    error::{Error, Fault, Result},
    value::{TEXT_BYTES_MAX, Value, View, range_items},
};

/// Steps of a template before it is given up. Qwen3's takes about 200 a message.
pub const STEPS_MAX: u64 = 20_000_000;
/// Bytes of all values that a template makes, also those that it drops again.
pub const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Bytes of the text that a template gives.
pub const OUTPUT_BYTES_MAX: usize = 16 << 20;
/// Statements, expressions and calls inside each other.
const DEPTH_MAX: u32 = 400;
/// What a value takes beside its text.
const VALUE_BYTES: u64 = 32;

/// Statements either run through, or leave the loop's round or the loop.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

#[derive(Clone, Copy)]
struct ScopeId(usize);

struct Scope<'t> {
    parent: Option<ScopeId>,
    names: Vec<(&'t str, Value)>,
    /// A macro was defined inside, which sees it later.
    captured: bool,
}

/// What has a state; values refer to it by number.
enum Object<'t> {
    Namespace(Vec<(String, Value)>),
    /// A generator: gives its items once.
    Items(std::collections::VecDeque<Value>),
    Loop(Box<Loop<'t>>),
    Macro(&'t Macro, ScopeId),
    Cycler(Vec<Value>, usize),
    Joiner(Value, bool),
}

struct Loop<'t> {
    source: &'t For,
    scope: ScopeId,
    /// Whether the loop's condition still has to be asked.
    filters: bool,
    items: std::vec::IntoIter<Value>,
    /// Looked at, not yet given.
    after: Option<Value>,
    before: Option<Value>,
    current: Option<Value>,
    index: i64,
    length: Option<i64>,
    depth: i64,
    changed: Option<Vec<Value>>,
}

pub(crate) struct Renderer<'t> {
    context: &'t [(String, Value)],
    date: Option<Date>,
    scopes: Vec<Scope<'t>>,
    scope: ScopeId,
    objects: Vec<Object<'t>>,
    out: String,
    /// Texts begun around the one that is captured now.
    outer: Vec<String>,
    marks: Vec<Range<usize>>,
    steps: u64,
    bytes: u64,
    depth: u32,
    /// Of the innermost statement or expression begun.
    line: u32,
}

pub(crate) fn render(body: &[Stmt], context: &[(String, Value)], date: Option<Date>) -> Result<Rendered, Error> {
    let mut renderer = Renderer {
        context,
        date,
        scopes: vec![Scope { parent: None, names: Vec::new(), captured: false }],
        scope: ScopeId(0),
        objects: Vec::new(),
        out: String::new(),
        outer: Vec::new(),
        marks: Vec::new(),
        steps: 0,
        bytes: 0,
        depth: 0,
        line: 1,
    };
    match renderer.run(body) {
        Ok(_) => Ok(Rendered { text: renderer.out, generation: renderer.marks }),
        Err(fault) => Err(fault.at(renderer.line)),
    }
}

impl<'t> Renderer<'t> {
    fn step(&mut self, count: u64) -> Result<()> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > STEPS_MAX { Err(Fault::Steps { limit: STEPS_MAX }) } else { Ok(()) }
    }

    /// Accounts for bytes that are about to be taken.
    fn charge(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MEMORY_BYTES_MAX { Err(Fault::Memory { limit: MEMORY_BYTES_MAX }) } else { Ok(()) }
    }

    /// Accounts for a text of this length that is about to be made.
    fn charge_text(&mut self, bytes: u64) -> Result<()> {
        if bytes > TEXT_BYTES_MAX {
            return Err(Fault::Memory { limit: TEXT_BYTES_MAX });
        }
        self.charge(bytes + VALUE_BYTES)
    }

    fn text(&mut self, text: String) -> Result<Value> {
        self.charge_text(text.len() as u64)?;
        Ok(Value::text(text))
    }

    fn list(&mut self, items: Vec<Value>) -> Result<Value> {
        self.charge(VALUE_BYTES * (items.len() as u64 + 1))?;
        Value::list(items)
    }

    /// A generator over items that are there already.
    fn generator(&mut self, items: Vec<Value>) -> Result<Value> {
        self.charge(VALUE_BYTES * (items.len() as u64 + 1))?;
        self.object(Object::Items(items.into()))
    }

    fn object(&mut self, object: Object<'t>) -> Result<Value> {
        self.charge(VALUE_BYTES)?;
        let index = u32::try_from(self.objects.len()).map_err(|_| Fault::Memory { limit: MEMORY_BYTES_MAX })?;
        self.objects.push(object);
        Ok(Value::Object(index))
    }

    /// Python's `str`, of any length that is allowed.
    fn str_of(&mut self, value: &Value) -> Result<String> {
        let mut text = String::new();
        value.print(&mut text)?;
        self.charge_text(text.len() as u64)?;
        Ok(text)
    }

    /// The items that a loop over the value sees.
    fn items_of(&mut self, value: &Value) -> Result<Vec<Value>> {
        self.step(value.size())?;
        let count = match value {
            Value::Text(text) => text.len() as u64,
            other => other.size(),
        };
        self.charge(VALUE_BYTES * count)?;
        Ok(match value {
            Value::Undefined(_) => Vec::new(),
            Value::Text(text) => text.chars().map(|c| Value::text(c.encode_utf8(&mut [0; 4]) as &str)).collect(),
            Value::List(items) | Value::Tuple(items) => items.to_vec(),
            Value::Dict(dict) => dict.pairs().iter().map(|(key, _)| key.clone()).collect(),
            Value::View(view, dict) => dict.pairs().iter().map(|pair| View::of(*view, pair)).collect::<Result<_>>()?,
            Value::Range(range) => range_items(range).map(Value::Int).collect(),
            Value::Object(index) => match &mut self.objects[*index as usize] {
                Object::Items(items) => std::mem::take(items).into(),
                _ => return Fault::operation("such an object has no items"),
            },
            other => return Fault::operation(format!("'{}' object is not iterable", other.type_name())),
        })
    }

    fn emit(&mut self, text: &str) -> Result<()> {
        if self.outer.is_empty() {
            if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
                return Err(Fault::Output { limit: OUTPUT_BYTES_MAX });
            }
        } else {
            self.charge(text.len() as u64)?;
            if (self.out.len() + text.len()) as u64 > TEXT_BYTES_MAX {
                return Err(Fault::Memory { limit: TEXT_BYTES_MAX });
            }
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Runs `inner`, one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::Depth { limit: DEPTH_MAX });
        }
        let made = inner(self);
        self.depth -= 1;
        made
    }

    /// Runs statements in a scope of their own.
    fn in_scope<T>(&mut self, parent: ScopeId, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.charge(VALUE_BYTES)?;
        let before = self.scope;
        let id = ScopeId(self.scopes.len());
        self.scopes.push(Scope { parent: Some(parent), names: Vec::new(), captured: false });
        self.scope = id;
        let made = inner(self);
        self.scope = before;
        if self.scopes.len() == id.0 + 1 && !self.scopes[id.0].captured {
            self.scopes.pop();
        }
        made
    }

    /// Runs statements in a scope of their own, and gives what they print.
    fn captured(&mut self, parent: ScopeId, inner: impl FnOnce(&mut Self) -> Result<()>) -> Result<String> {
        let begun = std::mem::take(&mut self.out);
        self.outer.push(begun);
        let ran = self.in_scope(parent, inner);
        let outer = self.outer.pop().unwrap_or_default();
        let text = std::mem::replace(&mut self.out, outer);
        ran.map(|()| text)
    }

    fn set(&mut self, name: &'t str, value: Value) -> Result<()> {
        self.charge(VALUE_BYTES)?;
        let names = &mut self.scopes[self.scope.0].names;
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = value,
            None => names.push((name, value)),
        }
        Ok(())
    }

    fn assign(&mut self, target: &'t Target, value: Value) -> Result<()> {
        match target {
            Target::Name(name) => self.set(name, value),
            Target::Attribute(name, attribute) => {
                let Value::Object(index) = self.lookup(name) else {
                    return Fault::operation("cannot assign attribute on non-namespace object");
                };
                if attribute.starts_with('_') {
                    return Fault::operation(format!("cannot store the attribute {attribute:?} on a namespace"));
                }
                self.charge(VALUE_BYTES + attribute.len() as u64)?;
                let Object::Namespace(names) = &mut self.objects[index as usize] else {
                    return Fault::operation("cannot assign attribute on non-namespace object");
                };
                match names.iter_mut().find(|(known, _)| known == attribute) {
                    Some((_, place)) => *place = value,
                    None => names.push((attribute.clone(), value)),
                }
                Ok(())
            }
            Target::Tuple(targets) => {
                let items = self.items_of(&value)?;
                if items.len() != targets.len() {
                    let (given, expected) = (items.len(), targets.len());
                    return Fault::operation(format!("cannot unpack {given} values into {expected} names"));
                }
                targets.iter().zip(items).try_for_each(|(target, item)| self.assign(target, item))
            }
        }
    }

    fn run(&mut self, body: &'t [Stmt]) -> Result<Flow> {
        self.deeper(|renderer| {
            for statement in body {
                renderer.line = statement.line;
                renderer.step(1)?;
                let flow = renderer.statement(statement)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn statement(&mut self, statement: &'t Stmt) -> Result<Flow> {
        match &statement.kind {
            StmtKind::Text(text) => self.emit(text)?,
            StmtKind::Print(value) => self.print(value)?,
            StmtKind::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.eval(condition)?.truth() {
                        return self.run(body);
                    }
                }
                return self.run(otherwise);
            }
            StmtKind::For(source) => {
                let items = self.eval(&source.items)?;
                self.for_loop(source, &items, self.scope, 1)?;
            }
            StmtKind::Set(target, value) => {
                let value = self.eval(value)?;
                self.assign(target, value)?;
            }
            StmtKind::SetBlock(target, chain, body) => {
                let text = self.captured(self.scope, |renderer| renderer.run(body).map(|_| ()))?;
                let value = self.filter_chain(chain, text)?;
                self.assign(target, value)?;
            }
            StmtKind::FilterBlock(chain, body) => {
                let text = self.captured(self.scope, |renderer| renderer.run(body).map(|_| ()))?;
                let value = self.filter_chain(chain, text)?;
                let text = self.str_of(&value)?;
                self.emit(&text)?;
            }
            StmtKind::With(given, body) => {
                let values = given.iter().map(|(_, value)| self.eval(value)).collect::<Result<Vec<_>>>()?;
                return self.in_scope(self.scope, |renderer| {
                    for ((target, _), value) in given.iter().zip(values) {
                        renderer.assign(target, value)?;
                    }
                    renderer.run(body)
                });
            }
            StmtKind::Macro(source) => {
                let made = self.macro_object(source)?;
                self.set(&source.name, made)?;
            }
            StmtKind::CallBlock(call, source) => {
                let caller = self.macro_object(source)?;
                let ExprKind::Call(callee, arguments) = &call.kind else {
                    return Fault::operation("no call"); // the parser admits calls only
                };
                let callee = self.eval(callee)?;
                let mut arguments = self.eval_arguments(arguments)?;
                arguments.named.push(("caller".into(), caller));
                let value = self.call(&callee, arguments)?;
                let text = self.str_of(&value)?;
                self.emit(&text)?;
            }
            StmtKind::Generation(body) => self.generation(body)?,
            StmtKind::Block(body) => {
                self.in_scope(self.scope, |renderer| renderer.run(body))?;
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// What the assistant wrote. As in transformers, a mark counts from what was printed outside all
    /// captures, so marks inside macros and set blocks are off there and here.
    fn generation(&mut self, body: &'t [Stmt]) -> Result<()> {
        let text = self.captured(self.scope, |renderer| renderer.run(body).map(|_| ()))?;
        let start = self.outer.first().unwrap_or(&self.out).len();
        self.charge(VALUE_BYTES)?;
        self.marks.push(start..start + text.len());
        self.emit(&text)
    }

    /// Escaping changes nothing more than the text where it stands last in a print.
    fn print(&mut self, value: &'t Expr) -> Result<()> {
        if let ExprKind::Filter(Some(inner), name, _) = &value.kind
            && name == "safe"
        {
            return self.print(inner);
        }
        if let ExprKind::Filter(Some(inner), name, _) = &value.kind
            && matches!(name.as_str(), "e" | "escape" | "forceescape")
        {
            let inner = self.eval(inner)?;
            let text = self.str_of(&inner)?;
            let text = filters_more::html_escaped(&text);
            return self.emit(&text);
        }
        match self.eval(value)? {
            Value::Text(text) => self.emit(&text),
            value => {
                let text = self.str_of(&value)?;
                self.emit(&text)
            }
        }
    }

    fn macro_object(&mut self, source: &'t Macro) -> Result<Value> {
        let mut scope = Some(self.scope);
        while let Some(id) = scope.filter(|id| !self.scopes[id.0].captured) {
            self.scopes[id.0].captured = true;
            scope = self.scopes[id.0].parent;
        }
        self.object(Object::Macro(source, self.scope))
    }

    fn for_loop(&mut self, source: &'t For, items: &Value, scope: ScopeId, depth: i64) -> Result<()> {
        let items = self.items_of(items)?;
        let length = source.condition.is_none().then_some(items.len() as i64);
        self.charge(size_of::<Loop>() as u64)?;
        let made = Loop {
            source,
            scope,
            filters: source.condition.is_some(),
            items: items.into_iter(),
            after: None,
            before: None,
            current: None,
            index: -1,
            length,
            depth,
            changed: None,
        };
        let object = self.object(Object::Loop(Box::new(made)))?;
        let Value::Object(index) = object else {
            return Ok(()); // `object` makes nothing else
        };
        let before = std::mem::replace(&mut self.scope, scope);
        let ran = self.rounds(source, index, scope);
        self.scope = before;
        ran
    }

    fn rounds(&mut self, source: &'t For, index: u32, scope: ScopeId) -> Result<()> {
        let mut any = false;
        while let Some(item) = self.advance(index)? {
            any = true;
            self.step(1)?;
            let flow = self.in_scope(scope, |renderer| {
                renderer.set("loop", Value::Object(index))?;
                renderer.assign(&source.target, item)?;
                renderer.run(&source.body)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        if !any {
            self.in_scope(scope, |renderer| renderer.run(&source.otherwise))?;
        }
        Ok(())
    }

    fn loop_mut(&mut self, index: u32) -> Result<&mut Loop<'t>> {
        match &mut self.objects[index as usize] {
            Object::Loop(state) => Ok(state),
            _ => Fault::operation("no loop"),
        }
    }

    /// The next round's item.
    fn advance(&mut self, index: u32) -> Result<Option<Value>> {
        let next = match self.loop_mut(index)?.after.take() {
            Some(after) => Some(after),
            None => self.pull(index)?,
        };
        let state = self.loop_mut(index)?;
        if let Some(item) = &next {
            state.index += 1;
            state.before = state.current.replace(item.clone());
        }
        Ok(next)
    }

    /// The next item that passes the loop's condition.
    fn pull(&mut self, index: u32) -> Result<Option<Value>> {
        loop {
            let state = self.loop_mut(index)?;
            let (source, scope, filters) = (state.source, state.scope, state.filters);
            let Some(item) = state.items.next() else { return Ok(None) };
            let Some(condition) = source.condition.as_ref().filter(|_| filters) else { return Ok(Some(item)) };
            self.step(1)?;
            let passes = self.in_scope(scope, |renderer| {
                renderer.assign(&source.target, item.clone())?;
                Ok(renderer.eval(condition)?.truth())
            })?;
            if passes {
                return Ok(Some(item));
            }
        }
    }

    /// The item after this one, left for the next round.
    fn look_ahead(&mut self, index: u32) -> Result<Option<Value>> {
        if self.loop_mut(index)?.after.is_none() {
            let after = self.pull(index)?;
            self.loop_mut(index)?.after = after;
        }
        Ok(self.loop_mut(index)?.after.clone())
    }

    /// How many rounds there are, by looking at all items that are left.
    fn loop_length(&mut self, index: u32) -> Result<i64> {
        if let Some(length) = self.loop_mut(index)?.length {
            return Ok(length);
        }
        let mut rest: Vec<Value> = self.loop_mut(index)?.after.take().into_iter().collect();
        while let Some(item) = self.pull(index)? {
            rest.push(item);
        }
        let state = self.loop_mut(index)?;
        let length = state.index + 1 + rest.len() as i64;
        // They passed the condition already; the next rounds take them as they are.
        state.filters = false;
        state.items = rest.into_iter();
        state.length = Some(length);
        Ok(length)
    }
}
