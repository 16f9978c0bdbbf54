// Simple colouring of code: comments, strings, numbers, keywords and names that are called. Text in, nodes out.

import { h } from "./dom.js";

const KEYWORDS = new Set((
  "and as assert async await break case catch class const continue def default del delete do elif else enum except " +
  "export extends extern false False final finally fn for from func function global go if impl implements import in " +
  "instanceof interface is lambda let loop match mod mut namespace new nil None nonlocal not null or package pass " +
  "private protected pub public raise return self static struct super switch this throw true True try type typeof " +
  "undefined union unsafe use using var void where while with yield select insert update into values create table " +
  "SELECT INSERT UPDATE DELETE FROM WHERE INTO VALUES CREATE TABLE AND OR NOT NULL JOIN ON ORDER BY GROUP echo then " +
  "fi done esac local int float double bool char string str long unsigned").split(" "));

const HASH = new Set(["py", "python", "sh", "bash", "shell", "zsh", "yaml", "yml", "toml", "ini", "rb", "ruby", "r",
  "perl", "makefile", "dockerfile", "docker", "elixir", "nim", "conf"]);
const DASH = new Set(["sql", "lua", "haskell", "hs", "ada", "elm"]);
const PLAIN = new Set(["", "text", "txt", "plain", "plaintext", "md", "markdown", "log", "output", "csv"]);

const STRING = String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|` +
  "`(?:\\\\.|[^`\\\\])*`?";
const NUMBER = String.raw`\b(?:0[xob][\da-f_]+|\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\b`;
const WORD = String.raw`[\p{L}_$@][\p{L}\p{N}_$]*`;

function comments(language) {
  if (HASH.has(language)) return "#[^\\n]*";
  if (DASH.has(language)) return "--[^\\n]*";
  if (language === "html" || language === "xml") return "<!--[\\s\\S]*?(?:-->|$)";
  return "//[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$)";
}

/** Return nodes for `text`, coloured if the language is not plain. */
export function colour(text, language) {
  if (PLAIN.has(language)) return [document.createTextNode(text)];
  if (language === "diff") return diff(text);
  const pattern = new RegExp(`(${comments(language)})|(${STRING})|(${NUMBER})|(${WORD})`, "giu");
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(pattern)) {
    const kind = kindOf(found, text);
    if (!kind) continue;
    if (found.index > at) nodes.push(document.createTextNode(text.slice(at, found.index)));
    nodes.push(h("span", { class: `tok-${kind}`, text: found[0] }));
    at = found.index + found[0].length;
  }
  if (at < text.length) nodes.push(document.createTextNode(text.slice(at)));
  return nodes;
}

function kindOf(found, text) {
  if (found[1] !== undefined) return "comment";
  if (found[2] !== undefined) return "string";
  if (found[3] !== undefined) return "number";
  if (KEYWORDS.has(found[4])) return "keyword";
  const after = text[found.index + found[4].length];
  if (found[4].startsWith("@")) return "meta";
  return after === "(" ? "call" : null;
}

function diff(text) {
  return text.split(/(?<=\n)/).map((line) => {
    const kind = { "+": "added", "-": "removed", "@": "meta" }[line[0]];
    return kind ? h("span", { class: `tok-${kind}`, text: line }) : document.createTextNode(line);
  });
}
