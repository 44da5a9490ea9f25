//! A parsed template.

use std::sync::Arc;

use crate::{
    error::{Fault, Result},
    value::Value,
};

/// Levels of an expression's tree. Left chains such as `a + b + c` are as deep as they are long.
const TREE_DEPTH_MAX: u32 = 200;

/// An expression and its line.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) line: u32,
    depth: u32,
    pub(crate) kind: ExprKind,
}

impl Expr {
    pub(crate) fn new(line: u32, kind: ExprKind) -> Result<Self> {
        let depth = 1 + kind.deepest_part();
        if depth > TREE_DEPTH_MAX {
            return Err(Fault::Depth { limit: TREE_DEPTH_MAX });
        }
        Ok(Self { line, depth, kind })
    }
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Const(Value),
    Name(String),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `a if b else c`; without `else`, undefined.
    Choice {
        condition: Box<Expr>,
        yes: Box<Expr>,
        no: Option<Box<Expr>>,
    },
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Unary(Sign, Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `a ~ b ~ c`
    Concat(Vec<Expr>),
    /// `a < b <= c`
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Attribute(Box<Expr>, String),
    Item(Box<Expr>, Box<Expr>),
    /// `a[start:stop:step]`
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, Arguments),
    Filter(Option<Box<Expr>>, String, Arguments),
    Test(Box<Expr>, String, Arguments),
}

impl ExprKind {
    fn deepest_part(&self) -> u32 {
        let most = |parts: &mut dyn Iterator<Item = &Expr>| parts.map(|part| part.depth).max().unwrap_or(0);
        match self {
            Self::Const(_) | Self::Name(_) => 0,
            Self::List(parts) | Self::Tuple(parts) | Self::Concat(parts) => most(&mut parts.iter()),
            Self::Dict(pairs) => most(&mut pairs.iter().flat_map(|(key, value)| [key, value])),
            Self::Choice { condition, yes, no } => most(&mut [condition, yes].into_iter().chain(no).map(AsRef::as_ref)),
            Self::And(a, b) | Self::Or(a, b) | Self::Binary(_, a, b) | Self::Item(a, b) => a.depth.max(b.depth),
            Self::Not(inner) | Self::Unary(_, inner) | Self::Attribute(inner, _) => inner.depth,
            Self::Compare(first, rest) => first.depth.max(most(&mut rest.iter().map(|(_, part)| part))),
            Self::Slice(inner, parts) => inner.depth.max(most(&mut parts.iter().flatten())),
            Self::Call(inner, arguments) | Self::Test(inner, _, arguments) => inner.depth.max(arguments.deepest_part()),
            Self::Filter(inner, _, arguments) => {
                arguments.deepest_part().max(inner.as_ref().map_or(0, |inner| inner.depth))
            }
        }
    }
}

impl Arguments {
    fn deepest_part(&self) -> u32 {
        let spread = self.spread.iter().chain(&self.spread_named).map(AsRef::as_ref);
        let named = self.named.iter().map(|(_, value)| value);
        self.positional.iter().chain(named).chain(spread).map(|part| part.depth).max().unwrap_or(0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sign {
    Minus,
    Plus,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Expr>,
    pub(crate) named: Vec<(String, Expr)>,
    /// `*list`
    pub(crate) spread: Option<Box<Expr>>,
    /// `**dict`
    pub(crate) spread_named: Option<Box<Expr>>,
}

/// What can stand left of `=` or after `for`.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Name(String),
    /// `namespace.name`
    Attribute(String, String),
    Tuple(Vec<Target>),
}

#[derive(Clone, Debug)]
pub(crate) struct Stmt {
    pub(crate) line: u32,
    pub(crate) kind: StmtKind,
}

#[derive(Clone, Debug)]
pub(crate) enum StmtKind {
    Text(String),
    Print(Expr),
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    For(Box<For>),
    Set(Target, Expr),
    /// `{% set x | filter %}...{% endset %}`; the filters apply to the text.
    SetBlock(Target, Vec<Expr>, Vec<Stmt>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
    Macro(Arc<Macro>),
    /// `{% call(args) f(...) %}...{% endcall %}`
    CallBlock(Expr, Arc<Macro>),
    FilterBlock(Vec<Expr>, Vec<Stmt>),
    /// What the assistant wrote: `{% generation %}`.
    Generation(Vec<Stmt>),
    Block(Vec<Stmt>),
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) items: Expr,
    pub(crate) condition: Option<Expr>,
    pub(crate) recursive: bool,
    pub(crate) body: Vec<Stmt>,
    pub(crate) otherwise: Vec<Stmt>,
}

#[derive(Clone, Debug)]
pub(crate) struct Macro {
    pub(crate) name: String,
    pub(crate) parameters: Vec<String>,
    /// Of the last parameters.
    pub(crate) defaults: Vec<Expr>,
    pub(crate) body: Vec<Stmt>,
    /// Whether the body names `varargs`, `kwargs` and `caller`: a call may hand it only what it names.
    pub(crate) names: ExtraNames,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ExtraNames {
    pub(crate) varargs: bool,
    pub(crate) kwargs: bool,
    pub(crate) caller: bool,
}
