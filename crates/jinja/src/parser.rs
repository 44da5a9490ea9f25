//! From tokens to a tree: statements. Expressions are in [`expressions`].
//!
//! Promise: takes what jinja2 takes with the loop controls and transformers' `generation` tag; other
//! tags are refused by name.

mod expressions;

use std::sync::Arc;

use crate::{
    ast::{Arguments, Expr, ExprKind, ExtraNames, For, Macro, Stmt, StmtKind, Target},
    error::{Error, Fault, Result},
    lexer::{self, Token},
};

/// Most brackets, blocks and operators inside each other.
const NESTING_MAX: u32 = 64;

pub(crate) fn parse(source: &str) -> Result<Vec<Stmt>, Error> {
    let mut parser = Parser { tokens: lexer::tokens(source)?, at: 0, nesting: 0, loops: 0, extras: Vec::new() };
    let body = parser.body(&[]);
    let line = parser.line();
    body.map(|(body, _)| body).map_err(|fault| fault.at(line))
}

struct Parser {
    tokens: Vec<(u32, Token)>,
    at: usize,
    nesting: u32,
    /// Loops around the place, for `break` and `continue`.
    loops: u32,
    /// Names with a meaning of their own in the macros around the place.
    extras: Vec<ExtraNames>,
}

fn syntax<T>(text: impl Into<String>) -> Result<T> {
    Err(Fault::Syntax(text.into()))
}

