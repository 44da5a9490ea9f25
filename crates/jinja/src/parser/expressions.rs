//! Expressions, with the binding strengths of jinja2.

use super::{Parser, syntax};
use crate::{
    ast::{Arguments, Comparison, Expr, ExprKind, Operator, Sign},
    error::Result,
    lexer::Token,
    value::Value,
};

fn expr(line: u32, kind: ExprKind) -> Result<Expr> {
    Expr::new(line, kind)
}

impl Parser {
    /// `a if b else c` and everything that binds stronger.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.nested(Self::choice)
    }

    fn choice(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut yes = self.or()?;
        while self.skip_name("if") {
            let condition = Box::new(self.or()?);
            let no = if self.skip_name("else") { Some(Box::new(self.expression()?)) } else { None };
            yes = expr(line, ExprKind::Choice { condition, yes: Box::new(yes), no })?;
        }
        Ok(yes)
    }

    fn or(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut left = self.and()?;
        while self.skip_name("or") {
            left = expr(line, ExprKind::Or(Box::new(left), Box::new(self.and()?)))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut left = self.not()?;
        while self.skip_name("and") {
            left = expr(line, ExprKind::And(Box::new(left), Box::new(self.not()?)))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        let line = self.line();
        if self.skip_name("not") {
            let inner = self.nested(Self::not)?;
            return expr(line, ExprKind::Not(Box::new(inner)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expr> {
        let line = self.line();
        let left = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        if rest.is_empty() { Ok(left) } else { expr(line, ExprKind::Compare(Box::new(left), rest)) }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek()? {
            Token::Op("==") => Comparison::Eq,
            Token::Op("!=") => Comparison::Ne,
            Token::Op("<") => Comparison::Lt,
            Token::Op("<=") => Comparison::Le,
            Token::Op(">") => Comparison::Gt,
            Token::Op(">=") => Comparison::Ge,
            Token::Name(name) if name == "in" => Comparison::In,
            Token::Name(name) if name == "not" => {
                if !matches!(self.ahead(1), Some(Token::Name(next)) if next == "in") {
                    return None;
                }
                self.at += 1;
                Comparison::NotIn
            }
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut left = self.concat()?;
        loop {
            let operator = if self.skip_op("+") {
                Operator::Add
            } else if self.skip_op("-") {
                Operator::Sub
            } else {
                return Ok(left);
            };
            left = expr(line, ExprKind::Binary(operator, Box::new(left), Box::new(self.concat()?)))?;
        }
    }

    fn concat(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut parts = vec![self.product()?];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        if parts.len() == 1 { Ok(parts.swap_remove(0)) } else { expr(line, ExprKind::Concat(parts)) }
    }

    fn product(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut left = self.power()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Op("*")) => Operator::Mul,
                Some(Token::Op("/")) => Operator::Div,
                Some(Token::Op("//")) => Operator::FloorDiv,
                Some(Token::Op("%")) => Operator::Rem,
                _ => return Ok(left),
            };
            self.at += 1;
            left = expr(line, ExprKind::Binary(operator, Box::new(left), Box::new(self.power()?)))?;
        }
    }

    /// Binds to the left, unlike Python's.
    fn power(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut left = self.unary(true)?;
        while self.skip_op("**") {
            left = expr(line, ExprKind::Binary(Operator::Pow, Box::new(left), Box::new(self.unary(true)?)))?;
        }
        Ok(left)
    }

    fn unary(&mut self, filters: bool) -> Result<Expr> {
        let line = self.line();
        let sign = if self.skip_op("-") {
            Some(Sign::Minus)
        } else if self.skip_op("+") {
            Some(Sign::Plus)
        } else {
            None
        };
        let mut made = match sign {
            Some(sign) => {
                let inner = self.nested(|parser| parser.unary(false))?;
                expr(line, ExprKind::Unary(sign, Box::new(inner)))?
            }
            None => self.primary()?,
        };
        made = self.postfix(made)?;
        if filters { self.filters(made) } else { Ok(made) }
    }

    fn primary(&mut self) -> Result<Expr> {
        let line = self.line();
        let kind = match self.next() {
            Some(Token::Name(name)) => match name.as_str() {
                "true" | "True" => ExprKind::Const(Value::Bool(true)),
                "false" | "False" => ExprKind::Const(Value::Bool(false)),
                "none" | "None" => ExprKind::Const(Value::None),
                _ => {
                    self.note_extra(&name);
                    ExprKind::Name(name)
                }
            },
            Some(Token::Str(mut text)) => {
                while let Some(Token::Str(more)) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                ExprKind::Const(Value::text(text))
            }
            Some(Token::Int(number)) => ExprKind::Const(Value::Int(number)),
            Some(Token::Float(number)) => ExprKind::Const(Value::Float(number)),
            Some(Token::Op("(")) => {
                let inner = if self.is_op(")") { expr(line, ExprKind::Tuple(Vec::new()))? } else { self.tuple(true)? };
                self.expect_op(")")?;
                return Ok(inner);
            }
            Some(Token::Op("[")) => ExprKind::List(self.items("]")?),
            Some(Token::Op("{")) => ExprKind::Dict(self.pairs()?),
            _ => {
                self.at -= 1;
                return self.unexpected("an expression");
            }
        };
        expr(line, kind)
    }

    fn note_extra(&mut self, name: &str) {
        if let Some(extras) = self.extras.last_mut() {
            match name {
                "varargs" => extras.varargs = true,
                "kwargs" => extras.kwargs = true,
                "caller" => extras.caller = true,
                _ => {}
            }
        }
    }

    fn items(&mut self, end: &str) -> Result<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.skip_op(end) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.skip_op(end) {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn pairs(&mut self) -> Result<Vec<(Expr, Expr)>> {
        let mut pairs = Vec::new();
        while !self.skip_op("}") {
            if !pairs.is_empty() {
                self.expect_op(",")?;
                if self.skip_op("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect_op(":")?;
            pairs.push((key, self.expression()?));
        }
        Ok(pairs)
    }

    /// An expression, or several with commas; without `choices` no `a if b` at the top, which leaves
    /// `if` to the tag.
    pub(super) fn tuple(&mut self, choices: bool) -> Result<Expr> {
        let line = self.line();
        let item = |parser: &mut Self| if choices { parser.expression() } else { parser.nested(Self::or) };
        let first = item(self)?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_op(",") {
            let ends = matches!(self.peek(), Some(Token::BlockEnd | Token::PrintEnd | Token::Op(")")) | None);
            if ends || self.is_name("recursive") {
                break;
            }
            items.push(item(self)?);
        }
        expr(line, ExprKind::Tuple(items))
    }

    /// `.name`, `[...]` and calls.
    fn postfix(&mut self, mut made: Expr) -> Result<Expr> {
        loop {
            let line = self.line();
            let kind = if self.skip_op(".") {
                match self.next() {
                    Some(Token::Name(name)) => ExprKind::Attribute(Box::new(made), name),
                    Some(Token::Int(index)) => {
                        ExprKind::Item(Box::new(made), Box::new(expr(line, ExprKind::Const(Value::Int(index)))?))
                    }
                    _ => {
                        self.at -= 1;
                        return self.unexpected("a name or number after .");
                    }
                }
            } else if self.skip_op("[") {
                self.nested(|parser| parser.subscript(made))?
            } else if self.is_op("(") {
                ExprKind::Call(Box::new(made), self.arguments()?)
            } else {
                return Ok(made);
            };
            made = expr(line, kind)?;
        }
    }

    fn subscript(&mut self, made: Expr) -> Result<ExprKind> {
        let line = self.line();
        let mut parts: [Option<Expr>; 3] = Default::default();
        let mut colons = 0;
        loop {
            if self.skip_op(":") {
                colons += 1;
                if colons > 2 {
                    return syntax("a slice has three parts at most");
                }
            } else if self.skip_op("]") {
                break;
            } else if self.is_op(",") {
                if colons > 0 {
                    return crate::error::Fault::unsupported("a slice beside other subscripts");
                }
                let mut items: Vec<Expr> = parts[0].take().into_iter().collect();
                while self.skip_op(",") {
                    if self.is_op("]") {
                        break;
                    }
                    items.push(self.expression()?);
                }
                self.expect_op("]")?;
                let key = expr(line, ExprKind::Tuple(items))?;
                return Ok(ExprKind::Item(Box::new(made), Box::new(key)));
            } else if parts[colons].is_none() {
                parts[colons] = Some(self.expression()?);
            } else {
                return self.unexpected("]");
            }
        }
        match (colons, parts) {
            (0, [Some(key), ..]) => Ok(ExprKind::Item(Box::new(made), Box::new(key))),
            (0, _) => syntax("expected a subscript"),
            (_, parts) => Ok(ExprKind::Slice(Box::new(made), Box::new(parts))),
        }
    }

    pub(super) fn arguments(&mut self) -> Result<Arguments> {
        self.expect_op("(")?;
        let mut arguments = Arguments::default();
        let mut first = true;
        while !self.skip_op(")") {
            if !first {
                self.expect_op(",")?;
                if self.skip_op(")") {
                    break;
                }
            }
            first = false;
            let named = matches!((self.peek(), self.ahead(1)), (Some(Token::Name(_)), Some(Token::Op("="))));
            if self.skip_op("*") {
                if arguments.spread.is_some() || arguments.spread_named.is_some() {
                    return syntax("unexpected * in a call");
                }
                arguments.spread = Some(Box::new(self.expression()?));
            } else if self.skip_op("**") {
                if arguments.spread_named.is_some() {
                    return syntax("unexpected ** in a call");
                }
                arguments.spread_named = Some(Box::new(self.expression()?));
            } else if named {
                let name = self.name()?;
                self.expect_op("=")?;
                arguments.named.push((name, self.expression()?));
            } else {
                if !arguments.named.is_empty() || arguments.spread.is_some() || arguments.spread_named.is_some() {
                    return syntax("a positional argument follows a named one");
                }
                arguments.positional.push(self.expression()?);
            }
        }
        Ok(arguments)
    }

    /// `| filter`, `is test` and calls of what they give.
    fn filters(&mut self, mut made: Expr) -> Result<Expr> {
        loop {
            let line = self.line();
            let kind = if self.skip_op("|") {
                let (name, arguments) = self.filter_name()?;
                ExprKind::Filter(Some(Box::new(made)), name, arguments)
            } else if self.skip_name("is") {
                self.test(made)?
            } else if self.is_op("(") {
                ExprKind::Call(Box::new(made), self.arguments()?)
            } else {
                return Ok(made);
            };
            made = expr(line, kind)?;
        }
    }

    fn test(&mut self, made: Expr) -> Result<ExprKind> {
        let line = self.line();
        let negated = self.skip_name("not");
        let mut name = self.name()?;
        while self.skip_op(".") {
            name = format!("{name}.{}", self.name()?);
        }
        let mut arguments = Arguments::default();
        if self.is_op("(") {
            arguments = self.arguments()?;
        } else {
            let ends = ["else", "or", "and"].iter().any(|word| self.is_name(word));
            let begins = matches!(
                self.peek(),
                Some(Token::Name(_) | Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{"))
            );
            if begins && !ends {
                if self.is_name("is") {
                    return syntax("tests cannot be chained with is");
                }
                let inner = self.primary()?;
                arguments.positional.push(self.postfix(inner)?);
            }
        }
        let test = ExprKind::Test(Box::new(made), name, arguments);
        Ok(if negated { ExprKind::Not(Box::new(expr(line, test)?)) } else { test })
    }
}
