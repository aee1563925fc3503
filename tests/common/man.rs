//! Writes manual pages (man(7)) from the comments of the header.

use std::collections::{BTreeMap, BTreeSet};

use super::declarations::Declaration;

/// The date of the pages: when what they say last changed.
const DATE: &str = "2026-11-30";

/// Characters in a line of a page's source.
const WIDTH: usize = 78;

/// A page.
pub struct Page {
    /// Its name, which is also that of its example.
    pub name: &'static str,
    /// What its functions do, for apropos(1).
    pub title: &'static str,
    /// The functions, the first of the same name as the page.
    pub functions: &'static [&'static str],
    /// The types whose fields or values it lists.
    pub types: &'static [&'static str],
}

/// What is known of all pages.
pub struct Manual<'a> {
    pub version: &'a str,
    pub declarations: BTreeMap<&'a str, &'a Declaration>,
    pub header: &'a str,
    pub pages: &'a [Page],
}

/// A comment by its parts.
#[derive(Default)]
struct Comment {
    paragraphs: Vec<String>,
    /// Names and texts.
    parameters: Vec<(String, String)>,
    returns: Option<String>,
    requires: Option<String>,
}

impl Comment {
    fn parse(comment: &str) -> Comment {
        let mut parsed = Comment::default();
        let lines = comment.lines().map(|line| line.trim().trim_start_matches('*').trim());
        let joined = lines.fold(String::new(), |text, line| match line {
            "" => text + "\n",
            _ if line.starts_with('@') => text + "\n" + line,
            _ if text.is_empty() || text.ends_with('\n') => text + line,
            _ => text + " " + line,
        });
        for part in joined.split('\n').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once(' ') {
                Some(("@param", rest)) => {
                    let (name, text) = rest.split_once(' ').expect("a parameter has a text");
                    parsed.parameters.push((name.to_owned(), text.to_owned()));
                }
                Some(("@return", text)) => parsed.returns = Some(capitalised(text)),
                Some(("@pre", text)) => parsed.requires = Some(format!("Required of the caller: {text}")),
                _ => parsed.paragraphs.push(part.to_owned()),
            }
        }
        parsed
    }
}

fn capitalised(text: &str) -> String {
    // What begins with a name keeps its case.
    let is_word = text.bytes().take_while(u8::is_ascii_lowercase).count() > 0 && !text.starts_with("dpl");
    let (first, rest) = text.split_at(1);
    let ended = if text.ends_with('.') { "" } else { "." };
    if is_word { first.to_uppercase() + rest + ended } else { text.to_owned() + ended }
}