impl Parser {
    fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(line, _)| *line)
    }

    fn peek(&self) -> Option<&Token> {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> Option<&Token> {
        self.tokens.get(self.at + count).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at += 1;
        token
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Some(Token::Op(given)) if *given == op)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(given)) if given == name)
    }

    fn skip_op(&mut self, op: &str) -> bool {
        let is = self.is_op(op);
        self.at += usize::from(is);
        is
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let is = self.is_name(name);
        self.at += usize::from(is);
        is
    }

    fn expect_op(&mut self, op: &str) -> Result<()> {
        if self.skip_op(op) { Ok(()) } else { self.unexpected(op) }
    }

    fn expect_name(&mut self, name: &str) -> Result<()> {
        if self.skip_name(name) { Ok(()) } else { self.unexpected(name) }
    }

    fn name(&mut self) -> Result<String> {
        match self.next() {
            Some(Token::Name(name)) => Ok(name),
            _ => {
                self.at -= 1;
                self.unexpected("a name")
            }
        }
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T> {
        let given = self.peek().map_or("the end of the template".into(), Token::describe);
        syntax(format!("expected {expected}, found {given}"))
    }

    fn block_end(&mut self) -> Result<()> {
        if self.peek() == Some(&Token::BlockEnd) {
            self.at += 1;
            return Ok(());
        }
        self.unexpected("%}")
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(Fault::Depth { limit: NESTING_MAX });
        }
        let made = inner(self);
        self.nesting -= 1;
        made
    }

    /// Statements up to a tag named in `ends` (which is read, its end is not), or to the template's end.
    fn body(&mut self, ends: &[&str]) -> Result<(Vec<Stmt>, String)> {
        self.nested(|parser| parser.statements(ends))
    }

    fn statements(&mut self, ends: &[&str]) -> Result<(Vec<Stmt>, String)> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let kind = match self.next() {
                None if ends.is_empty() => return Ok((body, String::new())),
                None => return syntax(format!("the template ends before {}", ends.join(" or "))),
                Some(Token::Text(text)) => StmtKind::Text(text),
                Some(Token::PrintBegin) => {
                    let value = self.tuple(true)?;
                    if self.next() != Some(Token::PrintEnd) {
                        self.at -= 1;
                        return self.unexpected("}}");
                    }
                    StmtKind::Print(value)
                }
                Some(Token::BlockBegin) => {
                    let tag = self.name()?;
                    if ends.contains(&tag.as_str()) {
                        return Ok((body, tag));
                    }
                    let kind = self.statement(&tag)?;
                    self.block_end()?;
                    kind
                }
                Some(other) => return syntax(format!("unexpected {}", other.describe())),
            };
            body.push(Stmt { line, kind });
        }
    }

    fn statement(&mut self, tag: &str) -> Result<StmtKind> {
        match tag {
            "if" => self.if_(),
            "for" => self.for_(),
            "set" => self.set(),
            "with" => self.with(),
            "macro" => {
                let name = self.name()?;
                let (parameters, defaults) = self.signature()?;
                self.block_end()?;
                Ok(StmtKind::Macro(self.macro_body(name, parameters, defaults, "endmacro")?))
            }
            "call" => self.call_block(),
            "filter" => {
                let chain = self.filter_chain(true)?;
                self.block_end()?;
                Ok(StmtKind::FilterBlock(chain, self.body(&["endfilter"])?.0))
            }
            "generation" => {
                self.block_end()?;
                // A function of its own in jinja2: loops around it cannot be left from inside.
                let loops = std::mem::take(&mut self.loops);
                let body = self.body(&["endgeneration"])?.0;
                self.loops = loops;
                Ok(StmtKind::Generation(body))
            }
            "block" => self.block(),
            "print" => Ok(StmtKind::Print(self.tuple(true)?)),
            "break" if self.loops > 0 => Ok(StmtKind::Break),
            "continue" if self.loops > 0 => Ok(StmtKind::Continue),
            "break" | "continue" => syntax(format!("{tag} stands outside a loop")),
            "include" | "import" | "from" | "extends" | "autoescape" => Fault::unsupported(format!("the tag {tag}")),
            _ => syntax(format!("unknown tag {tag}")),
        }
    }

    fn if_(&mut self) -> Result<StmtKind> {
        let mut branches = Vec::new();
        let mut condition = self.tuple(false)?;
        loop {
            self.block_end()?;
            let (body, end) = self.body(&["elif", "else", "endif"])?;
            branches.push((condition, body));
            match end.as_str() {
                "elif" => condition = self.tuple(false)?,
                "else" => {
                    self.block_end()?;
                    return Ok(StmtKind::If(branches, self.body(&["endif"])?.0));
                }
                _ => return Ok(StmtKind::If(branches, Vec::new())),
            }
        }
    }

    fn for_(&mut self) -> Result<StmtKind> {
        let target = self.targets("in")?;
        self.expect_name("in")?;
        let items = self.tuple(false)?;
        let condition = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.block_end()?;
        self.loops += 1;
        let (body, end) = self.body(&["endfor", "else"])?;
        self.loops -= 1;
        let mut otherwise = Vec::new();
        if end == "else" {
            self.block_end()?;
            otherwise = self.body(&["endfor"])?.0;
        }
        Ok(StmtKind::For(Box::new(For { target, items, condition, recursive, body, otherwise })))
    }

    fn set(&mut self) -> Result<StmtKind> {
        let target = self.targets("=")?;
        if self.skip_op("=") {
            return Ok(StmtKind::Set(target, self.tuple(true)?));
        }
        let chain = if self.is_op("|") { self.filter_chain(false)? } else { Vec::new() };
        self.block_end()?;
        Ok(StmtKind::SetBlock(target, chain, self.body(&["endset"])?.0))
    }

    fn with(&mut self) -> Result<StmtKind> {
        let mut given = Vec::new();
        while self.peek() != Some(&Token::BlockEnd) {
            if !given.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.target()?;
            self.expect_op("=")?;
            given.push((target, self.expression()?));
        }
        self.block_end()?;
        Ok(StmtKind::With(given, self.body(&["endwith"])?.0))
    }

    fn block(&mut self) -> Result<StmtKind> {
        self.name()?;
        if self.is_name("scoped") || self.is_name("required") {
            return Fault::unsupported("a block that is scoped or required");
        }
        if self.loops > 0 || !self.extras.is_empty() {
            return Fault::unsupported("a block inside a loop or macro");
        }
        self.block_end()?;
        let body = self.body(&["endblock"])?.0;
        if matches!(self.peek(), Some(Token::Name(_))) {
            self.at += 1;
        }
        Ok(StmtKind::Block(body))
    }

    fn call_block(&mut self) -> Result<StmtKind> {
        // The body's parameters stand before the call, the body behind it.
        let (parameters, defaults) = if self.is_op("(") { self.signature()? } else { Default::default() };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return syntax("expected a call after {% call");
        }
        self.block_end()?;
        let made = self.macro_body("caller".into(), parameters, defaults, "endcall")?;
        Ok(StmtKind::CallBlock(call, made))
    }

    fn macro_body(
        &mut self,
        name: String,
        parameters: Vec<String>,
        defaults: Vec<Expr>,
        end: &'static str,
    ) -> Result<Arc<Macro>> {
        self.extras.push(ExtraNames::default());
        let loops = std::mem::take(&mut self.loops);
        let body = self.body(&[end])?.0;
        self.loops = loops;
        let names = self.extras.pop().unwrap_or_default();
        // As jinja2 looks for them: also in what stands inside.
        if let Some(around) = self.extras.last_mut() {
            around.varargs |= names.varargs;
            around.kwargs |= names.kwargs;
            around.caller |= names.caller;
        }
        Ok(Arc::new(Macro { name, parameters, defaults, body, names }))
    }

    /// `(a, b=1)`
    fn signature(&mut self) -> Result<(Vec<String>, Vec<Expr>)> {
        let (mut parameters, mut defaults) = (Vec::new(), Vec::new());
        self.expect_op("(")?;
        while !self.skip_op(")") {
            if !parameters.is_empty() {
                self.expect_op(",")?;
            }
            parameters.push(self.name()?);
            if self.skip_op("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return syntax("a parameter without default follows one with a default");
            }
        }
        Ok((parameters, defaults))
    }

    /// One target, or several with commas, up to a word or sign that is left to read.
    fn targets(&mut self, end: &str) -> Result<Target> {
        let mut targets = vec![self.target()?];
        let mut is_tuple = false;
        while self.skip_op(",") {
            is_tuple = true;
            if self.is_name(end) || self.is_op(end) {
                break;
            }
            targets.push(self.target()?);
        }
        Ok(if is_tuple { Target::Tuple(targets) } else { targets.swap_remove(0) })
    }

    fn target(&mut self) -> Result<Target> {
        if self.skip_op("(") {
            let target = self.nested(|parser| parser.targets(")"))?;
            self.expect_op(")")?;
            return Ok(target);
        }
        let name = self.name()?;
        if matches!(name.as_str(), "true" | "false" | "none" | "True" | "False" | "None") {
            return syntax(format!("cannot assign to {name}"));
        }
        if self.skip_op(".") {
            return Ok(Target::Attribute(name, self.name()?));
        }
        Ok(Target::Name(name))
    }

    /// Filters of a block, each applied to what the one before gave; `bare` without the first `|`.
    fn filter_chain(&mut self, bare: bool) -> Result<Vec<Expr>> {
        let mut chain = Vec::new();
        while (bare && chain.is_empty()) || self.skip_op("|") {
            let line = self.line();
            let (name, arguments) = self.filter_name()?;
            chain.push(Expr::new(line, ExprKind::Filter(None, name, arguments))?);
        }
        Ok(chain)
    }

    fn filter_name(&mut self) -> Result<(String, Arguments)> {
        let mut name = self.name()?;
        while self.skip_op(".") {
            name = format!("{name}.{}", self.name()?);
        }
        let arguments = if self.is_op("(") { self.arguments()? } else { Arguments::default() };
        Ok((name, arguments))
    }
}
