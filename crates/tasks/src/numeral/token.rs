//! Cuts folded text into the pieces that numerals are made of.
//!
//! Promise: linear in the text, every character is in a piece or between pieces; wrappers such as
//! `\text{…}`, `\mathbf{…}` and `\left` are gone, breaks between phrases are marked.

/// One piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// ASCII digits.
    Digits(&'t str),
    /// One character that is a fraction: numerator and denominator.
    Fraction(u8, u8),
    /// Something that stands for a number and is not read, such as a Roman numeral's character.
    Odd,
    /// Letters.
    Word(&'t str),
    /// A TeX command that has a meaning here, without its backslash.
    Command(&'t str),
    /// A sign that can be part of a numeral or of mathematics around it.
    Sign(char),
    /// White space within a line.
    Blank,
    /// The end of a phrase: a line's end, an equals sign, punctuation.
    Break(char),
}

impl Token<'_> {
    /// Whether it stands for a number or a part of one.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Token::Digits(_) | Token::Fraction(..) | Token::Odd)
    }

    /// Whether it is a word of the language, not a variable or a unit of one letter.
    pub(crate) fn is_prose(self) -> bool {
        matches!(self, Token::Word(word) if word.chars().nth(1).is_some() || matches!(word, "a" | "A" | "I"))
    }

    fn ends_operand(self) -> bool {
        self.is_number() || matches!(self, Token::Sign(')' | ']' | '}' | '%'))
    }
}

const FRACTIONS: [(char, u8, u8); 18] = [
    ('¼', 1, 4),
    ('½', 1, 2),
    ('¾', 3, 4),
    ('⅐', 1, 7),
    ('⅑', 1, 9),
    ('⅒', 1, 10),
    ('⅓', 1, 3),
    ('⅔', 2, 3),
    ('⅕', 1, 5),
    ('⅖', 2, 5),
    ('⅗', 3, 5),
    ('⅘', 4, 5),
    ('⅙', 1, 6),
    ('⅚', 5, 6),
    ('⅛', 1, 8),
    ('⅜', 3, 8),
    ('⅝', 5, 8),
    ('⅞', 7, 8),
];
/// Environments that set text and do not change what it means.
const LAYOUTS: [&str; 12] = [
    "align",
    "align*",
    "aligned",
    "equation",
    "equation*",
    "gather",
    "gather*",
    "gathered",
    "center",
    "split",
    "itemize",
    "enumerate",
];
/// The longest tag such as `</answer>` that is taken for one.
const MAX_TAG_BYTES: usize = 40;

/// Tags of one letter; `<y>` compares.
const LETTER_TAGS: [&str; 7] = ["a", "b", "i", "p", "q", "s", "u"];
/// Comparisons of two signs or more.
const COMPARISONS: [&str; 6] = [">=", "<=", "=<", "!=", "=/=", "/="];
/// Arrows that begin as a comparison does.
const EQUIVALENCES: [&str; 3] = ["<==>", "<=>", "<->"];

/// What the closing brace of a group is worth.
#[derive(Clone, Copy)]
enum Group {
    Plain,
    /// `\mathbf{…}`: nothing.
    Style,
    /// `\text{…}`: a blank.
    Text,
    /// `\boxed{…}`: a break.
    Box,
}

/// The pieces of a text that went through [`super::fold::fold`].
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, rest: text, tokens: Vec::new(), groups: Vec::new() };
    while let Some(c) = lexer.rest.chars().next() {
        lexer.step(c);
    }
    lexer.tokens
}

struct Lexer<'t> {
    text: &'t str,
    rest: &'t str,
    tokens: Vec<Token<'t>>,
    groups: Vec<Group>,
}

impl<'t> Lexer<'t> {
    fn step(&mut self, c: char) {
        match c {
            '0'..='9' => {
                let digits = self.take_while(|c| c.is_ascii_digit());
                self.push(Token::Digits(digits));
            }
            '\\' => self.command(),
            _ if c.is_whitespace() => self.blank(),
            _ if c.is_numeric() => {
                let known = FRACTIONS.iter().find(|(sign, ..)| *sign == c);
                self.sign(c, known.map_or(Token::Odd, |&(_, over, under)| Token::Fraction(over, under)));
            }
            _ if c.is_alphabetic() => self.word(c),
            _ => self.punctuation(c),
        }
    }

