// What people type, and how it travels: names become mentions on the way out and names again for editing.

export const LIMIT = 2000;
const CODE = /(```[\s\S]*?```|``[^`]+``|`[^`\n]+`)/;
const MENTION = /(?<![\p{L}\p{N}<])<(?:@!?(\d+)|#(\d+))>(?![\p{L}\p{N}_-])/gu;

/** `text` with names turned into mentions, as Discord's client sends it; code is left alone. */
export function encoded(text, store) {
  const patterns = mentionable(store).map(([name, mention]) =>
    [new RegExp(`(^|[^\\p{L}\\p{N}<])${escaped(name)}(?![\\p{L}\\p{N}_-])`, "giu"), mention]);
  return outsideCode(text, (part) => patterns.reduce((result, [pattern, mention]) =>
    result.replace(pattern, (_, before) => before + mention), part));
}

/** `content` with mentions turned into names, so that `encoded` gives it back. */
export function decoded(content, store) {
  return outsideCode(content, (part) => part.replace(MENTION, (mention, userId, channelId) => {
    const name = userId ? store.names.user(userId) : store.names.channel(channelId);
    return name ? `${userId ? "@" : "#"}${name}` : mention;
  }));
}

function mentionable(store) {
  const people = [store.bot, ...store.people].filter(Boolean)
    .map((person) => [`@${store.nameOf(person)}`, `<@${person.id}>`]);
  const channels = [...store.channels.values()].filter((channel) => channel.name && channel.type !== 1)
    .map((channel) => [`#${channel.name}`, `<#${channel.id}>`]);
  return [...people, ...channels].sort((a, b) => b[0].length - a[0].length);
}

function outsideCode(text, change) {
  return text.split(CODE).map((part, index) => index % 2 ? part : change(part)).join("");
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** How many code points of `text` Discord takes still; negative if it is too long. */
export function room(text) {
  return LIMIT - [...text].length;
}

/** Say by how much a text is too long, given its (negative) room. */
export function tooLong(left) {
  return `${-left} character${left === -1 ? "" : "s"} too long`;
}

/** The beginning of `text`, at most `length` code points, cut between words where that leaves enough. */
export function cutAtWord(text, length) {
  const points = [...text];
  if (points.length <= length) return text;
  const end = points.lastIndexOf(" ", length);
  return points.slice(0, end > length / 3 ? end : length).join("").replace(/[\s,;:.(–—-]+$/u, "");
}