impl Manual<'_> {
    /// Returns the source of a page.
    pub fn page(&self, page: &Page, example: &str) -> String {
        let upper = page.name.to_uppercase();
        let mut out = format!(
            ".\\\" Generated from the header's comments: make header\n.TH {upper} 3 {DATE} \"droplet\\-conn {}\"\n",
            self.version
        );
        out += &(".SH NAME\n".to_owned()
            + &wrapped(&format!("{} \\- {}", page.functions.join(", "), page.title)));
        out += ".SH LIBRARY\n\\fBlibdroplet_conn\\fR (\\fB\\-ldroplet_conn\\fR), and \\fBlibdroplet\\fR of droplet\\-conn\n";
        out += &self.synopsis(page);
        let mut mentioned = BTreeSet::new();
        let comments: Vec<_> = page.functions.iter().map(|name| (*name, self.comment(name))).collect();
        out += ".SH DESCRIPTION\n";
        for (name, comment) in &comments {
            if comments.len() > 1 {
                out += &format!(".SS {name}()\n");
            }
            out += &self.description(comment, &mut mentioned);
        }
        let returns: Vec<_> =
            comments.iter().filter_map(|(name, it)| Some((name, it.returns.as_ref()?))).collect();
        if !returns.is_empty() {
            out += ".SH RETURN VALUE\n";
        }
        for (name, text) in returns {
            let label = if comments.len() > 1 { format!(".TP\n\\fB{name}\\fR()\n") } else { String::new() };
            out += &(label + &self.text(text, &mut mentioned));
        }
        for name in page.types {
            out += &self.type_section(name, &mut mentioned);
        }
        out += &format!(".SH EXAMPLES\n.EX\n{}.EE\n", code(example));
        mentioned.retain(|name| *name != page.name);
        let others: Vec<_> = mentioned.iter().map(|name| format!("\\fB{name}\\fR(3)")).collect();
        out + &format!(
            ".SH SEE ALSO\n{}\n",
            [others, vec!["\\fBdroplet_conn\\fR(7)".to_owned()]].concat().join(",\n")
        )
    }

    fn comment(&self, function: &str) -> Comment {
        let declaration = self.declarations.get(function);
        Comment::parse(&declaration.unwrap_or_else(|| panic!("there is no {function}")).comment)
    }

    fn synopsis(&self, page: &Page) -> String {
        let mut out = ".SH SYNOPSIS\n.nf\n\\fB#include <droplet_conn.h>\\fR\n".to_owned();
        for name in page.functions {
            let declaration = self.declarations[name];
            let mut text = declaration.text.trim().to_owned();
            for parameter in declaration.parameters() {
                let ends = [format!("{parameter},"), format!("{parameter})")];
                for end in ends {
                    for before in [" ", "*"] {
                        let marked = format!("{before}\\fI{parameter}\\fB{}", &end[parameter.len()..]);
                        text = text.replace(&format!("{before}{end}"), &marked);
                    }
                }
            }
            out += ".PP\n";
            for line in text.lines() {
                out += &format!("\\fB{line}{}\\fR\n", if text.ends_with(line) { ";" } else { "" });
            }
        }
        out + ".fi\n"
    }

    fn description<'a>(&'a self, comment: &Comment, mentioned: &mut BTreeSet<&'a str>) -> String {
        let mut out = String::new();
        for (at, paragraph) in comment.paragraphs.iter().enumerate() {
            out += if at > 0 { ".PP\n" } else { "" };
            out += &self.text(paragraph, mentioned);
        }
        for (name, text) in &comment.parameters {
            out += &format!(".TP\n\\fI{name}\\fR\n{}", self.text(&capitalised(text), mentioned));
        }
        if let Some(text) = &comment.requires {
            out += &format!(".PP\n{}", self.text(text, mentioned));
        }
        out
    }

    /// Lists the fields of a struct or the values of an enumeration.
    fn type_section<'a>(&'a self, name: &str, mentioned: &mut BTreeSet<&'a str>) -> String {
        let end = format!("}} {name};");
        let (before, _) = self.header.split_once(&end).unwrap_or_else(|| panic!("there is no {name}"));
        let (before, members) = before.rsplit_once('{').expect("a body");
        let comment = before.rsplit("/**").next().and_then(|it| it.split("*/").next()).expect("a comment");
        let mut out = format!(".SH {name}\n{}", self.description(&Comment::parse(comment), mentioned));
        for member in members.split("/**").skip(1) {
            let (comment, declared) = member.split_once("*/").expect("comments end");
            let declared = declared.trim().trim_end_matches([';', ',']);
            let text = Comment::parse(comment).paragraphs.join(" ");
            out += &format!(".TP\n\\fB{}\\fR\n{}", declared.replace('-', "\\-"), self.text(&text, mentioned));
        }
        out
    }

    /// Returns a paragraph as lines of source. Functions that it names are added to those that the page refers to.
    fn text<'a>(&'a self, text: &str, mentioned: &mut BTreeSet<&'a str>) -> String {
        let mut words = Vec::new();
        for (at, part) in text.split('`').enumerate() {
            if at % 2 == 1 {
                let code = part.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
                words.push(format!("\\fB{code}\\fR"));
                continue;
            }
            let marked: Vec<_> = part.split(' ').map(|word| self.word(word, mentioned)).collect();
            words.push(marked.join(" "));
        }
        wrapped(&words.concat())
    }

    fn word<'a>(&'a self, word: &str, mentioned: &mut BTreeSet<&'a str>) -> String {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let start = word.find(is_name).unwrap_or(word.len());
        let length = word[start..].find(|c| !is_name(c)).unwrap_or(word.len() - start);
        let (before, name, after) = (&word[..start], &word[start..start + length], &word[start + length..]);
        // A sign, not a hyphen.
        let before = if before.ends_with('-') { before.replace('-', "\\-") } else { before.to_owned() };
        if let (true, Some(rest)) = (self.declarations.contains_key(name), after.strip_prefix("()")) {
            let page = self.pages.iter().find(|page| page.functions.contains(&name));
            mentioned.extend(page.map(|page| page.name));
            return format!("{before}\\fB{name}\\fR(3){rest}");
        }
        if name.starts_with("DPL") && name.contains('_') {
            return format!("{before}\\fB{name}\\fR{after}");
        }
        before + name + after
    }
}

/// Breaks a paragraph into lines, each sentence on a line of its own.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    let mut flush = |line: &mut String| {
        // A line that begins so would be a request.
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        out += &format!("{guard}{line}\n");
        line.clear();
    };
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            flush(&mut line);
        }
        line += if line.is_empty() { "" } else { " " };
        line += word;
        if word.ends_with(['.', '!', '?']) {
            flush(&mut line);
        }
    }
    if !line.is_empty() {
        flush(&mut line);
    }
    out
}

/// Returns a program as lines of source.
fn code(program: &str) -> String {
    let lines = program.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        if line.starts_with('.') { format!("\\&{line}\n") } else { line + "\n" }
    });
    lines.collect()
}

/// The words between two texts, without punctuation and what man(7) marks them with.
pub fn words_between(text: &str, begin: &str, end: &str) -> Vec<String> {
    let between = text.split_once(begin).and_then(|(_, rest)| Some(rest.split_once(end)?.0));
    let between = between.unwrap_or_else(|| panic!("{begin:?} and {end:?}"));
    let words = between.split(|it: char| !it.is_alphanumeric() && it != '_');
    let is_markup = |word: &&str| matches!(*word, "" | "IP" | "bu" | "2" | "B" | "BR" | "3");
    words.filter(|word| !is_markup(word)).map(str::to_owned).collect()
}