    fn push(&mut self, token: Token<'t>) {
        // blanks never stand twice, nor behind a break
        if token != Token::Blank || !matches!(self.tokens.last(), Some(Token::Blank | Token::Break(_)) | None) {
            self.tokens.push(token);
        }
    }

    /// A blank that is only for looks: none between a sign and its number, as in `-\,5` and `-**5**`.
    fn push_loose(&mut self) {
        if !matches!(self.last(), Some(Token::Sign('-' | '+'))) {
            self.push(Token::Blank);
        }
    }

    fn sign(&mut self, c: char, token: Token<'t>) {
        self.rest = &self.rest[c.len_utf8()..];
        self.push(token);
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn blank(&mut self) {
        let blank = self.take_while(char::is_whitespace);
        self.push(if blank.contains(['\n', '\r']) { Token::Break('\n') } else { Token::Blank });
    }

    /// Letters; scripts without blanks between words are cut off from what stands beside them.
    fn word(&mut self, first: char) {
        let joined = is_joined(first);
        let word = self.take_while(|c| c.is_alphabetic() && !c.is_numeric() && is_joined(c) == joined);
        if joined {
            self.push(Token::Blank);
        }
        self.push(Token::Word(word));
        if joined {
            self.push(Token::Blank);
        }
    }

    /// The piece before the current one if nothing stands between.
    fn last(&self) -> Option<Token<'t>> {
        self.tokens.last().copied()
    }

