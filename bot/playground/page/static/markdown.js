// Discord's dialect of Markdown: text to a small tree. Pure: no DOM here (see render.js).
//
// Blocks: {type: "p"|"h"|"sub"|"quote"|"list"|"code"}; inline: {type: "text"|"strong"|"em"|"u"|"s"|"spoiler"|"icode"|
// "link"|"user"|"role"|"channel"|"command"|"emoji"|"time"|"everyone"}. Discord's own rules are kept on purpose: no
// tables, no images, no HTML, four hashes are no heading, `__x__` underlines, an unclosed fence is plain text.

const FENCE = /```(?:([\w+\-.#]+)\n)?\n*([^\n][\s\S]*?)\n*```/y;
const QUOTE = /> [^\n]*|>(?=\n|$)/y;
const QUOTE_REST = />>> ([\s\S]*)/y;
const HEADING = /(#{1,3}) +([^\n]+)/y;
const SUBTEXT = /-# +([^\n]+)/y;
const ITEM = /( *)([-*]|\d{1,9}\.) +([^\n]*)/y;
const MAX_DEPTH = 8;

/** Parse a message's content into block nodes. */
export function parse(source) {
  return parseBlocks(source.replace(/\r\n?/g, "\n"), 0);
}

function match(pattern, source, at) {
  pattern.lastIndex = at;
  return pattern.exec(source);
}

function parseBlocks(source, depth, inQuote = false) {
  const nodes = [];
  let paragraph = "";
  let at = 0;
  const flush = (beforeBlock) => {
    const text = beforeBlock ? paragraph.replace(/\n$/, "") : paragraph;
    if (text) nodes.push({ type: "p", children: parseInline(text, 0) });
    paragraph = "";
  };
  while (at < source.length) {
    const block = depth < MAX_DEPTH ? blockAt(source, at, depth, inQuote) : null;
    if (block) {
      flush(true);
      nodes.push(block.node);
      at = block.end;
      if (source[at] === "\n") at += 1;
      continue;
    }
    const line = takeLine(source, at);
    paragraph += line;
    at += line.length;
    if (!line.endsWith("\n") && at < source.length) {
      // The line was cut before a fence that begins in its middle.
      const fence = fenceAt(source, at);
      flush(true);
      nodes.push(fence.node);
      at = fence.end;
      if (source[at] === "\n") at += 1;
    }
  }
  flush(false);
  return nodes;
}

function takeLine(source, at) {
  const newline = source.indexOf("\n", at);
  const end = newline < 0 ? source.length : newline + 1;
  const fence = source.indexOf("```", at);
  const cut = fence > at && fence < end && fenceAt(source, fence) ? fence : end;
  return source.slice(at, cut);
}

function blockAt(source, at, depth, inQuote) {
  return (inQuote ? null : quoteAt(source, at, depth)) ?? fenceAt(source, at) ?? headingAt(source, at) ??
    subtextAt(source, at) ?? listAt(source, at, depth);
}

function fenceAt(source, at) {
  const found = match(FENCE, source, at);
  if (!found) return null;
  return { node: { type: "code", language: (found[1] ?? "").toLowerCase(), text: found[2] }, end: FENCE.lastIndex };
}

function quoteAt(source, at, depth) {
  const rest = match(QUOTE_REST, source, at);
  if (rest) return { node: { type: "quote", children: parseBlocks(rest[1], depth + 1, true) }, end: source.length };
  const lines = [];
  let end = at;
  for (let found; (found = match(QUOTE, source, end)); end += 1) {
    lines.push(found[0].slice(2));
    end = QUOTE.lastIndex;
    if (source[end] !== "\n") break;
  }
  if (!lines.length) return null;
  // The line break after the last quoted line belongs to whoever comes next.
  if (source[end - 1] === "\n" && end > at) end -= 1;
  return { node: { type: "quote", children: parseBlocks(lines.join("\n"), depth + 1, true) }, end };
}

function headingAt(source, at) {
  const found = match(HEADING, source, at);
  return found && { node: { type: "h", level: found[1].length, children: parseInline(found[2].trim(), 0) },
    end: HEADING.lastIndex };
}

function subtextAt(source, at) {
  const found = match(SUBTEXT, source, at);
  return found && { node: { type: "sub", children: parseInline(found[1], 0) }, end: SUBTEXT.lastIndex };
}

function listAt(source, at, depth) {
  const items = [];
  let end = at;
  while (end < source.length) {
    const found = match(ITEM, source, end);
    if (!found || found[3] === "") break;
    const item = { indent: found[1].length, marker: found[2], width: found[1].length + found[2].length + 1 };
    end += found[0].length - found[3].length;
    item.text = itemText(source, end, item.width);
    end += item.text.length;
    item.text = dedent(item.text, item.width);
    items.push(item);
    if (source[end] !== "\n") break;
    end += 1;
  }
  if (!items.length || items[0].indent > 1 + 2 * depth) return null;
  if (source[end - 1] === "\n") end -= 1;
  return { node: nest(items, depth), end };
}

/** Take an item's first line and what belongs to it: deeper indented lines that are no items, whole fences. */
function itemText(source, at, width) {
  let end = at;
  for (;;) {
    const line = takeLine(source, end);
    end += line.length;
    if (!line.endsWith("\n") && end < source.length) {
      end = fenceAt(source, end).end;
      if (source[end] === "\n") end += 1;
    }
    const next = source.slice(end, end + width);
    const continues = end < source.length && source[end - 1] === "\n" && next.trim() === "" &&
      next.length === width && !next.includes("\n") && !match(ITEM, source, end);
    if (!continues) break;
  }
  return source.slice(at, source[end - 1] === "\n" ? end - 1 : end);
}

function dedent(text, width) {
  return text.replace(new RegExp(`\\n {1,${width}}`, "g"), "\n");
}

function nest(items, depth) {
  const [first] = items;
  const list = { type: "list", ordered: /\d/.test(first.marker), start: parseInt(first.marker, 10) || 1, items: [] };
  for (let index = 0; index < items.length;) {
    const item = items[index++];
    const children = parseBlocks(item.text, MAX_DEPTH - 1 - (depth < 3 ? 1 : 0));
    const deeper = [];
    while (index < items.length && items[index].indent >= first.indent + 2) deeper.push(items[index++]);
    if (deeper.length) children.push(nest(deeper, depth + 1));
    list.items.push(children);
  }
  return list;
}

// Inline rules, tried in order at every character that can begin one.
const URL_TAIL = String.raw`[^\s<]*[^<.,:;"'\]\s)*_~|]`;
const INLINE = [
  [/\\([^0-9A-Za-z\s])/y, (m) => ({ type: "text", text: m[1] })],
  [/(`+)([\s\S]*?[^`])\1(?!`)/y, (m) => ({ type: "icode", text: unpad(m[2]) })],
  [/<(https?:\/\/[^\s<>]+)>/y, (m) => link(m[1], [{ type: "text", text: m[1] }])],
  [/<@!?(\d{1,20})>/y, (m) => ({ type: "user", id: m[1] })],
  [/<@&(\d{1,20})>/y, (m) => ({ type: "role", id: m[1] })],
  [/<#(\d{1,20})>/y, (m) => ({ type: "channel", id: m[1] })],
  [/<\/([-_ \p{L}\p{N}]{1,100}):(\d{1,20})>/uy, (m) => ({ type: "command", name: m[1] })],
  [/<(a?):(\w{1,64}):(\d{1,20})>/y, (m) => ({ type: "emoji", name: m[2], id: m[3] })],
  [/<t:(-?\d{1,13})(?::([tTdDfFR]))?>/y, (m) => ({ type: "time", unix: Number(m[1]), style: m[2] ?? "f" })],
  [/@(everyone|here)/y, (m) => ({ type: "everyone", name: m[1] })],
  [/\[([^[\]\n]*(?:\[[^[\]\n]*\][^[\]\n]*)*)\]\(<?(https?:\/\/[^\s()<>]+(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?: +"[^"\n]*")?\)/y,
    (m, depth) => m[1].trim() ? link(m[2], parseInline(m[1], depth + 1, true)) : null],
  [new RegExp(`https?://${URL_TAIL}`, "y"), (m) => bareLink(m)],
  [/\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)/y, (m, depth) => span("strong", m[1], depth)],
  [/__((?:\\[\s\S]|[^\\])+?)__(?!_)/y, (m, depth) => span("u", m[1], depth)],
  [/\*(?=\S)((?:\*\*|\\[\s\S]|\s+(?:\\[\s\S]|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)/y, (m, depth) => span("em", m[1], depth)],
  [/_((?:__|\\[\s\S]|[^\\_])+?)_(?!\w)/y, (m, depth) => span("em", m[1], depth)],
  [/~~(?=\S)([\s\S]*?\S)~~(?!~)/y, (m, depth) => span("s", m[1], depth)],
  [/\|\|([\s\S]+?)\|\|/y, (m, depth) => span("spoiler", m[1], depth)],
];
const SPECIAL = /[\\`<@[*_~|]|https?:\/\//g;

function parseInline(source, depth, inLink = false) {
  const nodes = [];
  let text = "";
  let at = 0;
  const flush = () => {
    if (text) nodes.push({ type: "text", text });
    text = "";
  };
  while (at < source.length) {
    SPECIAL.lastIndex = at;
    const next = SPECIAL.exec(source)?.index ?? source.length;
    text += source.slice(at, next);
    at = next;
    if (at >= source.length) break;
    const found = depth < MAX_DEPTH ? inlineAt(source, at, depth, inLink) : null;
    if (!found) {
      text += source[at];
      at += 1;
    } else {
      at += found.length;
      if (found.node.type === "text") text += found.node.text;
      else { flush(); nodes.push(found.node); }
    }
  }
  flush();
  return nodes;
}

function inlineAt(source, at, depth, inLink) {
  // `snake_case_words` hold no emphasis: an underscore inside a word is a letter.
  if (source[at] === "_" && source[at + 1] !== "_" && /\w/.test(source[at - 1] ?? "")) return null;
  for (const [pattern, build] of INLINE) {
    const found = match(pattern, source, at);
    if (!found) continue;
    const node = build(found, depth);
    if (node && !(inLink && node.type === "link")) return { node, length: node.length ?? found[0].length };
  }
  return null;
}

function span(type, inner, depth) {
  return { type, children: parseInline(inner, depth + 1) };
}

function link(href, children) {
  return { type: "link", href, children };
}

function bareLink(found) {
  let url = found[0];
  // A closing parenthesis belongs to the address only if it was opened there.
  const next = found.input[found.index + url.length];
  if (next === ")" && url.includes("(") && !url.includes(")")) url += ")";
  return { ...link(url, [{ type: "text", text: url }]), length: url.length };
}

function unpad(code) {
  return /^ .* $/.test(code) && code.trim() ? code.slice(1, -1) : code;
}

const EMOJI_ONLY = /^(?:(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\u200d|\ufe0f|<a?:\w+:\d+>|\s)+)$/u;

/** Return whether the whole content is emoji (and no digits alone), which Discord shows large. */
export function isEmojiOnly(source) {
  return source.length <= 160 && EMOJI_ONLY.test(source) && !/^[\d\s#*]+$/.test(source.replace(/<[^>]*>/g, "x"));
}