    fn last_solid(&self) -> Option<Token<'t>> {
        self.tokens.iter().rev().find(|token| **token != Token::Blank).copied()
    }

    fn behind(&self, c: char) -> Option<char> {
        self.rest[c.len_utf8()..].chars().next()
    }

    fn punctuation(&mut self, c: char) {
        let between_digits =
            matches!(self.last(), Some(Token::Digits(_))) && self.behind(c).is_some_and(|c| c.is_ascii_digit());
        match c {
            '.' => self.point(),
            ',' | '\'' if between_digits => self.sign(c, Token::Sign(c)),
            '_' if between_digits || matches!(self.behind(c), Some('{')) => self.sign(c, Token::Sign(c)),
            '_' if matches!(self.last(), Some(Token::Word(_))) => self.sign(c, Token::Sign(c)),
            '_' | '~' => {
                self.rest = &self.rest[1..];
                self.push_loose();
            }
            ':' => self.colon(between_digits),
            '*' => self.stars(),
            '|' => self.bar(),
            _ if self.comparison() => {}
            '!' => self.exclamation(),
            '=' | '-' | '<' if self.arrow() => {}
            '<' => self.less(),
            '{' => self.open(Group::Plain),
            '}' => self.close(),
            '$' if self.rest.starts_with("$$") => {
                self.rest = &self.rest[2..];
                self.push(Token::Break('$'));
            }
            '=' | ',' | ';' | '#' | '"' | '`' | '?' | '&' | '@' | '\'' | '≈' | '≅' | '≃' | '→' | '⇒' | '⟹' | '∴'
            | '、' | '。' | '“' | '”' | '„' | '«' | '»' | '•' | '—' => self.sign(c, Token::Break(c)),
            _ => self.sign(c, Token::Sign(c)),
        }
    }

    /// A point before a digit belongs to the number; dots behind a decimal say that it goes on.
    fn point(&mut self) {
        let dots = self.rest.len() - self.rest.trim_start_matches('.').len();
        let decimal = matches!(self.tokens[..], [.., Token::Sign('.'), Token::Digits(_)]);
        self.rest = &self.rest[dots..];
        let digit_follows = self.rest.starts_with(|c: char| c.is_ascii_digit());
        self.push(match (dots, digit_follows) {
            (1, true) => Token::Sign('.'),
            (1, false) => Token::Break('.'),
            _ if decimal || digit_follows => Token::Sign('…'),
            _ => Token::Break('.'),
        });
    }

    /// `3:2` and `3 : 2` are no numerals; other colons end a phrase.
    fn colon(&mut self, between_digits: bool) {
        let spaced = self.last() == Some(Token::Blank) && self.last_solid().is_some_and(Token::is_number);
        let ratio = between_digits || spaced && self.rest[1..].trim_start_matches(' ').starts_with(is_digit);
        self.sign(':', if ratio { Token::Sign(':') } else { Token::Break(':') });
    }

    /// Stars between two operands multiply; others are marks of emphasis or of a list.
    fn stars(&mut self) {
        let stars = self.take_while(|c| c == '*').len();
        let next = self.rest.trim_start_matches(' ').chars().next();
        let operand = next.is_some_and(|c| is_digit(c) || matches!(c, '(' | '[' | '{' | '-'));
        let operator = operand && self.last_solid().is_some_and(Token::ends_operand);
        self.push(match (operator, stars) {
            (false, _) => return self.push_loose(),
            (true, 1) => Token::Sign('×'),
            (true, 2) => Token::Sign('^'),
            (true, _) => Token::Odd,
        });
    }

    /// `|5|` is an absolute value, `| 5 |` a cell of a table.
    fn bar(&mut self) {
        let at = self.text.len() - self.rest.len();
        let before = self.text[..at].chars().next_back();
        let loose = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c == '|');
        let cell = loose(before) && loose(self.behind('|'));
        self.sign('|', if cell { Token::Break('|') } else { Token::Sign('|') });
    }

    /// `5!` is a factorial where mathematics goes on behind it, an exclamation elsewhere.
    fn exclamation(&mut self) {
        let goes_on = self.behind('!').is_some_and(|c| "$}\\)]+-*/^_×".contains(c));
        let factorial = goes_on && self.last().is_some_and(Token::ends_operand);
        self.sign('!', if factorial { Token::Sign('!') } else { Token::Break('!') });
    }

    /// Two signs or more that compare, such as `>=` and `!=`. `x => 5` may be one of them.
    fn comparison(&mut self) -> bool {
        // 5!=120 is a factorial
        let factorial = self.rest.starts_with("!=") && self.last().is_some_and(Token::ends_operand);
        if factorial || EQUIVALENCES.iter().any(|arrow| self.rest.starts_with(arrow)) {
            return false;
        }
        let len = if let Some(sign) = COMPARISONS.iter().find(|sign| self.rest.starts_with(**sign)) {
            sign.len()
        } else if let Some(behind) = self.rest.strip_prefix(['<', '>']).filter(|_| !self.at_line_start()) {
            // "x > = 5"
            let equals = behind.trim_start_matches(' ');
            if !equals.starts_with('=') {
                return false;
            }
            self.rest.len() - equals.len() + 1
        } else {
            let variable = matches!(self.last_solid(), Some(Token::Word(word)) if word.chars().nth(1).is_none());
            if !self.rest.starts_with("=>") || !variable {
                return false;
            }
            2
        };
        self.rest = &self.rest[len..];
        self.push(Token::Sign('≠'));
        true
    }

    fn at_line_start(&self) -> bool {
        matches!(self.last_solid(), None | Some(Token::Break('\n')))
    }

    /// A tag such as `</answer>` or `<|im_end|>` ends a phrase; other angles compare.
    fn less(&mut self) {
        let inside = &self.rest[1..];
        let end = inside.bytes().take(MAX_TAG_BYTES).position(|byte| byte == b'>');
        match end {
            Some(end) if is_tag(&inside[..end]) => {
                self.rest = &inside[end + 1..];
                self.push(Token::Break('<'));
            }
            _ => self.sign('<', Token::Sign('<')),
        }
    }

    fn arrow(&mut self) -> bool {
        let arrow =
            ["-->", "==>", "->", "=>"].into_iter().chain(EQUIVALENCES).find(|arrow| self.rest.starts_with(arrow));
        if let Some(arrow) = arrow {
            self.rest = &self.rest[arrow.len()..];
            self.push(Token::Break('→'));
        }
        arrow.is_some()
    }

    fn open(&mut self, group: Group) {
        self.rest = &self.rest[1..];
        self.groups.push(group);
        self.brace(group, '{');
    }

    fn close(&mut self) {
        self.rest = &self.rest[1..];
        match self.groups.pop().unwrap_or(Group::Plain) {
            // the exponent of a unit: \text{cm}^2
            Group::Text if self.rest.starts_with('^') => {}
            group => self.brace(group, '}'),
        }
    }

    fn brace(&mut self, group: Group, sign: char) {
        match group {
            Group::Plain => self.push(Token::Sign(sign)),
            Group::Style => {}
            Group::Text => self.push_loose(),
            Group::Box => self.push(Token::Break('{')),
        }
    }

    fn command(&mut self) {
        let name_len = self.rest[1..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len() - 1);
        if name_len == 0 {
            return self.escape();
        }
        let name = &self.rest[1..=name_len];
        self.rest = &self.rest[1 + name_len..];
        match name {
            "begin" | "end" => self.environment(name),
            "left" | "right" | "big" | "Big" | "bigl" | "bigr" | "Bigl" | "Bigr" | "displaystyle" | "textstyle"
            | "limits" | "rm" | "bf" | "it" => {}
            "mathbf" | "mathrm" | "mathit" | "mathsf" | "mathtt" | "boldsymbol" | "bm" | "ensuremath" | "underline"
            | "displaylines" => self.wrapper(Group::Style),
            "text" | "textbf" | "textit" | "textrm" | "textsf" | "texttt" | "textnormal" | "mbox" | "hbox" | "emph"
            | "operatorname" => self.wrapper(Group::Text),
            "boxed" | "fbox" | "framebox" => self.wrapper(Group::Box),
            "not" if self.rest.trim_start_matches(' ').starts_with('=') => {
                self.rest = &self.rest.trim_start_matches(' ')[1..];
                self.push(Token::Sign('≠'));
            }
            _ => self.push(meaning(name)),
        }
    }

    /// The group behind a command that changes nothing but looks.
    fn wrapper(&mut self, group: Group) {
        let rest = self.rest.trim_start_matches(' ');
        if rest.starts_with('{') {
            self.rest = rest;
            self.open(group);
        } else {
            self.brace(group, '{');
        }
    }

    fn environment(&mut self, command: &'t str) {
        let inside = self.rest.strip_prefix('{');
        let layout =
            inside.and_then(|inside| LAYOUTS.iter().find_map(|layout| inside.strip_prefix(*layout)?.strip_prefix('}')));
        match layout {
            Some(rest) => {
                self.rest = rest;
                self.push(Token::Break('&'));
            }
            _ => self.push(Token::Command(command)),
        }
    }

    /// A backslash before something that is no letter.
    fn escape(&mut self) {
        let Some(c) = self.behind('\\') else {
            self.rest = "";
            return self.push(Token::Break('\\'));
        };
        self.rest = &self.rest[1 + c.len_utf8()..];
        self.push(match c {
            ',' | ';' | ':' | ' ' | '/' => return self.push_loose(),
            '%' | '$' | '_' => Token::Sign(c),
            '{' => Token::Sign('['),
            '}' => Token::Sign(']'),
            '\\' | '(' | ')' | '[' | ']' | '#' | '&' => Token::Break('\\'),
            _ => Token::Command("?"),
        });
    }
}

/// Whether what stands in angles is a tag: `/answer`, `b`, `br /`, `span class="x"`, `|im_end|`.
fn is_tag(inside: &str) -> bool {
    if let Some(special) = inside.strip_prefix('|') {
        let name = special.strip_suffix('|').unwrap_or_default();
        return name.len() > 1 && !name.contains(|c: char| c.is_whitespace() || matches!(c, '|' | '<' | '='));
    }
    let (closing, inside) = inside.strip_prefix('/').map_or((false, inside), |name| (true, name));
    let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    let bare = name.trim_end_matches('/');
    let named = bare.starts_with(|c: char| c.is_ascii_alphabetic())
        && bare.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/'));
    let known = closing || bare.chars().nth(1).is_some() || LETTER_TAGS.contains(&&*bare.to_ascii_lowercase());
    let attributes = attributes.trim();
    named && known && (matches!(attributes, "" | "/") || attributes.contains("=\"") || attributes.contains("='"))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Letters of scripts that are written without blanks between words.
fn is_joined(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FFDC}' | '\u{20000}'..='\u{3FFFF}')
}

/// What a command without a group stands for.
fn meaning(name: &str) -> Token<'_> {
    match name {
        "times" | "cdot" => Token::Sign('×'),
        "div" => Token::Sign('÷'),
        "circ" | "degree" => Token::Sign('°'),
        "frac" | "dfrac" | "tfrac" | "cfrac" => Token::Command("frac"),
        "pounds" | "textsterling" => Token::Sign('£'),
        "euro" | "texteuro" => Token::Sign('€'),
        "textdollar" => Token::Sign('$'),
        "quad" | "qquad" | "thinspace" | "space" => Token::Blank,
        "approx" | "simeq" | "implies" | "Rightarrow" | "rightarrow" | "to" | "therefore" | "item" | "colon"
        | "newline" | "n" => Token::Break('→'),
        "dots" | "ldots" | "cdots" => Token::Sign('…'),
        _ => Token::Command(name),
    }
}
